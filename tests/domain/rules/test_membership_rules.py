"""The short rules of membership, each boundary from both sides: R6 to R13, R21, R23, R24."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ledger.domain.decide.standing import grant_in_effect, match_refused, match_tier
from ledger.domain.events import AccountFlagged, ApiIdentityVerified, KamAssigned
from ledger.domain.instants import DAY_NS, NEVER_NS, day_number
from ledger.domain.refusal import Reason, Refusal
from ledger.domain.rules.api_promotion import months_without_promotion
from ledger.domain.rules.application import clock_start_ns, not_verified, verify_api_identity
from ledger.domain.rules.bug_bounty import may_earn_bounty, round_ends_ns, round_of
from ledger.domain.rules.business_days import business_day_after, deadline_day
from ledger.domain.rules.deviating_behaviour import unknown_evidence
from ledger.domain.rules.external_volume import external_volume, is_enough
from ledger.domain.rules.fake_accounts import flag_account, flagged_at
from ledger.domain.rules.fee_match import match_grant
from ledger.domain.rules.key_account_manager import assign_manager, manager_at
from ledger.domain.rules.past_90_days import membership_in_past_90_days
from ledger.domain.rules.promotion_eligibility import is_eligible
from ledger.domain.state.account import AccountState, Flag, Grant
from ledger.domain.state.matches_and_applications import Assignment, MatchesAndApplications, Metric
from ledger.domain.state.volume_cells import NOTIONAL_SCALE
from tests.domain.worked import NOON_NS, programme

RULES = programme()
SINCE_NS = NOON_NS - 90 * DAY_NS
ONE = 10**NOTIONAL_SCALE


def grant(from_ns: int, until_ns: int, source: str = "MANUAL", revoked_ns: int = NEVER_NS) -> Grant:
    return Grant("g1", RULES.programme_id, "VIP1", source, from_ns, until_ns, revoked_ns)


def day(text: str) -> int:
    return day_number(text)


def test_a_match_lasts_thirty_days_of_86400_seconds() -> None:
    assert match_grant(RULES, NOON_NS) == (NOON_NS, NOON_NS + 30 * 86_400 * 10**9)


@pytest.mark.parametrize(
    ("held", "counts"),
    [
        (grant(SINCE_NS - 1, SINCE_NS), False),
        (grant(SINCE_NS - 1, SINCE_NS + 1), True),
        (grant(NOON_NS - 1, NEVER_NS), True),
        (grant(NOON_NS, NEVER_NS), False),
        (grant(SINCE_NS - 9, NEVER_NS, revoked_ns=SINCE_NS), False),
        (grant(SINCE_NS - 9, NEVER_NS, revoked_ns=SINCE_NS + 1), True),
        (grant(NOON_NS - 5, NEVER_NS, revoked_ns=NOON_NS - 5), False),
        (replace(grant(NOON_NS - 1, NEVER_NS), programme_id="another"), False),
    ],
)
def test_a_membership_counts_that_began_before_and_ended_within_90_days(held: Grant, counts: bool) -> None:
    assert (membership_in_past_90_days([held], RULES, NOON_NS) is held) is counts


@pytest.mark.parametrize(
    ("source", "switch", "counts"),
    [("TRIAL", True, True), ("TRIAL", False, False), ("MATCH", False, True), ("EVALUATION", False, True)],
)
def test_the_switch_leaves_out_trials_and_nothing_else(source: str, switch: bool, counts: bool) -> None:
    rules = programme(trial_counts_as_membership=switch)
    found = membership_in_past_90_days([grant(NOON_NS - DAY_NS, NOON_NS, source)], rules, NOON_NS)
    assert (found is not None) is counts


def test_of_several_memberships_the_one_that_ended_last_is_named() -> None:
    held = [grant(SINCE_NS, NOON_NS - 5), grant(SINCE_NS, NOON_NS - 2), grant(SINCE_NS, NOON_NS - 9)]
    assert membership_in_past_90_days(held, RULES, NOON_NS) is held[1]


@pytest.mark.parametrize(("switch", "volume"), [("sum", 100), ("max", 60), ("spot_only", 40)])
def test_external_volume_is_the_sum_unless_the_programme_says_otherwise(switch: str, volume: int) -> None:
    assert external_volume(programme(match_volume=switch), 40, 60) == volume


def test_the_least_volume_must_be_exceeded() -> None:
    assert not is_enough(RULES, 100_000 * ONE)
    assert is_enough(RULES, 100_000 * ONE + 1)


def test_a_match_gives_the_tier_of_the_table() -> None:
    assert [match_tier(RULES, volume * ONE, 0) for volume in (100_001, 499_999, 500_000)] == ["VIP1", "VIP1", "VIP2"]


def test_a_match_is_refused_in_the_order_flag_membership_volume() -> None:
    member, flag = (grant(NOON_NS - 9, NOON_NS),), (Flag("f1", "FAKE", NOON_NS),)

    def reason(**state: object) -> Reason | None:
        account = AccountState("carol", **state)  # type: ignore[arg-type]
        found = match_refused(account, RULES, requested_ns=NOON_NS, at_ns=NOON_NS, spot=0, futures=0)
        return found.reason if found else None

    assert reason(grants=member, flags=flag) == Reason.ACCOUNT_FLAGGED
    assert reason(grants=member) == Reason.VIP_IN_PAST_90_DAYS
    assert reason() == Reason.EXTERNAL_VOLUME_TOO_LOW


def test_a_flag_runs_from_its_time_until_it_is_ended_and_hides_every_grant() -> None:
    flags = (Flag("f1", "FAKE", 10, 20), Flag("f2", "ROBOT", 15, 30))
    assert [flag.flag_id if (flag := flagged_at(flags, t)) else "" for t in (9, 10, 19, 20, 29, 30)] == [
        *("", "f1", "f1", "f2", "f2", ""),
    ]
    account = AccountState("alice", grants=(grant(0, NEVER_NS),), flags=flags)
    assert [grant_in_effect(account, RULES, t) is not None for t in (9, 10, 29, 30)] == [True, False, False, True]
    assert account.change_instants == (0, 10, 15, 20, 30)


def test_one_flag_of_a_kind_runs_at_a_time() -> None:
    account = AccountState("alice", flags=(Flag("f1", "FAKE", 10, 20),))

    def flag(kind: str, at_ns: int) -> object:
        return flag_account(account, kind=kind, flag_time_ns=at_ns, evidence_sha256=b"")

    for kind, at_ns in (("ROBOT", 10), ("FAKE", 9), ("FAKE", 20)):
        assert flag(kind, at_ns) == AccountFlagged("f2", kind, at_ns)
    for at_ns in (10, 19):
        found = flag("FAKE", at_ns)
        assert isinstance(found, Refusal)
        assert found.reason == Reason.ACCOUNT_ALREADY_FLAGGED


@pytest.mark.parametrize(
    ("tier", "flagged", "may"), [("VIP1", False, True), ("VIP1", True, False), ("NONE", False, False)]
)
def test_members_who_are_not_flagged_earn_bounties_and_take_part(tier: str, flagged: bool, may: bool) -> None:
    assert may_earn_bounty(tier, flagged) is may
    assert is_eligible(RULES, "API_EXCLUSIVE", tier, flagged) is may


def test_denied_types_are_those_of_the_programme() -> None:
    assert [is_eligible(RULES, kind, "VIP5", flagged=False) for kind in ("NET_BUY", "BUY_SELL", "LOTTERY")] == [
        *(False, False, True),
    ]
    assert is_eligible(programme(promotions_denied=()), "NET_BUY", "VIP5", flagged=False)


@pytest.mark.parametrize(
    ("text", "week"),
    [("2024-12-29", "2024-W52"), ("2024-12-30", "2025-W01"), ("2021-01-03", "2020-W53"), ("2024-10-04", "2024-W40")],
)
def test_a_round_is_the_iso_week_of_the_report_until_its_sunday_is_over(text: str, week: str) -> None:
    at_ns = day(text) * DAY_NS
    assert round_of(at_ns) == week
    assert round_of(round_ends_ns(week) - 1) == week
    assert round_of(round_ends_ns(week)) != week


@pytest.mark.parametrize("text", ["2024-W53", "2024-W00", "2024W40", "2024-W4", "0000-W01", ""])
def test_text_that_is_no_iso_week_has_no_round(text: str) -> None:
    with pytest.raises(ValueError, match=r"(?i)week|year"):
        round_ends_ns(text)


def test_months_that_are_over_and_saw_no_start_are_missing() -> None:
    starts = [day(text) * DAY_NS for text in ("2023-12-31", "2024-02-01", "2024-02-29")]
    from_ns = day("2023-11-30") * DAY_NS
    march_ns = day("2024-03-01") * DAY_NS
    assert months_without_promotion(starts, from_ns, march_ns) == ["2023-11", "2024-01"]
    assert months_without_promotion([], from_ns, march_ns) == ["2023-11", "2023-12", "2024-01", "2024-02"]
    assert months_without_promotion([], from_ns, march_ns - 1) == ["2023-11", "2023-12", "2024-01"]
    assert months_without_promotion([], march_ns, from_ns) == []


@pytest.mark.parametrize(
    ("received", "deadline"),
    [
        ("2024-09-06", "2024-09-20"),  # a Friday
        ("2024-09-07", "2024-09-20"),  # Saturday
        ("2024-09-08", "2024-09-20"),  # Sunday
        ("2024-09-09", "2024-09-23"),  # Monday
        ("1970-01-01", "1970-01-15"),  # a Thursday
    ],
)
def test_the_deadline_is_the_tenth_business_day_after_the_day_of_receipt(received: str, deadline: str) -> None:
    assert deadline_day(RULES, day(received)) == day(deadline)


def test_a_holiday_moves_the_deadline_only_where_it_is_a_working_day() -> None:
    friday, saturday = day("2024-09-20"), day("2024-09-14")
    assert deadline_day(programme(holidays=frozenset({saturday})), day("2024-09-06")) == friday
    assert deadline_day(programme(holidays=frozenset({friday})), day("2024-09-06")) == day("2024-09-23")
    assert business_day_after(RULES, saturday, 0) == saturday


def test_the_clock_starts_at_receipt_or_at_verification() -> None:
    assert clock_start_ns(RULES, 10, NEVER_NS) == 10
    verified = programme(sla_start="verified")
    assert [clock_start_ns(verified, 10, at_ns) for at_ns in (NEVER_NS, 20, 5)] == [None, 20, 10]


def test_verification_is_asked_for_only_where_the_programme_does() -> None:
    strict = programme(trial=replace(RULES.trial, requires_verified_api_user=True))
    assert not_verified(MatchesAndApplications(), RULES, 10) is None
    found = [not_verified(MatchesAndApplications(verified_time_ns=10), strict, at_ns) for at_ns in (9, 10)]
    assert [one and one.reason for one in found] == [Reason.NOT_VERIFIED, None]
    assert verify_api_identity(MatchesAndApplications(verified_time_ns=10), verified_time_ns=9) == ApiIdentityVerified(
        9
    )
    assert isinstance(verify_api_identity(MatchesAndApplications(verified_time_ns=10), verified_time_ns=10), Refusal)


def test_the_manager_in_charge_is_the_last_one_assigned_by_then() -> None:
    managers = (Assignment("kam-2", 20), Assignment("kam-1", 10), Assignment("kam-3", 20))
    assert [manager_at(managers, at_ns) for at_ns in (9, 10, 19, 20)] == ["", "kam-1", "kam-1", "kam-3"]


def test_a_manager_comes_with_the_tiers_that_entitle_to_one() -> None:
    rules = programme(entitlements={"VIP5": ("key_account_manager",), "VIP4": ("support_24_7",)})

    def assigned(tier: str) -> KamAssigned | Refusal:
        return assign_manager(rules, tier=tier, manager_id="kam-1", assign_time_ns=5)

    assert assigned("VIP5") == KamAssigned("kam-1", 5)
    for tier in ("VIP4", "VIP1", "NONE"):
        found = assigned(tier)
        assert isinstance(found, Refusal)
        assert found.reason == Reason.NOT_ENTITLED


def test_evidence_is_a_metric_of_the_account() -> None:
    metrics = (Metric(7, "ORDER_SPAM", "9", 0, 1),)
    assert unknown_evidence(metrics, (7, 7)) is None
    found = unknown_evidence(metrics, (7, 8))
    assert found is not None
    assert (found.reason, found.field) == (Reason.METRIC_UNKNOWN, "evidence_positions[1]")
