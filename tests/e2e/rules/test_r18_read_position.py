"""R18 over gRPC: what an evaluation knows at the position that it reads at, whatever is recorded after it."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.domain.events import EvaluationStarted
from ledger.domain.instants import DAY_NS, SECOND_NS
from ledger.v1.evaluation_service_pb2 import (
    GetEvaluationRequest,
    PlanEvaluationRequest,
    PlanEvaluationResponse,
    RunEvaluationRequest,
)
from ledger.v1.read_pb2 import ReadAt
from tests.conftest import Ledger, at
from tests.e2e.rules.evaluating import CALL_S_MAX, DUE_NS, evaluated, run, trade
from tests.e2e.rules.log import events
from tests.samples import FOUR_EYES, batch, fill, request_id, symbol
from tests.server.calls import await_tables, refused, send
from tests.server.orders import credit, publish, register, trial

STREAM = "evaluation/bitmart-api-vip/2024-10-08T00:00:00Z"


@pytest.fixture(autouse=True)
def _market(ledger: Ledger) -> None:
    send(ledger, symbol(price_scale=2, quantity_scale=2))


def sourced(ledger: Ledger, sequence: int, at_ns: int, volume: str = "100000") -> None:
    """A fill of alice's by the source `eng`."""
    ledger.clock.now_ns = max(ledger.clock.now_ns, at_ns)
    record = fill(last_px="1", last_qty=volume, transact_time=at(at_ns))
    assert ledger.fills.RecordFills(batch(record, source="eng", first_sequence=sequence)).recorded == 1


def order(read_position: int = 0, **changes: Any) -> RunEvaluationRequest:
    values = {"request_id": request_id(), "authority": FOUR_EYES, "read_position": read_position, **changes}
    return RunEvaluationRequest(**values)


def planned(ledger: Ledger, known: int, **changes: Any) -> list[PlanEvaluationResponse]:
    """All messages of a plan at a closed position."""
    await_tables(ledger)
    request = PlanEvaluationRequest(at=ReadAt(as_of=at(DUE_NS), known_at_position=known), **changes)
    return list(ledger.evaluations.PlanEvaluation(request, timeout=CALL_S_MAX))


def test_a_plan_at_a_closed_position_waits_for_the_same_sources_whatever_they_send_later(ledger: Ledger) -> None:
    """The source sends 900,000 of the last second before the instant, and then one fill of after it."""
    sourced(ledger, 1, DUE_NS - DAY_NS)
    ledger.clock.now_ns = DUE_NS + 5 * SECOND_NS
    trade(ledger, "1", DUE_NS + 5 * SECOND_NS, "bob")
    position = ledger.log.head().position
    first = planned(ledger, position)
    assert list(first[0].waiting_for) == ["source eng has sent fills up to 2024-10-07T00:00:00Z"]
    sourced(ledger, 2, DUE_NS - SECOND_NS, "900000")
    sourced(ledger, 3, DUE_NS + 10 * SECOND_NS, "1")
    assert planned(ledger, position) == first
    refusal = refused(ledger, order(position))
    assert (refusal.reason, "eng has sent fills up to 2024-10-07" in refusal.message) == ("EVALUATION_WAITING", True)
    run(ledger)
    assert [(event.volume, event.tier) for event in evaluated(ledger)] == [("1000000", "VIP2")]


def test_a_position_that_was_recorded_before_the_instant_is_refused(ledger: Ledger) -> None:
    """A plan made days before its time lacks the volume between the two."""
    position = ledger.log.head().position
    (caution,) = planned(ledger, position, instant=at(DUE_NS))[0].waiting_for
    assert caution.startswith(f"position {position} was recorded at 2024-10-04T12:00:00")
    trade(ledger, "3000000")
    ledger.clock.now_ns = DUE_NS + SECOND_NS
    refusal = refused(ledger, order(position, instant=at(DUE_NS)))
    assert (refusal.reason, refusal.field) == ("READ_POSITION_TOO_EARLY", "read_position")
    assert "plan again once the instant has come" in refusal.message
    assert list(planned(ledger, position, instant=at(DUE_NS))[0].waiting_for) == [caution]
    run(ledger)
    assert [event.tier for event in evaluated(ledger)] == ["VIP3"]


def test_the_last_position_is_never_too_early_and_neither_is_that_of_a_run_that_goes_on(ledger: Ledger) -> None:
    """Nothing was recorded since days before the instant: that is all there is to know."""
    trade(ledger, "100000")
    ledger.clock.now_ns = DUE_NS + SECOND_NS
    position = ledger.log.head().position
    await_tables(ledger)
    assert next(iter(ledger.evaluations.PlanEvaluation(PlanEvaluationRequest()))).waiting_for == []
    run(ledger, read_position=position)
    started = events(ledger, STREAM)[0]
    assert isinstance(started, EvaluationStarted)
    assert started.read_position == position


def test_one_version_is_named_everywhere_that_of_the_instant(ledger: Ledger) -> None:
    """F3: a version may start up to a minute before it is recorded; accounts are evaluated by what was known then."""
    trade(ledger, "500000")
    trade(ledger, "1", DUE_NS + SECOND_NS, "bob")
    position = ledger.log.head().position
    ledger.clock.now_ns = DUE_NS + 30 * SECOND_NS
    harder = ('VIP1 = "100000", VIP2 = "500000", VIP3', 'VIP1 = "600000", VIP2 = "900000", VIP3')
    send(ledger, publish("3.1", harder, valid_from=at(DUE_NS)))
    first = planned(ledger, position)[0]
    told = run(ledger, read_position=position)[-1].evaluation
    found = ledger.evaluations.GetEvaluation(GetEvaluationRequest(instant=at(DUE_NS))).evaluation
    (event,) = evaluated(ledger)
    versions = {one.programme_version for one in (first, told, found, events(ledger, STREAM)[0], event)}
    assert (versions, event.tier) == ({"3.0"}, "VIP2")


def test_a_plan_at_a_closed_position_knows_no_account_and_no_parent_of_later(ledger: Ledger) -> None:
    send(ledger, publish("3.1", ("aggregate_subaccounts = false", "aggregate_subaccounts = true")))
    trade(ledger, "400000", account_id="alice")
    trade(ledger, "300000", account_id="sub")
    position = ledger.log.head().position
    first = planned(ledger, position, instant=at(DUE_NS))
    assert first[-1].looked_at == first[0].total == 2
    send(ledger, register("sub", "alice", parent_account_id="alice"))
    trade(ledger, "1", account_id="carol")
    assert planned(ledger, position, instant=at(DUE_NS)) == first


def test_a_plan_of_trials_at_a_closed_position_is_not_changed_by_trials_of_later(ledger: Ledger) -> None:
    send(ledger, trial("alice", start_time=at(DUE_NS - 40 * DAY_NS)))
    ledger.clock.now_ns = DUE_NS
    position = ledger.log.head().position
    first = planned(ledger, position, kind=2)
    send(ledger, trial("bob", start_time=at(DUE_NS - 31 * DAY_NS)))
    assert planned(ledger, position, kind=2) == first


def test_a_plan_at_a_closed_position_takes_a_credit_for_no_volume_whatever_is_traded_that_day_later(
    ledger: Ledger,
) -> None:
    send(ledger, register("bob"))
    send(ledger, credit(account_id="bob"))
    position = ledger.log.head().position
    first = planned(ledger, position, instant=at(DUE_NS))
    assert [account for message in first for account in message.accounts] == []
    trade(ledger, "1", account_id="bob")
    assert planned(ledger, position, instant=at(DUE_NS)) == first
