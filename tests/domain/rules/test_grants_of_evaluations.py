"""R5, R14, R19, A7, A9, A10: the grant of an evaluation, when it begins, and what ends it."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.domain.instants import DAY_NS, SECOND_NS, day_number
from ledger.domain.rules.best_grant import best_grant
from ledger.domain.rules.deactivation import ended_by
from ledger.domain.rules.past_30_day_volume import evaluated_without, evaluation_grant
from ledger.domain.rules.post_trial import post_trial_grant, post_trial_window
from ledger.domain.state.account import Grant
from ledger.domain.state.programme import MANUAL_REVIEW, NEGATIVE_VOLUME, NO_TIER
from tests.domain.worked import programme


def ns(text: str) -> int:
    """Midnight UTC of a day."""
    return day_number(text) * DAY_NS


def grant(name: str, tier: str, from_ns: int, until_ns: int, source: str = "EVALUATION", **more: Any) -> Grant:
    return Grant(name, "bitmart-api-vip", tier, source, from_ns, until_ns, **more)


def name_at(grants: tuple[Grant, ...], at_ns: int, **switches: Any) -> str:
    found = best_grant(grants, programme(**switches), at_ns)
    return found.grant_id if found else ""


@pytest.mark.parametrize(
    ("switches", "interval"),
    [
        ({}, (ns("2026-02-08"), ns("2026-03-10"))),
        (
            {"effective_delay_ns": 60 * SECOND_NS},
            (ns("2026-02-08") + 60 * SECOND_NS, ns("2026-03-10") + 60 * SECOND_NS),
        ),
        ({"grant_term": "P1D"}, (ns("2026-02-08"), ns("2026-02-09"))),
        ({"grant_term": "next_calendar_month"}, (ns("2026-03-01"), ns("2026-04-01"))),
        ({"grant_term": "next_calendar_month", "effective_delay_ns": SECOND_NS}, (ns("2026-03-01"), ns("2026-04-01"))),
    ],
)
def test_a_grant_lasts_as_the_programme_says(switches: dict[str, Any], interval: tuple[int, int]) -> None:
    assert evaluation_grant(programme(**switches), tier="VIP1", evaluation_ns=ns("2026-02-08")) == interval


def test_the_last_months_of_a_year_are_followed_by_the_next_year() -> None:
    rules = programme(grant_term="next_calendar_month")
    november = evaluation_grant(rules, tier="VIP1", evaluation_ns=ns("2026-11-28"))
    assert november == (ns("2026-12-01"), ns("2027-01-01"))
    december = evaluation_grant(rules, tier="VIP1", evaluation_ns=ns("2026-12-28"))
    assert december == (ns("2027-01-01"), ns("2027-02-01"))


def test_after_a_trial_its_tier_begins_without_a_gap_and_without_a_delay() -> None:
    trial = grant("t", "VIP3", 0, 30 * DAY_NS, "TRIAL")
    rules = programme(effective_delay_ns=SECOND_NS, grant_term="next_calendar_month")
    assert post_trial_window(trial) == (0, 30 * DAY_NS)
    assert post_trial_grant(rules, tier="VIP2", trial_end_ns=30 * DAY_NS) == (30 * DAY_NS, 60 * DAY_NS)


def test_a_trial_that_was_cut_short_is_evaluated_for_as_long_as_it_lasted() -> None:
    assert post_trial_window(grant("t", "VIP3", 0, 30 * DAY_NS, "TRIAL", revoked_time_ns=DAY_NS)) == (0, DAY_NS)


@pytest.mark.parametrize(
    ("exec_ns", "recorded_ns", "late"),
    [(10, 40, True), (9, 40, False), (39, 40, True), (40, 40, False), (10, 39, False)],
)
def test_a_fill_of_the_window_recorded_after_it_came_too_late(exec_ns: int, recorded_ns: int, late: bool) -> None:
    assert evaluated_without((10, 40), evaluation_ns=40, exec_ns=exec_ns, recorded_ns=recorded_ns) is late


HIGH, LOW = grant("high", "VIP3", 0, 30), grant("low", "VIP1", 10, 40)


@pytest.mark.parametrize(("at_ns", "highest", "latest"), [(9, "high", "high"), (10, "high", "low"), (30, "low", "low")])
def test_a_later_evaluation_ends_an_earlier_one_only_if_the_programme_says_so(
    at_ns: int, highest: str, latest: str
) -> None:
    assert name_at((HIGH, LOW), at_ns) == highest
    assert name_at((LOW, HIGH), at_ns, grant_resolution="latest_evaluation_wins") == latest


@pytest.mark.parametrize("source", ["TRIAL", "MATCH", "MANUAL"])
def test_a_later_evaluation_leaves_every_other_source_alone(source: str) -> None:
    kept = grant("kept", "VIP3", 0, 30, source)
    assert name_at((kept, LOW), 10, grant_resolution="latest_evaluation_wins") == "kept"


def test_what_a_later_evaluation_ended_stays_ended() -> None:
    short = grant("short", "VIP1", 10, 12)
    assert name_at((HIGH, short), 12) == "high"
    assert name_at((HIGH, short), 12, grant_resolution="latest_evaluation_wins") == ""


def test_a_grant_that_was_revoked_before_it_began_ends_nothing() -> None:
    void = grant("void", "VIP1", 10, 40, revoked_time_ns=10)
    assert name_at((HIGH, void), 20, grant_resolution="latest_evaluation_wins") == "high"


def test_of_grants_that_begin_together_the_one_evaluated_last_counts() -> None:
    """Under next_calendar_month three evaluations of a month give the same interval."""
    first, second = (grant(f"e{at}", tier, 10, 40, evaluated_ns=at) for at, tier in ((8, "VIP5"), (9, "VIP1")))
    assert name_at((second, first), 10, grant_resolution="latest_evaluation_wins") == "e9"


@pytest.mark.parametrize(
    ("deactivation", "tier", "ended"),
    [
        ("at_grant_end", NO_TIER, []),
        ("immediate", NO_TIER, ["high", "coming"]),
        ("immediate", "VIP1", []),
        ("immediate", MANUAL_REVIEW, []),
        ("immediate", NEGATIVE_VOLUME, []),
    ],
)
def test_a_volume_that_gives_no_tier_ends_grants_of_evaluations_if_the_programme_says_so(
    deactivation: str, tier: str, ended: list[str]
) -> None:
    grants = (
        HIGH,
        grant("over", "VIP1", 0, 20),
        grant("coming", "VIP1", 25, 55),
        grant("hand", "VIP1", 0, 99, "MANUAL"),
        Grant("other", "another", "VIP1", "EVALUATION", 0, 99),
    )
    found = ended_by(grants, programme(deactivation=deactivation), tier=tier, evaluation_ns=20)
    assert [one.grant_id for one in found] == ended
