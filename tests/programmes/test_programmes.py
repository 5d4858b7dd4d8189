"""Programme files: what is read from them, and how a bad one is refused."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

import pytest

from ledger.domain.rules.monthly_trading_volume import tier_for_volume
from ledger.domain.state.account import AccountState, Grant
from ledger.domain.state.volume_cells import NOTIONAL_SCALE, exact
from ledger.programmes import ProgrammeError, faults, packaged, packaged_names, parse, warnings
from ledger.programmes.rates import RateError, rate_ppm
from tests.domain.worked import fills, record, rulebook

GOOD = packaged()
PUBLISHED = {
    "bitmart-api-vip-3.0.toml": "d006eb174d20f3b23682d21e2a47d2dfa587691db9df5eb9b52d3ee2dd29e222",
    "hitbtc-spot-1.toml": "8ea21afc6b280318571237f96af68b361564c70275e52260649134aad9c3a80e",
}
SWITCHES = (
    *("boundary_policy", "above_top", "close_day", "partial_day_close", "aggregate_subaccounts", "ban_count_volume"),
    *("timezone", "grant_term", "late_grant", "grant_resolution", "deactivation", "trial_counts_as_membership"),
    *("match_volume", "sla_start", "holidays", "clawback", "never_worse_than_base", "self_trade_rebate"),
    *("rate_scope", "rate_time", "fee_currency", "rounding"),
)


CHANGES = (  # of the packaged file, and the fault that follows
    ('id = "bitmart-api-vip"', 'id = "bitmart api"', "VALUE_MALFORMED: id"),
    ('version = "3.0"', "version = 3.0", "VALUE_MALFORMED: version"),
    ('version = "3.0"', "", "KEY_MISSING: version"),
    ("silent_after_hours = 72", "silent_after_hours = 0", "VALUE_OUT_OF_RANGE: evaluation.silent_after_hours"),
    ('venues = ["bitmart"]', "venues = []", "VALUE_MALFORMED: venues"),
    ('venues = ["bitmart"]', 'venues = ["a", "a"]', "VALUE_MALFORMED: venues"),
    ('products = ["SPOT"]', 'products = ["OPTION"]', "VALUE_UNKNOWN: products"),
    ("# until = 2028-01-01T00:00:00Z", "until = 2028-01-01", "VALUE_MALFORMED: period.until"),
    ("# from = 2026-01-01T00:00:00Z", "from = 2026-01-01T00:00:00", "VALUE_MALFORMED: period.from"),
    ("[base_rates]", "[base_rate]", "KEY_MISSING: base_rates"),
    ("[base_rates]", "[base_rate]", "KEY_UNKNOWN: base_rate"),
    ('maker = "0.04%"', 'maker = "0.04"', "RATE_UNIT_AMBIGUOUS: rates.VIP1.A.maker"),
    ('maker = "0.04%"', "maker = 0.0004", "RATE_UNIT_AMBIGUOUS: rates.VIP1.A.maker"),
    ('maker = "0.04%"', 'maker = "0.00004%"', "RATE_TOO_FINE: rates.VIP1.A.maker"),
    ('maker = "0.04%"', 'makers = "0.04%"', "KEY_UNKNOWN: rates.VIP1.A.makers"),
    ("[rates.VIP5]", "[rates.VIP6]", "TIER_UNKNOWN: rates.VIP6"),
    ("[rates.VIP5]", "[rates.VIP6]", "KEY_MISSING: rates.VIP5.A"),
    ('C = { maker = "0.2%"', 'D = { maker = "0.2%"', "CLASS_UNKNOWN: rates.VIP1.D"),
    ('taker = "0.025%"', 'taker = "0.031%"', "DESCENDING: rates.VIP4.A.taker"),
    ('taker = "0.02%"', 'taker = "0.0009%"', "NEGATIVE_NET_PAIR: rates.*.A"),
    ('taker = "0.25%"', 'taker = "0.0009%"', "NEGATIVE_NET_PAIR: rates.*.A"),
    ('maker = "0.25%"', 'maker = "-0.3%"', "NEGATIVE_NET_PAIR: base_rates"),
    ("fixture = true", "fixture = 1", "VALUE_MALFORMED: base_rates.fixture"),
    ("fixture = true", "fixtures = true", "KEY_UNKNOWN: base_rates.fixtures"),
    ("fixture = true", '[base_rates.D]\nmaker = "1%"', "CLASS_UNKNOWN: base_rates.D"),
    ("fixture = true", "[base_rates.C]", "KEY_MISSING: base_rates.C"),
    ("fixture = true", '[base_rates.C]\nmaker = "1%"\nmaking = 1', "KEY_UNKNOWN: base_rates.C.making"),
    ("fixture = true", '[base_rates.C]\nmaker = "1"', "RATE_UNIT_AMBIGUOUS: base_rates.C.maker"),
    ("fixture = true", '[base_rates.C]\nmaker = "1%"', "fine"),
    ("fixture = true", '[base_rates.C]\nmaker = "-0.08%"', "NEGATIVE_NET_PAIR: rates.*.C"),
    ("fixture = true", '[base_rates.C]\nmaker = "-0.3%"', "NEGATIVE_NET_PAIR: base_rates.C"),
    ("[volume]", "[overrides.X_Y]\n[volume]", "KEY_MISSING: overrides.X_Y"),
    ("[volume]", '[overrides.X_Y]\nmaker = "-0.19%"\npair_class = "C"\n[volume]', "NEGATIVE_NET_PAIR: overrides"),
    ("[volume]", '[overrides.X_Y]\ntaker = "0%"\n[volume]', "NEGATIVE_NET_PAIR: overrides.X_Y"),
    ("[volume]", '[overrides.X_Y]\npair_class = "A"\n[volume]', "KEY_MISSING: overrides.X_Y"),
    ("[volume]", '[overrides.X_Y]\nmaker = "1%"\npair_class = "D"\n[volume]', "CLASS_UNKNOWN: overrides.X_Y"),
    ('VIP2 = "500000"', 'VIP2 = "100000"', "BANDS_NOT_RISING: volume.from.VIP2"),
    ('VIP2 = "500000", ', "", "BANDS_GAP: volume.from.VIP2"),
    ('VIP2 = "500000"', 'VIP9 = "500000"', "TIER_UNKNOWN: volume.from.VIP9"),
    ('VIP2 = "500000"', 'VIP2 = "-1"', "VALUE_MALFORMED: volume.from.VIP2"),
    ('below = "50000000"', 'below = "20000000"', "BANDS_NOT_RISING: volume.below"),
    ('below = "50000000" ', "", "fine"),
    ('above_top = "keep" ', "", "fine"),
    (
        'below = "50000000"           # where the printed table ends\nabove_top = "keep" ',
        "",
        "TOP_OPEN: volume.below",
    ),
    ('above_top = "keep"', 'above_top = "kept"', "VALUE_UNKNOWN: volume.above_top"),
    ("[volume.terms]", "[volume.term]", "KEY_UNKNOWN: volume.term"),
    ("tolerance_days = 7", "tolerance_days = -1", "VALUE_OUT_OF_RANGE: match.period_end_tolerance_days"),
    ('denied = ["NET_BUY"', 'denied = ["NET_BUYS"', "VALUE_UNKNOWN: promotions.denied"),
    ('types = ["API_EXCLUSIVE"', 'types = ["API EXCLUSIVE"', "VALUE_MALFORMED: promotions.types"),
    ("pending_days = 30", "pending_days = 0", "VALUE_OUT_OF_RANGE: match.pending_days"),
    ("pending_days = 30", "pending_day = 30", "KEY_UNKNOWN: match.pending_day"),
    ("[8, 18, 28]", "[8, 18, 29]", "DAYS_OUT_OF_RANGE: evaluation.days_of_month"),
    ("[8, 18, 28]", "[]", "DAYS_OUT_OF_RANGE: evaluation.days_of_month"),
    ("[8, 18, 28]", '"every"', "fine"),
    ('timezone = "UTC"', 'timezone = "Mars/Olympus"', "VALUE_UNKNOWN: evaluation.timezone"),
    ('timezone = "UTC"', 'timezone = "Europe"', "VALUE_UNKNOWN: evaluation.timezone"),
    ('timezone = "UTC"', 'timezone = "../UTC"', "VALUE_UNKNOWN: evaluation.timezone"),
    ('"P30D"', '"P1M"', "VALUE_UNKNOWN: evaluation.grant_term"),
    ("effective_delay_s = 0", "effective_delay_s = -1", "VALUE_OUT_OF_RANGE: evaluation.effective_delay_s"),
    ("effective_delay_s = 0", "effective_delay_s = true", "VALUE_MALFORMED: evaluation.effective_delay_s"),
    ('tier = "VIP3"', 'tier = "VIP9"', "TIER_UNKNOWN: trial.tier"),
    ("# last_day = 2027-12-31", 'last_day = "2027-12-31"', "VALUE_MALFORMED: trial.last_day"),
    ("days_min = 1", "days_min = 8", "VALUE_OUT_OF_RANGE: ban.days_min"),
    ("holidays = []", 'holidays = ["2026-12-25"]', "VALUE_MALFORMED: applications.holidays"),
    ('VIP5 = ["support', 'VIP9 = ["support', "TIER_UNKNOWN: entitlements.VIP9"),
    ('  "PublishProgramme",', "  7,", "VALUE_MALFORMED: approval.commands"),
    ('rounding = "ROUND_HALF_EVEN"', 'rounding = "ROUND_UP"', "VALUE_UNKNOWN: switches.rounding"),
    ("self_trade_rebate = false", "self_trade_rebate = 0", "VALUE_MALFORMED: switches.self_trade_rebate"),
    ("[switches]", "[switches]\nrate_scop = 1", "KEY_UNKNOWN: switches.rate_scop"),
    ("days = 30", "days = = 30", "FILE_UNREADABLE"),
    ("days = 30", f"days = {'9' * 5_000}", "FILE_TOO_DEEP: line 81 has a word or number of 5,000 characters"),
    ("days = 30", f"days = 0x{'f' * 5_000}", "FILE_TOO_DEEP: line 81 has a word or number of 5,002 characters"),
    ("days = 30", f"days = {'[' * 5_000}", "FILE_TOO_DEEP: line 81 has lists or tables more than 8 deep"),
    ("days = 30", f"days = {'{a=' * 2_000}", "FILE_TOO_DEEP: line 81 has lists or tables more than 8 deep"),
    ("days = 30", f"days.{'a.' * 2_000}a = 1", "FILE_TOO_DEEP: line 81 has a key of more than 8 parts"),
)


@pytest.mark.parametrize(
    ("text", "ppm"),
    [("0.25%", 2500), ("-0.001%", -10), ("2.5bps", 250), ("-10ppm", -10), ("0%", 0), ("0.00%", 0), ("25%", 250_000)],
)
def test_a_rate_carries_its_unit(text: str, ppm: int) -> None:
    assert rate_ppm(text) == ppm


@pytest.mark.parametrize("text", ["0.01", "-0.01", "0.25", "1", "25 %", "% 25", "+1%", "1e-3%", "", "0.25%%", ".5%"])
def test_a_rate_without_a_clear_unit_is_refused(text: str) -> None:
    with pytest.raises(RateError) as caught:
        rate_ppm(text)
    assert caught.value.code == "RATE_UNIT_AMBIGUOUS"


@pytest.mark.parametrize(("text", "ppm"), [("0.0025", 2500), ("0.009999", 9999), ("-0.00001", -10), ("0", 0)])
def test_a_bare_number_below_a_hundredth_is_a_fraction(text: str, ppm: int) -> None:
    assert rate_ppm(text) == ppm


@pytest.mark.parametrize("text", ["0.00001%", "-0.5ppm", "0.0000001"])
def test_a_rate_finer_than_a_ppm_is_refused(text: str) -> None:
    with pytest.raises(RateError) as caught:
        rate_ppm(text)
    assert caught.value.code == "RATE_TOO_FINE"


@pytest.mark.parametrize("name", packaged_names())
def test_a_packaged_programme_has_no_faults(name: str) -> None:
    assert faults(packaged(name)) == ()


def test_a_published_version_is_never_edited() -> None:
    """A change of a number is a new version in a new file. Until a release these may still move with the rules."""
    found = {name: sha256(packaged(name).encode()).hexdigest() for name in packaged_names()}
    assert found == PUBLISHED


@pytest.mark.parametrize(("old", "new", "fault"), CHANGES)
def test_a_bad_file_has_its_fault_named(old: str, new: str, fault: str) -> None:
    assert old in GOOD
    found = [str(one) for one in faults(GOOD.replace(old, new, 1))]
    if fault == "fine":
        assert found == []
    else:
        assert [one for one in found if one.startswith(fault)], found


def test_all_faults_of_a_file_are_named_and_none_twice() -> None:
    bad = GOOD.replace('maker = "0.04%"', 'maker = "0.04"', 1).replace("0.025%", "0.031%")
    bad = bad.replace('above_top = "keep"', 'above_top = "kept"')
    found = [(fault.code, fault.key) for fault in faults(bad)]
    assert found == [
        ("RATE_UNIT_AMBIGUOUS", "rates.VIP1.A.maker"),
        ("VALUE_UNKNOWN", "volume.above_top"),
        ("DESCENDING", "rates.VIP4.A.taker"),
    ]


def test_what_is_in_the_log_is_read_although_a_key_is_unknown_or_missing() -> None:
    older = GOOD.replace('below = "50000000" ', "").replace("[match]", "[matches_of_another_release]")
    assert faults(older)
    assert parse(older).match_days == 30


def test_what_cannot_be_read_at_all_is_refused_with_every_key() -> None:
    with pytest.raises(ProgrammeError) as caught:
        parse(GOOD.replace("[evaluation]", "[evaluations]").replace('version = "3.0"', ""))
    assert [fault.key for fault in caught.value.faults] == ["evaluation", "version"]


def test_tiers_that_no_volume_gives_are_a_warning() -> None:
    terms = GOOD.replace('boundary_policy = "table"', 'boundary_policy = "terms"')
    assert [(one.code, one.key) for one in warnings(terms)] == [
        ("TIER_UNREACHABLE", "tiers.VIP4"),
        ("TIER_UNREACHABLE", "tiers.VIP5"),
    ]


def test_a_match_waits_for_ever_where_the_file_says_no_days() -> None:
    older = parse(GOOD.replace("pending_days = 30", ""))
    assert (older.match_pending_days, parse(GOOD).match_pending_days) == (None, 30)


def test_public_rates_of_a_class_fall_back_side_by_side() -> None:
    said = parse(GOOD.replace("fixture = true", '[base_rates.C]\ntaker = "0.5%"'))
    assert [said.public_rates(name) for name in ("A", "C", "")] == [(2500, 2500), (2500, 5000), (2500, 2500)]
    assert (said.base_rates_are_fixture, parse(GOOD).base_rates_are_fixture) == (False, True)


def test_a_tier_above_the_public_rate_of_its_class_is_a_warning() -> None:
    assert warnings(GOOD) == ()
    changed = GOOD.replace("fixture = true", '[base_rates.B]\nmaker = "0.09%"')
    assert faults(changed) == ()
    (told,) = warnings(changed)
    assert (told.code, told.key) == ("TIER_ABOVE_PUBLIC", "rates.VIP1.B.maker")
    assert told.detail == "= 0.001 is above the public rate of the class, 0.0009, so members pay that"


def test_a_switch_that_is_left_out_has_the_default_of_its_ambiguity() -> None:
    """The packaged file says every switch aloud; without these lines it must mean the same."""
    short = "\n".join(line for line in GOOD.splitlines() if not line.startswith(tuple(SWITCHES)))
    said, silent = parse(GOOD), parse(short)
    assert len(short) < len(GOOD)
    assert {name: getattr(silent, name) for name in SWITCHES} == {name: getattr(said, name) for name in SWITCHES}


def test_the_last_day_of_trials_ends_at_midnight() -> None:
    trial = parse(GOOD.replace("# last_day = 2027-12-31", "last_day = 2027-12-31")).trial
    assert trial is not None
    assert trial.closes_at_ns == 1_830_297_600 * 10**9


def test_the_period_of_a_programme_is_two_instants() -> None:
    said = parse(GOOD.replace("# from = 2026", "from = 2026").replace("# until = 2028", "until = 2028"))
    assert (said.period_from_ns, said.period_until_ns) == (1_767_225_600 * 10**9, 1_830_297_600 * 10**9)


def test_another_venue_has_other_tiers_one_class_and_no_trial() -> None:
    other = parse(packaged("hitbtc-spot-1.toml"))
    assert (len(other.tiers), other.pair_classes, other.volume_currency) == (9, ("ALL",), "BTC")
    assert other.trial is None
    assert other.token_discount is None
    assert other.rates["T9", "ALL"] == (-100, 200)


@pytest.mark.parametrize(
    ("tier", "liquidity", "fee"),
    [("NONE", 2, 4_500_000), ("T1", 2, 4_000_000), ("T9", 1, -500_000), ("T9", 2, 1_000_000)],
)
def test_fills_are_priced_under_the_programme_of_another_venue(tier: str, liquidity: int, fee: int) -> None:
    rules = replace(
        parse(packaged("hitbtc-spot-1.toml")), venues=("bitmart",)
    )  # where the batches of the tests come from
    grants = () if tier == "NONE" else (Grant("g1", "hitbtc-spot", tier, "EVALUATION", 0),)
    batch = fills({"price": "5", "quantity": "10", "liquidity": liquidity})
    outcome, _ = record(batch, rulebook(rules, pair_class="ALL"), AccountState("alice", grants=grants))
    assert outcome.fees[0][0] == fee


@pytest.mark.parametrize(
    ("volume", "tier"), [("9.99999999", "NONE"), ("10", "T1"), ("99999.9", "T8"), ("100000", "T9"), ("9000000", "T9")]
)
def test_volume_gives_the_tiers_of_another_venue(volume: str, tier: str) -> None:
    assert tier_for_volume(parse(packaged("hitbtc-spot-1.toml")), exact(volume, NOTIONAL_SCALE)) == tier
