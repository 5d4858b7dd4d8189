"""R18, A31 over gRPC: whom an evaluation waits for, what a source says without a fill, what is caught up with."""

from __future__ import annotations

import time
from typing import Any, Final

import psycopg
import pytest

from ledger.domain.events import EvaluationCompleted, SourceAdvanced
from ledger.domain.instants import DAY_NS, SECOND_NS
from ledger.domain.refusal import Reason
from ledger.v1.control_service_pb2 import Finding, ListFindingsRequest
from ledger.v1.evaluation_service_pb2 import EVALUATION_KIND_POST_TRIAL as POST_TRIAL
from ledger.v1.evaluation_service_pb2 import PlanEvaluationRequest, RunEvaluationRequest
from ledger.v1.fill_service_pb2 import GetSourcePositionRequest, RecordFillsResponse, StreamFillsRequest
from projections.check import Check
from projections.check.findings import Finding as CheckFinding
from tests.conftest import NOON_NS, Ledger, StartLedger, at
from tests.e2e.rules.evaluating import DUE_NS, evaluated, run, trade
from tests.e2e.rules.log import events
from tests.projections.audited import audit
from tests.samples import FOUR_EYES, batch, fill, request_id, symbol
from tests.server.calls import await_tables, head, refused, send
from tests.server.orders import publish, trial

HOUR_NS: Final = 3_600 * SECOND_NS
LAST_NS: Final = DUE_NS - 12 * HOUR_NS  # when the source sent its last fill
THREE_DAYS_NS: Final = 3 * DAY_NS


@pytest.fixture
def ledger(start_ledger: StartLedger) -> Ledger:
    return with_market(start_ledger())


def with_market(ledger: Ledger) -> Ledger:
    send(ledger, symbol(price_scale=2, quantity_scale=2))
    return ledger


def sourced(ledger: Ledger, sequence: int, at_ns: int, source: str = "desk", **changes: Any) -> RecordFillsResponse:
    """A fill of a source over 100,000, as it happens."""
    ledger.clock.now_ns = max(ledger.clock.now_ns, at_ns)
    record = fill(last_px="1", last_qty="100000", transact_time=at(at_ns))
    answer: RecordFillsResponse = ledger.fills.RecordFills(
        batch(record, source=source, first_sequence=sequence, **changes)
    )
    assert answer.recorded == 1, answer
    return answer


def says(ledger: Ledger, until_ns: int, source: str = "desk", **changes: Any) -> RecordFillsResponse:
    """A heartbeat."""
    answer: RecordFillsResponse = ledger.fills.RecordFills(batch(source=source, complete_until=at(until_ns), **changes))
    return answer


def order(**changes: Any) -> RunEvaluationRequest:
    return RunEvaluationRequest(**{"request_id": request_id(), "authority": FOUR_EYES, **changes})


def found(ledger: Ledger, control: str, at_ns: int) -> list[Finding]:
    await_tables(ledger)
    return list(send(ledger, ListFindingsRequest(control=control, as_of=at(at_ns), within_days=60)).findings)


def advances(ledger: Ledger, source: str = "desk") -> list[SourceAdvanced]:
    return [event for event in events(ledger, f"source/{source}") if isinstance(event, SourceAdvanced)]


# -- heartbeats -------------------------------------------------------------------------------------------------------


def test_a_source_that_says_it_is_complete_is_not_waited_for(ledger: Ledger) -> None:
    sourced(ledger, 1, LAST_NS)
    ledger.clock.now_ns = DUE_NS + SECOND_NS
    await_tables(ledger)
    assert refused(ledger, order()).reason == "EVALUATION_WAITING"
    says(ledger, DUE_NS - 1)
    await_tables(ledger)
    message = refused(ledger, order()).message
    assert message.endswith("source desk has said that it is complete up to 2024-10-07T23:59:59.999999999Z")
    says(ledger, DUE_NS)
    run(ledger)
    assert [event.tier for event in evaluated(ledger)] == ["VIP1"]


def test_a_heartbeat_takes_no_number_and_says_how_far_the_source_is(ledger: Ledger) -> None:
    sourced(ledger, 1, LAST_NS)
    answer = says(ledger, LAST_NS + 5)
    assert (answer.source_sequence, answer.complete_until) == (1, at(LAST_NS + 5))
    assert (answer.recorded, answer.replayed, list(answer.refusals), answer.position) == (0, 0, [], head(ledger))
    assert advances(ledger)[-1] == SourceAdvanced(2, 1, 0, 0, (), LAST_NS, complete_until_ns=LAST_NS + 5)
    position = ledger.fills.GetSourcePosition(GetSourcePositionRequest(source="desk"))
    assert (position.last_sequence, position.complete_until) == (1, at(LAST_NS + 5))
    again = sourced(ledger, 2, LAST_NS + 9)
    assert (again.source_sequence, again.complete_until) == (2, at(LAST_NS + 5))


def test_it_never_goes_back_and_the_same_once_more_is_a_sign_of_life(ledger: Ledger) -> None:
    says(ledger, NOON_NS)
    before = head(ledger)
    assert says(ledger, NOON_NS - 1).complete_until == at(NOON_NS)
    assert head(ledger) == before, "an earlier one changes nothing"
    assert says(ledger, NOON_NS).complete_until == at(NOON_NS)
    assert head(ledger) == before + 1
    assert {event.complete_until_ns for event in advances(ledger)} == {NOON_NS}


def test_a_source_may_begin_with_a_heartbeat_and_number_its_first_fill_1(ledger: Ledger) -> None:
    assert says(ledger, NOON_NS - 7).source_sequence == 0
    assert sourced(ledger, 1, NOON_NS).source_sequence == 1
    assert [(event.first_sequence, event.last_sequence) for event in advances(ledger)] == [(1, 0), (1, 1)]


def test_a_heartbeat_may_come_with_fills_and_speaks_of_them_too(ledger: Ledger) -> None:
    answer = sourced(ledger, 1, NOON_NS, complete_until=at(NOON_NS + 1))
    assert answer.complete_until == at(NOON_NS + 1)
    assert found(ledger, "fills-after-heartbeat", NOON_NS + DAY_NS) == []


def test_a_heartbeat_with_a_number_leaves_no_gap(ledger: Ledger) -> None:
    """An engine whose last fills were lost on the way must not be believed that it has sent all."""
    sourced(ledger, 1, NOON_NS)
    request = batch(source="desk", first_sequence=3, complete_until=at(NOON_NS))
    found_ = refused(ledger, request)
    assert (found_.reason, found_.metadata) == (Reason.SEQUENCE_GAP.name, {"expected_sequence": "2"})
    assert says(ledger, NOON_NS, first_sequence=2).complete_until == at(NOON_NS)


def test_a_stream_takes_heartbeats_between_its_fills(ledger: Ledger) -> None:
    fills = [batch(fill(transact_time=at(NOON_NS)), source="desk", first_sequence=number) for number in (1, 2)]
    beats = [batch(source="desk", complete_until=at(NOON_NS - step)) for step in (9, 5)]
    sent = [StreamFillsRequest(batch=one) for one in (beats[0], fills[0], beats[1], fills[1])]
    answers = [one.batch for one in ledger.fills.StreamFills(iter(sent), timeout=20)]
    assert [one.source_sequence for one in answers] == [0, 1, 1, 2]
    assert [one.complete_until for one in answers] == [at(NOON_NS - step) for step in (9, 9, 5, 5)]


def test_refusals_of_before_are_told_again_however_many_heartbeats_lie_between(ledger: Ledger) -> None:
    request = batch(fill(last_px="1e5"), fill(), source="desk", first_sequence=1)
    says(ledger, NOON_NS - 9)
    first = ledger.fills.RecordFills(request)
    for step in range(3):
        says(ledger, NOON_NS - 8 + step)
    again = ledger.fills.RecordFills(request)
    assert [(one.index, one.reason) for one in again.refusals] == [(one.index, one.reason) for one in first.refusals]
    assert (again.replayed, again.source_sequence) == (1, 2)


def test_an_earlier_fill_after_it_is_taken_and_is_a_finding(ledger: Ledger) -> None:
    says(ledger, NOON_NS)
    sourced(ledger, 1, NOON_NS + 1)
    assert found(ledger, "fills-after-heartbeat", NOON_NS + DAY_NS) == []
    sourced(ledger, 2, NOON_NS - HOUR_NS)
    sourced(ledger, 3, NOON_NS + 2)
    sourced(ledger, 4, NOON_NS - 2 * HOUR_NS)
    (finding,) = found(ledger, "fills-after-heartbeat", NOON_NS + DAY_NS)
    assert (finding.finding_id, finding.details["earliest_fill"]) == (
        "fills-after-heartbeat/desk",
        "2024-10-04T10:00:00Z",
    )
    assert "2 times" in finding.message
    late = [(event.late_from_ns, event.late_version_before) for event in advances(ledger)]
    assert late == [(0, 0), (0, 0), (NOON_NS - HOUR_NS, 0), (0, 3), (NOON_NS - 2 * HOUR_NS, 3)]


def test_the_audit_and_the_check_know_heartbeats_and_what_came_after_them(
    start_ledger: StartLedger, dsn: str, schema: str
) -> None:
    ledger = with_market(start_ledger())
    for number, step in ((1, 0), (2, HOUR_NS), (3, 2)):
        says(ledger, NOON_NS)
        sourced(ledger, number, NOON_NS - step)
    says(ledger, NOON_NS, source="other")
    await_tables(ledger)
    assert [str(each) for each in audit(dsn, schema)[0]] == []
    with psycopg.connect(dsn, autocommit=True) as connection:
        assert [str(one) for one in Check(connection, schema).findings() if isinstance(one, CheckFinding)] == []


# -- silence ----------------------------------------------------------------------------------------------------------


def test_a_source_that_is_silent_for_three_days_holds_up_nobody_and_is_a_finding(ledger: Ledger) -> None:
    sourced(ledger, 1, LAST_NS)
    await_tables(ledger)
    ledger.clock.now_ns = LAST_NS + THREE_DAYS_NS
    assert refused(ledger, order()).reason == "EVALUATION_WAITING"
    assert found(ledger, "silent-sources", ledger.clock.now_ns) == []
    ledger.clock.now_ns += SECOND_NS
    (finding,) = found(ledger, "silent-sources", ledger.clock.now_ns)
    assert (finding.finding_id, finding.time) == ("silent-sources/desk", at(LAST_NS))
    assert "no sign since 2024-10-07T12:00:00Z" in finding.message
    run(ledger)
    assert [event.tier for event in evaluated(ledger)] == ["VIP1"]


def test_old_fills_and_heartbeats_are_signs_of_life(ledger: Ledger) -> None:
    """What counts is when the source was last heard, not of when it spoke."""
    for number in range(1, 4):
        ledger.clock.now_ns = LAST_NS + (number - 1) * THREE_DAYS_NS
        sourced(ledger, number, LAST_NS - HOUR_NS)
    says(ledger, LAST_NS)
    ledger.clock.now_ns += THREE_DAYS_NS
    await_tables(ledger)
    assert refused(ledger, order(instant=at(DUE_NS))).reason == "EVALUATION_WAITING"


def test_without_the_key_a_source_is_waited_for_however_long_it_is_silent(ledger: Ledger) -> None:
    send(ledger, publish("3.1", ("silent_after_hours = 72 ", "# ")))
    sourced(ledger, 1, LAST_NS)
    await_tables(ledger)
    ledger.clock.now_ns = LAST_NS + 9 * DAY_NS
    assert refused(ledger, order(instant=at(DUE_NS))).reason == "EVALUATION_WAITING"
    assert found(ledger, "silent-sources", ledger.clock.now_ns) == []


def test_silence_at_a_closed_position_is_that_of_its_own_time(ledger: Ledger) -> None:
    sourced(ledger, 1, LAST_NS)
    trade(ledger, "1", DUE_NS + SECOND_NS, "bob")
    position = head(ledger)
    await_tables(ledger)
    ledger.clock.now_ns = LAST_NS + 4 * DAY_NS
    closed = PlanEvaluationRequest(at={"known_at_position": position})
    for request, waits in ((closed, True), (PlanEvaluationRequest(), False)):
        assert bool(next(iter(ledger.evaluations.PlanEvaluation(request))).waiting_for) is waits
    assert refused(ledger, order(read_position=position - 1)).reason == "READ_POSITION_TOO_EARLY"


def test_the_end_of_a_trial_does_not_wait_for_a_silent_source(ledger: Ledger) -> None:
    send(ledger, trial("alice", start_time=at(LAST_NS - 29 * DAY_NS)))
    sourced(ledger, 1, LAST_NS)
    ledger.clock.now_ns = LAST_NS + 3 * DAY_NS
    run(ledger, kind=POST_TRIAL)
    assert evaluated(ledger) == []
    ledger.clock.now_ns += SECOND_NS
    run(ledger, kind=POST_TRIAL)
    assert [event.volume for event in evaluated(ledger)] == ["100000"]


# -- catching up ------------------------------------------------------------------------------------------------------


def test_the_finding_of_an_evaluation_that_was_not_run_names_whom_it_waits_for(ledger: Ledger) -> None:
    sourced(ledger, 1, LAST_NS)
    (finding,) = found(ledger, "evaluations-open", DUE_NS + HOUR_NS)
    assert finding.message.endswith("was not run; it waits: source desk has sent fills up to 2024-10-07T12:00:00Z")
    assert finding.details["waiting_for"] == "source desk has sent fills up to 2024-10-07T12:00:00Z"


def test_an_idle_source_stops_no_evaluation_and_missed_ones_are_run_in_order(start_ledger: StartLedger) -> None:
    """F6: its last fill is of the 7th; the service runs the 8th, the 18th and the 28th by itself, oldest first."""
    ledger = with_market(start_ledger(evaluate="automatic", evaluate_poll_ms=20))
    sourced(ledger, 1, LAST_NS)
    ledger.clock.now_ns = DUE_NS + 20 * DAY_NS + HOUR_NS
    until_s = time.monotonic() + 20
    while len(evaluated(ledger)) < 3:
        assert time.monotonic() < until_s
        time.sleep(0.01)
    assert [event.evaluated_time_ns for event in evaluated(ledger)] == [DUE_NS + days * DAY_NS for days in (0, 10, 20)]


def test_by_hand_the_oldest_missed_is_run_unless_one_is_named(ledger: Ledger) -> None:
    trade(ledger, "100000")
    ledger.clock.now_ns = DUE_NS + 20 * DAY_NS + HOUR_NS
    for days in (0, 10, 20):
        await_tables(ledger)
        first = next(iter(ledger.evaluations.PlanEvaluation(PlanEvaluationRequest())))
        told = run(ledger)[-1].evaluation
        assert first.instant == told.instant == at(DUE_NS + days * DAY_NS)
    assert refused(ledger, order()).reason == "EVALUATION_ALREADY_COMPLETED"
    streams = [f"evaluation/bitmart-api-vip/2024-10-{day}T00:00:00Z" for day in ("08", "18", "28")]
    assert all(isinstance(events(ledger, stream)[-1], EvaluationCompleted) for stream in streams[:2])
