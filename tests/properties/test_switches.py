"""The same history under two settings of one switch differs only where that switch says.

Switches of evaluations (close_day, ban_count_volume, grant_resolution, deactivation) are in test_rules.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.domain.decide.evaluation import Assessment, Case, EvaluationRun, decide_evaluated
from ledger.domain.decide.standing import match_tier
from ledger.domain.events import PERIODIC, KnownLine
from ledger.domain.instants import DAY_NS
from ledger.domain.refusal import Refusal
from ledger.domain.rules.cumulative_trading_volume import counts_for
from ledger.domain.rules.end_day_close import close_day
from ledger.domain.rules.monthly_trading_volume import tier_for_volume
from ledger.domain.rules.past_90_days import membership_in_past_90_days
from ledger.domain.rules.promotion_eligibility import is_eligible
from ledger.domain.rules.trial import start_trial
from ledger.domain.state.account import AccountState, Grant
from ledger.domain.state.programme import MANUAL_REVIEW, NO_TIER, Programme, Rates, TokenDiscount, Trial
from ledger.fills.account_day import AccountDay
from ledger.fills.batch import by_account_day
from ledger.fills.days import DayTable
from ledger.fills.decide import decide_fills
from ledger.fills.lines import known_lines
from tests.domain.worked import NOON_NS, fills, programme, rulebook
from tests.properties.test_rules import TIERS, accounts, grants, volumes

ONE = 10**36  # of a volume
EDGES = (100_000, 500_000, 2_000_000, 5_000_000, 20_000_000, 50_000_000)
WORSE = {"base_rates": Rates(300, 250)}  # public rates that are better than some of the table, worse than others
BMX = {exclusion: TokenDiscount("BMX", 250_000, exclusion) for exclusion in
       ("while_vip", "trial_only", "permanent_after_trial")}  # fmt: skip

rows = st.lists(
    st.fixed_dictionaries(
        {
            "side": st.sampled_from([1, 2]),
            "liquidity": st.sampled_from([1, 2]),
            "channel": st.sampled_from([0, 1, 2]),
            "price": st.sampled_from(["0.5", "0.00000001", "3"]),
            "quantity": st.integers(1, 10**10).map(lambda mantissa: f"{mantissa // 10**8}.{mantissa % 10**8:08}"),
            "transact_time_ns": st.integers(0, 60).map(lambda after: NOON_NS + after),
            "counterparty_owner_id": st.sampled_from(["", "alice", "bob"]),
            "token": st.sampled_from(["", "BMX"]),
            "token_price": st.sampled_from(["", "0.25"]),
            "order_time_ns": st.sampled_from([0, NOON_NS - 1]),
        }
    ),
    min_size=1,
    max_size=12,
)


def traded(rules: Programme, account: AccountState, rows: list[dict[str, Any]]) -> list[KnownLine]:
    """The lines of a history under a programme, by the place of each fill."""
    batch = fills(*[row if row["token"] else {**row, "token_price": ""} for row in rows])
    groups = by_account_day(batch)
    days = DayTable.holding({key: AccountDay() for key in groups.keys})
    outcome = decide_fills(
        batch, groups, {"alice": account}, days.places(groups.keys), days, rulebook(rules), with_fees=True
    )
    assert not outcome.refused
    lines = {known.line.exec_id: known for _, run in outcome.runs for known in known_lines(run)}
    return [lines[f"E{number}"] for number in range(len(rows))]


def moved(account: AccountState) -> AccountState:
    """The account as test_rules makes it, around the time of the fills instead of 1970."""

    def at(each: Any) -> Any:
        shifted = {name: getattr(each, name) + NOON_NS for name in each.__dataclass_fields__
                   if name.endswith("_ns") and 0 < getattr(each, name) < 2**62}  # fmt: skip
        return replace(each, **shifted)

    parts = {name: tuple(map(at, getattr(account, name))) for name in ("grants", "bans", "flags")}
    return replace(account, **parts)


def paid(known: KnownLine) -> tuple[Any, ...]:
    """What a line costs and why."""
    return known.line.fee, known.basis


def is_rebate_of_a_self_trade(one: KnownLine, _: KnownLine) -> bool:
    return one.line.self_trade and one.basis.tier != NO_TIER and one.line.liquidity == 1


def is_worse_than_base(one: KnownLine, other: KnownLine) -> bool:
    return (
        max(one.basis.rate_ppm, other.basis.rate_ppm)
        > min(one.basis.rate_ppm, other.basis.rate_ppm)
        == (WORSE["base_rates"][one.line.liquidity - 1])
    )


def is_of_a_member_elsewhere(one: KnownLine, _: KnownLine) -> bool:
    return one.line.channel != 1 and one.basis.tier != NO_TIER


def is_a_buy(one: KnownLine, _: KnownLine) -> bool:
    return one.line.side == 1


def rounds_up_by_one(one: KnownLine, other: KnownLine) -> bool:
    return other.line.fee - one.line.fee == 1 and one.basis == other.basis


def is_a_members_charge_in_the_token(one: KnownLine, _: KnownLine) -> bool:
    return one.line.token == "BMX" and one.basis.rate_ppm > 0 and one.basis.tier != NO_TIER


def is_a_charge_in_the_token(one: KnownLine, _: KnownLine) -> bool:
    return one.line.token == "BMX" and one.basis.rate_ppm > 0


SWITCHES: list[tuple[dict[str, Any], dict[str, Any], Callable[[KnownLine, KnownLine], bool]]] = [
    ({"self_trade_rebate": False}, {"self_trade_rebate": True}, is_rebate_of_a_self_trade),
    ({"never_worse_than_base": True, **WORSE}, {"never_worse_than_base": False, **WORSE}, is_worse_than_base),
    ({"rate_scope": "account"}, {"rate_scope": "api_only"}, is_of_a_member_elsewhere),
    ({"fee_currency": "QUOTE"}, {"fee_currency": "RECEIVED"}, is_a_buy),
    ({"rounding": "ROUND_HALF_EVEN"}, {"rounding": "ROUND_CEILING"}, rounds_up_by_one),
    ({"token_discount": BMX["while_vip"]}, {"token_discount": BMX["trial_only"]}, is_a_members_charge_in_the_token),
    (
        {"token_discount": BMX["while_vip"]},
        {"token_discount": BMX["permanent_after_trial"]},
        is_a_charge_in_the_token,
    ),
    ({"token_discount": BMX["while_vip"]}, {"token_discount": None}, is_a_charge_in_the_token),
]
OF_NO_PRICE: list[dict[str, Any]] = [
    {"ban_count_volume": True},
    {"boundary_policy": "terms"},
    {"above_top": "manual_review"},
    {"close_day": "evaluation_day"},
    {"partial_day_close": "wait"},
    {"aggregate_subaccounts": True},
    {"timezone": "Asia/Kolkata"},
    {"grant_term": "next_calendar_month"},
    {"effective_delay_ns": DAY_NS},
    {"late_grant": "from_record"},
    {"deactivation": "immediate"},
    {"match_volume": "max"},
    {"match_volume_min": 1},
    {"match_lookback_days": 1},
    {"trial_counts_as_membership": False},
    {"promotions_denied": ()},
    {"sla_start": "verified"},
    {"application_business_days": 1},
    {"clawback": True},
]


@pytest.mark.parametrize(("one", "other", "is_meant"), SWITCHES)
@given(account=accounts, rows=rows)
@settings(max_examples=40, deadline=None)
def test_a_switch_of_prices_changes_only_the_fees_that_it_is_about(
    one: dict[str, Any],
    other: dict[str, Any],
    is_meant: Callable[[KnownLine, KnownLine], bool],
    account: AccountState,
    rows: list[dict[str, Any]],
) -> None:
    account = moved(account)
    for before, after in zip(
        traded(programme(**one), account, rows), traded(programme(**other), account, rows), strict=True
    ):
        if paid(before) != paid(after):
            assert is_meant(before, after), (before, after)
        assert before.terms == after.terms
        assert before.line._replace(fee=0, basis_index=0) == after.line._replace(fee=0, basis_index=0)


@pytest.mark.parametrize(("one", "other", "is_meant"), SWITCHES)
def test_each_switch_of_prices_does_change_a_fee(
    one: dict[str, Any], other: dict[str, Any], is_meant: Callable[[KnownLine, KnownLine], bool]
) -> None:
    """In one history with a trial, time after it, and a tier granted by hand."""
    account = AccountState(
        "alice",
        grants=(
            Grant("g1", "bitmart-api-vip", "VIP3", "TRIAL", NOON_NS, NOON_NS + 10),
            Grant("g2", "bitmart-api-vip", "VIP3", "MANUAL", NOON_NS + 20, NOON_NS + 30),
        ),
    )
    names = ("transact_time_ns", "liquidity", "channel", "side", "token", "counterparty_owner_id")
    times = (NOON_NS, NOON_NS + 10, NOON_NS + 20)
    kinds = product(times, (1, 2), (1, 2), (1, 2), ("", "BMX"), ("", "alice"))
    rows = [{"token_price": "", "price": "0.33333333", **dict(zip(names, kind, strict=True))} for kind in kinds]
    histories = (traded(programme(**switches), account, rows) for switches in (one, other))
    changed = [pair for pair in zip(*histories, strict=True) if paid(pair[0]) != paid(pair[1])]
    assert changed
    assert all(is_meant(*pair) for pair in changed)


@pytest.mark.parametrize("switch", OF_NO_PRICE, ids=lambda switch: next(iter(switch)))
@given(account=accounts, rows=rows)
@settings(max_examples=15, deadline=None)
def test_a_switch_that_is_not_about_prices_changes_no_fee(
    switch: dict[str, Any], account: AccountState, rows: list[dict[str, Any]]
) -> None:
    account = moved(account)
    fees = [list(map(paid, traded(programme(**switches), account, rows))) for switches in ({}, switch)]
    assert fees[0] == fees[1]


@given(st.one_of(volumes, st.sampled_from([edge * ONE + step for edge in EDGES for step in (-1, 0, 1)])))
def test_the_terms_give_another_tier_only_on_their_open_edge_and_above_what_they_name(volume: int) -> None:
    table, terms = (tier_for_volume(programme(boundary_policy=policy), volume) for policy in ("table", "terms"))
    assert (table != terms) == (volume == 2_000_000 * ONE or volume >= 5_000_000 * ONE)


@given(st.one_of(volumes, st.sampled_from([50_000_000 * ONE + step for step in (-1, 0, 1)])))
def test_a_person_looks_only_above_the_table(volume: int) -> None:
    kept, looked = (tier_for_volume(programme(above_top=switch), volume) for switch in ("keep", "manual_review"))
    assert looked == (MANUAL_REVIEW if volume >= 50_000_000 * ONE else kept)


@given(grants(), st.integers(0, 100))
def test_whether_a_trial_is_membership_matters_only_where_a_trial_is_all_there_was(
    found: tuple[Grant, ...], at_days: int
) -> None:
    one, other = (
        membership_in_past_90_days(found, programme(trial_counts_as_membership=counts), at_days)
        for counts in (True, False)
    )
    if one != other:
        assert one is not None
        assert one.source == "TRIAL"
    without = tuple(grant for grant in found if grant.source != "TRIAL")
    assert other == membership_in_past_90_days(without, programme(), at_days)


@given(volumes, volumes)
def test_volume_elsewhere_differs_only_where_somebody_traded_both(spot: int, futures: int) -> None:
    ways = {switch: programme(match_volume=switch) for switch in ("sum", "max", "spot_only")}
    tiers = {switch: rules.rank(match_tier(rules, spot, futures)) for switch, rules in ways.items()}
    assert tiers["spot_only"] <= tiers["max"] <= tiers["sum"]
    for switch, rules in ways.items():
        assert match_tier(rules, spot, 0) == match_tier(programme(), spot, 0), switch
        assert match_tier(rules, 0, futures) == (
            NO_TIER if switch == "spot_only" else match_tier(programme(), 0, futures)
        )


@given(accounts, accounts, st.integers(0, 60))
def test_a_trial_per_account_differs_only_where_another_account_of_the_owner_had_something(
    account: AccountState, other: AccountState, at_ns: int
) -> None:
    answers = [
        start_trial(account, [other], programme(trial=Trial("VIP3", 30, once_per)), start_time_ns=at_ns)
        for once_per in ("owner", "account")
    ]
    if answers[0] != answers[1]:
        assert isinstance(answers[0], Refusal)
        assert other.trial_used or not isinstance(answers[1], Refusal)  # a used trial is said first
        assert not all(grant.never_was for grant in other.grants)


@given(st.sampled_from(["", "parent"]))
def test_volume_counts_for_another_account_only_if_that_is_its_parent(parent_id: str) -> None:
    account = AccountState("alice", parent_account_id=parent_id)
    assert counts_for(account, programme()) == "alice"
    assert counts_for(account, programme(aggregate_subaccounts=True)) == (parent_id or "alice")


@given(st.integers(100, 200), st.integers(0, DAY_NS - 1))
def test_a_close_is_waited_for_only_on_a_day_that_is_not_over(fill_day: int, into_day_ns: int) -> None:
    evaluation_ns = 150 * DAY_NS + into_day_ns
    days = [
        close_day(programme(partial_day_close=switch), fill_day=fill_day, evaluation_ns=evaluation_ns)
        for switch in ("previous", "wait")
    ]
    assert (days[0] != days[1]) == (fill_day >= 150)


@given(st.sampled_from(["NET_BUY", "BUY_SELL", "TRADING"]), st.sampled_from([NO_TIER, *TIERS]), st.booleans())
def test_a_promotion_that_is_not_denied_any_more_is_for_members_only(kind: str, tier: str, flagged: bool) -> None:
    denied, allowed = (is_eligible(programme(promotions_denied=kinds), kind, tier, flagged) for kinds in ((kind,), ()))
    assert not denied
    assert allowed == (tier != NO_TIER and not flagged)


@pytest.mark.parametrize(
    ("switch", "fields"),
    [
        ({"effective_delay_ns": 7}, {"valid_from_ns", "valid_until_ns"}),
        ({"grant_term": "next_calendar_month"}, {"valid_from_ns", "valid_until_ns"}),
        ({"grant_term": "P1D"}, {"valid_until_ns"}),
        ({"late_grant": "from_record"}, {"valid_from_ns"}),
        ({"deactivation": "immediate"}, {"ended_grant_ids", "ended_time_ns"}),
    ],
)
@given(account=accounts, tier=st.sampled_from([NO_TIER, *TIERS]), late_ns=st.integers(0, 3 * DAY_NS))
def test_a_switch_of_grants_changes_only_the_times_that_it_is_about(
    switch: dict[str, Any], fields: set[str], account: AccountState, tier: str, late_ns: int
) -> None:
    at_ns = 20_000 * DAY_NS
    found = Assessment(Case("alice", at_ns, (at_ns - 30 * DAY_NS, at_ns)), (), (), 5 * ONE, tier)
    events = [
        decide_evaluated(moved(account), EvaluationRun(rules, PERIODIC, 1), found, at_ns + late_ns)
        for rules in (programme(), programme(**switch))
    ]
    one, other = (asdict(event) for event in events)
    differing = {name for name in one if one[name] != other[name]}
    assert differing <= fields
    if "deactivation" in switch:
        assert bool(differing) == (tier == NO_TIER and any(_runs(each, at_ns) for each in moved(account).grants))
    elif "late_grant" not in switch:
        assert bool(differing) == (tier != NO_TIER)


def _runs(grant: Grant, at_ns: int) -> bool:
    return grant.source == "EVALUATION" and grant.ends_at_ns > at_ns
