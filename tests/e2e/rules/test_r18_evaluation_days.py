"""R18 over gRPC: volume is evaluated on the 8th, 18th and 28th, once all that it reads is there."""

from __future__ import annotations

import time
from typing import Any

import pytest

from ledger.domain.events import EvaluationCompleted, EvaluationStarted
from ledger.domain.instants import DAY_NS, SECOND_NS
from ledger.v1.command_pb2 import Authority
from ledger.v1.evaluation_service_pb2 import PlanEvaluationRequest, RunEvaluationRequest
from ledger.v1.query_service_pb2 import GetRatesRequest
from tests.conftest import Ledger, StartLedger, at
from tests.e2e.rules.evaluating import DUE_NS, FROM_NS, evaluated, run, trade
from tests.e2e.rules.log import events
from tests.projections.audited import audit
from tests.samples import FOUR_EYES, batch, fill, request_id, state, symbol
from tests.server.calls import await_tables, refused, send

STREAM = "evaluation/bitmart-api-vip/2024-10-08T00:00:00Z"


@pytest.fixture
def ledger(start_ledger: StartLedger) -> Ledger:
    return with_market(start_ledger())


def with_market(ledger: Ledger) -> Ledger:
    send(ledger, symbol(price_scale=2, quantity_scale=2))
    return ledger


def order(**changes: Any) -> RunEvaluationRequest:
    values = {"request_id": request_id(), "authority": FOUR_EYES, **changes}
    return RunEvaluationRequest(**values)


def test_rates_say_when_volume_is_evaluated_next(ledger: Ledger) -> None:
    found = send(ledger, GetRatesRequest(account_id="alice"))
    assert (found.next_evaluation_time, found.window_from) == (at(DUE_NS), at(FROM_NS))


def test_a_run_is_of_the_last_day_due_unless_another_one_is_named(ledger: Ledger) -> None:
    trade(ledger, "100000")
    run(ledger)
    started, completed = events(ledger, STREAM)
    assert isinstance(started, EvaluationStarted)
    assert (started.instant_ns, started.window_from_ns, started.kind) == (DUE_NS, FROM_NS, "PERIODIC")
    assert isinstance(completed, EvaluationCompleted)
    assert completed.read_position == started.read_position
    run(ledger, instant=at(DUE_NS - 10 * DAY_NS))
    assert len(events(ledger, "evaluation/bitmart-api-vip/2024-09-28T00:00:00Z")) == 2
    assert [event.evaluated_time_ns for event in evaluated(ledger)] == [DUE_NS], "it had not traded by then"


def test_an_evaluation_that_is_not_due_or_of_another_day_is_refused(ledger: Ledger) -> None:
    assert refused(ledger, order(instant=at(DUE_NS))).reason == "EVALUATION_NOT_DUE"
    assert refused(ledger, order(instant=at(DUE_NS - DAY_NS))).reason == "EVALUATION_NOT_DUE"
    ledger.clock.now_ns = DUE_NS
    for instant_ns in (DUE_NS - DAY_NS, DUE_NS - 1):
        assert refused(ledger, order(instant=at(instant_ns))).reason == "NOT_AN_EVALUATION_DAY"
    assert run(ledger, instant=at(DUE_NS))[-1].HasField("counts")


def test_an_evaluation_takes_two_persons(ledger: Ledger) -> None:
    ledger.clock.now_ns = DUE_NS
    await_tables(ledger)  # until then a run would wait for them
    assert refused(ledger, order(authority=None)).reason == "ACTOR_REQUIRED"
    assert refused(ledger, order(authority=Authority(actor="ops-1"))).reason == "APPROVER_REQUIRED"
    assert events(ledger, STREAM)[0].__class__.__name__ == "CommandRefused"


def sourced(ledger: Ledger, sequence: int, at_ns: int, source: str = "engine") -> None:
    ledger.clock.now_ns = max(ledger.clock.now_ns, at_ns)
    record = fill(last_px="1", last_qty="100000", transact_time=at(at_ns))
    assert ledger.fills.RecordFills(batch(record, source=source, first_sequence=sequence)).recorded == 1


def test_an_evaluation_waits_until_every_source_has_passed_its_instant(ledger: Ledger) -> None:
    sourced(ledger, 1, DUE_NS - DAY_NS)
    sourced(ledger, 1, DUE_NS - DAY_NS, "other")
    ledger.clock.now_ns = DUE_NS + SECOND_NS
    await_tables(ledger)
    head = ledger.log.head().position
    waiting = refused(ledger, order())
    assert waiting.reason == "EVALUATION_WAITING"
    assert "source engine has sent fills up to 2024-10-07T00:00:00Z; source other" in waiting.message
    sourced(ledger, 2, DUE_NS - 1)
    sourced(ledger, 2, DUE_NS, "other")
    await_tables(ledger)
    assert "source other" not in refused(ledger, order()).message
    sourced(ledger, 3, DUE_NS)
    run(ledger)
    assert [event.volume for event in evaluated(ledger)] == ["300000"], "those at the instant come after it"
    assert ledger.log.head().position > head


def test_a_source_that_somebody_knows_to_be_complete_is_not_waited_for(ledger: Ledger) -> None:
    sourced(ledger, 1, DUE_NS - DAY_NS)
    ledger.clock.now_ns = DUE_NS + SECOND_NS
    await_tables(ledger)
    found = list(ledger.evaluations.PlanEvaluation(PlanEvaluationRequest()))
    assert list(found[0].waiting_for) == ["source engine has sent fills up to 2024-10-07T00:00:00Z"]
    run(ledger, complete_sources=["engine"])
    started = events(ledger, STREAM)[0]
    assert isinstance(started, EvaluationStarted)
    assert started.complete_sources == ("engine",)


def test_a_source_that_ended_before_the_window_is_not_waited_for(ledger: Ledger) -> None:
    sourced(ledger, 1, FROM_NS - 1)
    assert run(ledger)[-1].HasField("counts")


def test_an_evaluation_waits_for_the_tables(start_ledger: StartLedger) -> None:
    ledger = start_ledger(projections=False)
    ledger.clock.now_ns = DUE_NS
    assert refused(ledger, order()).reason == "EVALUATION_WAITING"


def test_state_and_rates_say_that_an_evaluation_is_pending(ledger: Ledger) -> None:
    trade(ledger, "100000")
    pending = [state(ledger, as_of=at(at_ns)).evaluation_pending for at_ns in (DUE_NS - 1, DUE_NS)]
    assert pending == [False, True]
    assert state(ledger, as_of=at(DUE_NS)).pending_evaluation_time == at(DUE_NS)
    assert send(ledger, GetRatesRequest(account_id="alice", at={"as_of": at(DUE_NS)})).evaluation_pending
    assert not state(ledger, "nobody", as_of=at(DUE_NS)).evaluation_pending
    position = run(ledger)[0].receipt.position
    assert not state(ledger, as_of=at(DUE_NS)).evaluation_pending
    assert state(ledger, as_of=at(DUE_NS), known_at_position=position).evaluation_pending


def test_the_service_runs_what_is_due_by_itself_if_it_is_told_to(
    start_ledger: StartLedger, dsn: str, schema: str
) -> None:
    ledger = with_market(start_ledger(evaluate="automatic", evaluate_poll_ms=20))
    trade(ledger, "100000")
    assert events(ledger, STREAM) == []
    ledger.clock.now_ns = DUE_NS
    until_s = time.monotonic() + 20
    while len(events(ledger, STREAM)) < 2:
        assert time.monotonic() < until_s
        time.sleep(0.01)
    assert [event.tier for event in evaluated(ledger)] == ["VIP1"]
    assert audit(dsn, schema)[0] == [], "its own requests are kept as anybody's"
