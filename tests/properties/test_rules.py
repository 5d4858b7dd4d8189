"""What must hold of the rules whatever is asked of them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import programmes
from ledger.domain.decide.standing import grant_in_effect, tier_at
from ledger.domain.events import CellKey
from ledger.domain.instants import DAY_NS
from ledger.domain.rules.best_grant import best_grant
from ledger.domain.rules.cumulative_trading_volume import excluded_because
from ledger.domain.rules.deactivation import ended_by
from ledger.domain.rules.end_day_close import CLOSE_SCALE, Valued, close_day, value_cells
from ledger.domain.rules.evaluation_days import next_evaluation_ns
from ledger.domain.rules.exclusive_fee_rate import fee_rate
from ledger.domain.rules.monthly_trading_volume import tier_for_volume
from ledger.domain.state.account import AccountState, Ban, Flag, Grant
from ledger.domain.state.programme import NO_TIER, Programme
from ledger.domain.state.volume_cells import NOTIONAL_SCALE
from tests.domain.worked import programme

PROGRAMMES = [programmes.parse(programmes.packaged(name)) for name in programmes.packaged_names()]
EVALUATION_DAY = 20_000
INSTANTS = st.integers(0, 60)
TIERS = ("VIP1", "VIP2", "VIP3", "VIP4", "VIP5")

cells = st.builds(
    CellKey,
    st.sampled_from(["USDT", "BTC"]),
    st.sampled_from([1, 2]),
    st.sampled_from([0, 1, 2]),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
volumes = st.integers(0, 10**9).map(lambda whole: whole * 10**NOTIONAL_SCALE // 7)
days_of_cells = st.dictionaries(
    st.integers(EVALUATION_DAY - 30, EVALUATION_DAY - 1), st.dictionaries(cells, volumes, max_size=8), max_size=5
)
CLOSES = {("BTC", day): (30_000 + day) * 10**CLOSE_SCALE for day in range(EVALUATION_DAY - 31, EVALUATION_DAY + 1)}


@st.composite
def grants(draw: st.DrawFn) -> tuple[Grant, ...]:
    """Grants of every source, some of them revoked, each with a name of its own."""
    found = []
    for number in range(draw(st.integers(0, 7))):
        start, length = draw(INSTANTS), draw(st.integers(1, 40))
        revoked = draw(st.one_of(st.just(2**63 - 1), INSTANTS))
        source = draw(st.sampled_from(["TRIAL", "MANUAL", "EVALUATION", "MATCH"]))
        evaluated = start if source == "EVALUATION" else 0
        tier = draw(st.sampled_from(TIERS))
        found.append(
            Grant(f"g{number}", "bitmart-api-vip", tier, source, start, start + length, revoked, evaluated_ns=evaluated)
        )
    return tuple(found)


accounts = st.builds(
    AccountState,
    st.just("alice"),
    grants=grants(),
    flags=st.lists(st.builds(Flag, st.just("f1"), st.just("FAKE"), INSTANTS, INSTANTS), max_size=2).map(tuple),
    bans=st.lists(st.builds(Ban, st.just("b1"), INSTANTS, INSTANTS, st.just("ORDER_SPAM")), max_size=2).map(tuple),
)


def worth(rules: Programme, by_day: dict[int, dict[CellKey, int]], excluded: Any = excluded_because) -> int:
    found = value_cells(rules, by_day, CLOSES, EVALUATION_DAY * DAY_NS, excluded)
    assert isinstance(found, Valued), found
    return found.volume


@given(days_of_cells, st.booleans())
def test_counted_and_excluded_volume_add_up_to_the_total(by_day: dict[int, dict[CellKey, int]], counts: bool) -> None:
    rules = programme(ban_count_volume=counts)

    def inverted(cell: CellKey, rules: Programme) -> str:
        return "" if excluded_because(cell, rules) else "COUNTED"

    parts = worth(rules, by_day) + worth(rules, by_day, inverted)
    assert worth(rules, by_day, lambda *_: "") - parts in {0, 1}  # each of the sums is cut at its 36th decimal


@pytest.mark.parametrize("policy", ["table", "terms"])
@given(volumes, volumes)
def test_more_volume_never_gives_a_lower_tier(policy: str, one: int, other: int) -> None:
    for rules in (*PROGRAMMES, programme(boundary_policy=policy)):
        low, high = (rules.rank(tier_for_volume(rules, volume)) for volume in sorted((one, other)))
        assert low <= high


@given(accounts, INSTANTS, st.sampled_from(["highest_active", "latest_evaluation_wins"]))
def test_at_each_instant_there_is_exactly_one_tier_and_one_rate(
    account: AccountState, at_ns: int, resolution: str
) -> None:
    """And none changes but at an instant of change, which is how fills are priced in stretches."""
    rules = programme(grant_resolution=resolution)
    tier = tier_at(account, rules, at_ns)
    assert tier in {NO_TIER, *TIERS}
    rate, why = fee_rate(rules, tier=tier, pair_class="A", liquidity=1, channel=1)
    assert (rate, why) == ((2500, "BASE") if tier == NO_TIER else (rules.rates[tier, "A"].maker_ppm, "TIER"))
    last = max((change for change in account.change_instants if change <= at_ns), default=None)
    if last is not None:
        assert grant_in_effect(account, rules, last) == grant_in_effect(account, rules, at_ns)


@given(grants().flatmap(lambda found: st.tuples(st.just(found), st.permutations(found))), INSTANTS)
def test_grants_give_the_same_tier_in_whatever_order_they_arrive(
    found: tuple[tuple[Grant, ...], list[Grant]], at_ns: int
) -> None:
    for resolution in ("highest_active", "latest_evaluation_wins"):
        rules = programme(grant_resolution=resolution)
        tiers = {grant.tier if (grant := best_grant(order, rules, at_ns)) else NO_TIER for order in found}
        assert len(tiers) == 1


@given(grants(), INSTANTS)
def test_latest_evaluation_wins_differs_only_where_an_evaluation_was_superseded(
    found: tuple[Grant, ...], at_ns: int
) -> None:
    highest = best_grant(found, programme(), at_ns)
    latest = best_grant(found, programme(grant_resolution="latest_evaluation_wins"), at_ns)
    if highest != latest:
        assert highest is not None
        assert highest.source == "EVALUATION"
        assert any(
            grant.source == "EVALUATION" and highest.valid_from_ns <= grant.valid_from_ns <= at_ns
            for grant in found
            if grant is not highest
        )


@given(grants(), INSTANTS, st.sampled_from([NO_TIER, "VIP1"]))
def test_immediate_deactivation_ends_nothing_but_grants_of_evaluations(
    found: tuple[Grant, ...], at_ns: int, tier: str
) -> None:
    ended = ended_by(found, programme(deactivation="immediate"), tier=tier, evaluation_ns=at_ns)
    assert {grant.source for grant in ended} <= {"EVALUATION"}
    assert bool(ended) <= (tier == NO_TIER)
    assert ended_by(found, programme(), tier=tier, evaluation_ns=at_ns) == ()


@given(days_of_cells)
def test_the_close_of_the_evaluation_matters_only_to_other_currencies(by_day: dict[int, dict[CellKey, int]]) -> None:
    own = {
        day: {key: sum_ for key, sum_ in cell.items() if key.quote_currency == "USDT"} for day, cell in by_day.items()
    }
    switched = programme(close_day="evaluation_day")
    assert worth(switched, own) == worth(programme(), own)
    days = {close_day(switched, fill_day=day, evaluation_ns=EVALUATION_DAY * DAY_NS) for day in by_day}
    assert days <= {EVALUATION_DAY - 1}


@given(days_of_cells)
def test_counting_volume_of_bans_matters_only_to_volume_of_bans(by_day: dict[int, dict[CellKey, int]]) -> None:
    free = {day: {key: sum_ for key, sum_ in cell.items() if not key.banned} for day, cell in by_day.items()}
    assert worth(programme(ban_count_volume=True), free) == worth(programme(), by_day)


@given(
    st.integers(14_245 * DAY_NS, 84_006 * DAY_NS),
    st.sampled_from(["UTC", "America/New_York", "Asia/Kolkata", "Africa/Cairo", "Pacific/Apia"]),
)
def test_evaluations_follow_each_other_and_none_is_skipped(after_ns: int, timezone: str) -> None:
    rules = programme(timezone=timezone)
    following = next_evaluation_ns(rules, after_ns)
    assert following > after_ns
    assert next_evaluation_ns(rules, following - 1) == following
    assert following - after_ns <= 12 * DAY_NS
