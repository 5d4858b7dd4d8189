"""The evaluation of one account: what is recorded of a volume, under each switch of the programme."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ledger.domain.decide.evaluation import (
    Assessment,
    Case,
    EvaluationRun,
    assess,
    changes_from_ns,
    decide_evaluated,
    movement,
    tier_before,
)
from ledger.domain.events import PERIODIC, POST_TRIAL, CellKey, CellVolume, VolumeEvaluated
from ledger.domain.instants import DAY_NS, NEVER_NS
from ledger.domain.rules.end_day_close import Missing
from ledger.domain.state.account import AccountState, Grant
from tests.domain.worked import programme

DUE_NS = 20_004 * DAY_NS  # 2024-10-08
LATE_NS = DUE_NS + DAY_NS
WINDOW = (DUE_NS - 30 * DAY_NS, DUE_NS)
MILLION = 10**6 * 10**36
HELD = Grant("g1", "bitmart-api-vip", "VIP1", "EVALUATION", DUE_NS - 10 * DAY_NS, DUE_NS + 20 * DAY_NS)
KEPT = replace(HELD, valid_until_ns=NEVER_NS, under_review=True)


def decided(tier: str, *, kind: str = PERIODIC, grants: tuple[Grant, ...] = (), **changes: Any) -> VolumeEvaluated:
    found = Assessment(Case("alice", DUE_NS, WINDOW), (), (), MILLION, tier)
    return decide_evaluated(
        AccountState("alice", grants=grants), EvaluationRun(programme(**changes), kind, 7), found, LATE_NS
    )


def interval(event: VolumeEvaluated) -> tuple[int, int]:
    return (event.valid_from_ns - DUE_NS) // DAY_NS, (event.valid_until_ns - DUE_NS) // DAY_NS


def test_a_tier_is_a_grant_from_the_evaluation_on() -> None:
    event = decided("VIP2", grants=(HELD,))
    assert (event.grant_id, event.volume, event.read_position, interval(event)) == ("g2", "1000000", 7, (0, 30))
    assert interval(decided("VIP2", grant_term="next_calendar_month")) == (24, 54), "November"
    assert interval(decided("VIP2", effective_delay_ns=2 * DAY_NS)) == (2, 32)
    assert interval(decided("VIP2", kind=POST_TRIAL, effective_delay_ns=2 * DAY_NS)) == (0, 30), "there is no gap"


@pytest.mark.parametrize("tier", ["NONE", "MANUAL_REVIEW", "NEGATIVE_VOLUME"])
def test_what_is_no_tier_gives_no_grant(tier: str) -> None:
    event = decided(tier)
    assert (event.tier, event.grant_id, event.valid_from_ns, event.valid_until_ns) == (tier, "", 0, 0)
    assert changes_from_ns(event) == NEVER_NS


def test_above_the_table_the_tier_is_kept_without_a_delay_and_without_an_end() -> None:
    event = decided("MANUAL_REVIEW", grants=(HELD,), effective_delay_ns=2 * DAY_NS)
    assert (event.tier, event.kept_tier, event.grant_id) == ("MANUAL_REVIEW", "VIP1", "g2")
    assert (event.valid_from_ns, event.valid_until_ns, changes_from_ns(event)) == (DUE_NS, 0, DUE_NS)
    assert decided("MANUAL_REVIEW", grants=(HELD,), late_grant="from_record").valid_from_ns == LATE_NS
    trial = Grant("g1", "bitmart-api-vip", "VIP3", "TRIAL", DUE_NS - 30 * DAY_NS, DUE_NS)
    assert decided("MANUAL_REVIEW", kind=POST_TRIAL, grants=(trial,)).kept_tier == "VIP3", "that of the trial"
    assert decided("NEGATIVE_VOLUME", grants=(HELD,)).kept_tier == ""


@pytest.mark.parametrize(
    ("tier", "changes", "ended"),
    [
        ("VIP2", {}, DUE_NS),
        ("VIP2", {"effective_delay_ns": DAY_NS}, DUE_NS + DAY_NS),
        ("NONE", {"effective_delay_ns": DAY_NS}, DUE_NS),
        ("NONE", {"deactivation": "immediate"}, DUE_NS),
        ("NONE", {"late_grant": "from_record"}, LATE_NS),
        ("MANUAL_REVIEW", {}, DUE_NS),
        ("NEGATIVE_VOLUME", {}, 0),
    ],
)
def test_a_kept_tier_ends_where_a_later_evaluation_gives_or_takes_one(
    tier: str, changes: dict[str, Any], ended: int
) -> None:
    event = decided(tier, grants=(KEPT,), **changes)
    assert (event.ended_grant_ids, event.ended_time_ns) == ((("g1",), ended) if ended else ((), 0))


def test_an_evaluation_that_is_recorded_after_a_later_one_leaves_what_that_one_decided() -> None:
    coming = replace(KEPT, evaluated_ns=DUE_NS + 1)
    assert decided("VIP1", grants=(coming,)).ended_grant_ids == ()
    account = AccountState("alice", grants=(HELD,), evaluated=frozenset({("bitmart-api-vip", PERIODIC, LATE_NS)}))
    found = Assessment(Case("alice", DUE_NS, WINDOW), (), (), MILLION, "MANUAL_REVIEW")
    event = decide_evaluated(account, EvaluationRun(programme(), PERIODIC, 7), found, LATE_NS)
    assert (event.kept_tier, event.valid_until_ns) == ("VIP1", LATE_NS)


def test_only_a_volume_without_a_tier_ends_grants_and_only_where_the_programme_says_at_once() -> None:
    assert decided("NONE", grants=(HELD,)).ended_grant_ids == ()
    event = decided("NONE", grants=(HELD,), deactivation="immediate")
    assert (event.ended_grant_ids, event.ended_time_ns, changes_from_ns(event)) == (("g1",), DUE_NS, DUE_NS)
    for tier in ("VIP1", "MANUAL_REVIEW"):
        assert decided(tier, grants=(HELD,), deactivation="immediate").ended_grant_ids == ()
    assert decided("NONE", kind=POST_TRIAL, grants=(HELD,), deactivation="immediate").ended_grant_ids == ()


def test_from_record_nothing_changes_before_it_is_recorded() -> None:
    event = decided("VIP2", late_grant="from_record")
    assert (event.valid_from_ns, event.valid_until_ns) == (LATE_NS, DUE_NS + 30 * DAY_NS)
    ended = decided("NONE", grants=(HELD,), deactivation="immediate", late_grant="from_record")
    assert ended.ended_time_ns == LATE_NS
    assert decided("VIP2", late_grant="from_record", grant_term="P1D").grant_id == "", "it is over by then"


@pytest.mark.parametrize(
    ("before", "after", "moves"),
    [
        ("NONE", "VIP1", "GAINED"),
        ("VIP1", "VIP2", "UP"),
        ("VIP2", "VIP2", "STAYED"),
        ("VIP2", "VIP1", "DOWN"),
        ("VIP1", "NONE", "LOST"),
        ("NONE", "NONE", "NONE"),
        ("VIP5", "MANUAL_REVIEW", "REVIEW"),
        ("NONE", "NEGATIVE_VOLUME", "REVIEW"),
    ],
)
def test_a_tier_moves(before: str, after: str, moves: str) -> None:
    assert movement(programme(), before, after) == moves


def test_the_tier_before_is_that_of_a_grant_that_ends_with_the_evaluation() -> None:
    grants = (Grant("g1", "bitmart-api-vip", "VIP1", "MATCH", DUE_NS - 30 * DAY_NS, DUE_NS),)
    assert tier_before(AccountState("alice", grants=grants), programme(), DUE_NS) == "VIP1"
    assert tier_before(AccountState("alice", grants=grants), programme(), DUE_NS + 1) == "NONE"


def test_all_days_of_a_cell_are_one_sum_and_what_does_not_count_is_told_too() -> None:
    api, web = CellKey("USDT", 1, 1, False, False, False), CellKey("USDT", 1, 2, False, False, False)
    cells = {20_000: {api: MILLION, web: 5}, 20_001: {api: MILLION}}
    found = assess(programme(), Case("alice", DUE_NS, WINDOW), cells, {})
    assert isinstance(found, Assessment)
    assert (found.volume, found.tier) == (2 * MILLION, "VIP3")
    assert found.cells[0] == CellVolume("USDT", 1, 1, False, False, "2000000")
    assert found.cells[1].channel == 2


def test_a_close_that_is_missing_is_never_taken_as_zero() -> None:
    cells = {20_000: {CellKey("BTC", 1, 1, False, False, False): 1}}
    assert assess(programme(), Case("alice", DUE_NS, WINDOW), cells, {}) == Missing((("BTC", 20_000),))
    web = {20_000: {CellKey("BTC", 1, 2, False, False, False): 1}}
    assert isinstance(assess(programme(), Case("alice", DUE_NS, WINDOW), web, {}), Assessment), "it does not count"
