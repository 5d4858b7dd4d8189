"""R14 over gRPC: after the trial its own volume gives the tier, from its end on, without a gap."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.domain.instants import DAY_NS, SECOND_NS
from ledger.v1.evaluation_service_pb2 import EVALUATION_KIND_POST_TRIAL as POST_TRIAL
from ledger.v1.evaluation_service_pb2 import RunEvaluationRequest
from tests.conftest import NOON_NS, Ledger, at
from tests.e2e.rules.evaluating import counts, evaluated, plan, run, trade
from tests.samples import FOUR_EYES, state, symbol
from tests.server.calls import refused, send
from tests.server.orders import close, trial

START_NS = NOON_NS - 30 * DAY_NS + SECOND_NS  # its last second is the tests' first
END_NS = NOON_NS + SECOND_NS


@pytest.fixture(autouse=True)
def _trial(ledger: Ledger) -> None:
    send(ledger, symbol(price_scale=2, quantity_scale=2))
    send(ledger, trial("alice", start_time=at(START_NS)))


def waits(ledger: Ledger, at_ns: int, **read_at: Any) -> bool:
    """Whether the end of the trial is said to wait for its evaluation."""
    return state(ledger, as_of=at(at_ns), **read_at).pending_evaluation_time == at(END_NS)


@pytest.mark.parametrize(
    ("volume", "expected"), [("2000000", "VIP3"), ("1999999.99", "VIP2"), ("100000", "VIP1"), ("99999.99", "NONE")]
)
def test_the_volume_of_the_trial_gives_the_tier_from_its_end_on(ledger: Ledger, volume: str, expected: str) -> None:
    trade(ledger, volume, START_NS)
    trade(ledger, "5000000", START_NS - 1)
    ledger.clock.now_ns = END_NS + DAY_NS
    assert [waits(ledger, at_ns) for at_ns in (END_NS - 1, END_NS)] == [False, True]
    run(ledger, kind=POST_TRIAL)
    (event,) = evaluated(ledger)
    assert (event.kind, event.evaluated_time_ns, event.volume, event.tier) == ("POST_TRIAL", END_NS, volume, expected)
    assert (event.window_from_ns, event.window_until_ns) == (START_NS, END_NS)
    tiers = [state(ledger, as_of=at(at_ns)).tier for at_ns in (END_NS - 1, END_NS, END_NS + 30 * DAY_NS)]
    assert tiers == ["VIP3", expected, "NONE"]
    assert not waits(ledger, END_NS)
    assert waits(ledger, END_NS, known_at_position=event.read_position)


def test_a_trial_that_runs_is_not_evaluated(ledger: Ledger) -> None:
    trade(ledger, "2000000", NOON_NS)
    assert plan(ledger, kind=POST_TRIAL, instant=at(END_NS - 1)) == []
    (found,) = plan(ledger, kind=POST_TRIAL, instant=at(END_NS))
    assert (found.tier_before, found.tier_after, found.movement) == ("VIP3", "VIP3", "STAYED")
    request = RunEvaluationRequest(request_id="early", authority=FOUR_EYES, kind=POST_TRIAL, instant=at(END_NS))
    assert refused(ledger, request).reason == "EVALUATION_NOT_DUE"


def test_a_trial_is_evaluated_once_and_those_that_end_later_by_later_runs(ledger: Ledger) -> None:
    send(ledger, trial("bob", start_time=at(START_NS - DAY_NS)))
    ledger.clock.now_ns = END_NS - DAY_NS
    assert [one.account_id for one in plan(ledger, kind=POST_TRIAL, instant=at(END_NS - DAY_NS))] == ["bob"]
    ledger.clock.now_ns = END_NS + DAY_NS
    assert counts(run(ledger, kind=POST_TRIAL, instant=at(END_NS - DAY_NS))) == {"evaluated": 1, "lost": 1}
    assert counts(run(ledger, kind=POST_TRIAL, instant=at(END_NS))) == {"evaluated": 1, "lost": 1}
    assert counts(run(ledger, kind=POST_TRIAL, instant=at(END_NS + 1))) == {}
    assert [len(evaluated(ledger, name)) for name in ("alice", "bob")] == [1, 1]


def test_the_day_on_which_a_trial_ends_takes_the_close_before_it(ledger: Ledger) -> None:
    """A30: the trial ends at noon; the close of that day comes at midnight."""
    send(ledger, symbol("XRP_BTC"))
    trade(ledger, "2", NOON_NS, symbol="XRP_BTC")
    send(ledger, close("BTC", "2024-10-03", "50000"))
    ledger.clock.now_ns = END_NS + DAY_NS
    send(ledger, close("BTC", "2024-10-04", "1"))
    run(ledger, kind=POST_TRIAL)
    assert [(event.volume, event.tier) for event in evaluated(ledger)] == [("100000", "VIP1")]
