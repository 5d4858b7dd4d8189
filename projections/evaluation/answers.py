"""PlanEvaluation and GetEvaluation: what an evaluation would give, and what became of one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from ledger.domain.commands import RunEvaluation
from ledger.domain.decide.evaluation_run import (
    fold_evaluation,
    instant_of,
    not_due,
    programme_evaluated,
    read_too_early,
)
from ledger.domain.events import PERIODIC, EvaluationCompleted, EvaluationStarted, Recorded
from ledger.domain.refusal import Reason, Refusal
from ledger.domain.state.programme import Programme
from ledger.domain.streams import evaluation_stream
from ledger.v1 import evaluation_service_pb2 as pb
from ledger.wire.commands.evaluations import KINDS
from ledger.wire.enums import set_words
from ledger.wire.fields import Shape, number, optional_id, read_ns
from ledger.wire.status import RefusedError, refuse, timestamp
from projections.as_of import Instant, Reader, check_times
from projections.evaluation.messages import counts_message, evaluation_message, planned_message
from projections.evaluation.missed import Missed
from projections.evaluation.plan import EvaluationPlan
from projections.evaluation.runs import Tally
from projections.evaluation.sources import signs, waiting_for
from projections.repricings import volume_on_the_move
from projections.tables.position import wait_for_tables

_ACCOUNTS_AT_ONCE: Final = 1_000  # that one message names


def plan_evaluation(
    reader: Reader, schema: str, request: pb.PlanEvaluationRequest
) -> Iterator[pb.PlanEvaluationResponse]:
    """Yield what an evaluation would give, some accounts at a time."""
    with Shape() as shape:
        command = _asked(shape, request)
        shape(check_times, request.at)
    view = reader.view(request.at, "")
    known, position, now_ns = view.instant, view.instant.known.position, reader.now_ns()
    programme = programme_evaluated(view.book, command, now_ns)
    if isinstance(programme, Refusal):
        raise RefusedError(programme)
    if command.kind == PERIODIC and command.instant_ns is None:
        missed = Missed(reader.log, reader.began_ns)
        command = replace(command, instant_ns=missed.first(view.book, programme.programme_id, now_ns, position))
        programme = programme_evaluated(view.book, command, now_ns)
        assert isinstance(programme, Programme), programme
    at_ns = instant_of(programme, command, now_ns)
    refused = not_due(programme, command.kind, at_ns, max(at_ns, now_ns))  # a plan may be ahead of its time
    if refused is not None:
        raise RefusedError(refused)
    wait_for_tables(reader, schema, position)
    plan = EvaluationPlan(
        reader.log,
        schema,
        programme_id=programme.programme_id,
        kind=command.kind,
        instant_ns=at_ns,
        known=position,
    )
    tally, total, looked_at = Tally(), plan.accounts(), 0
    first = pb.PlanEvaluationResponse(
        basis=known.basis(reader.ledger_id),
        programme_id=programme.programme_id,
        programme_version=plan.run.programme.version,
        kind=request.kind or pb.EVALUATION_KIND_PERIODIC,
        instant=timestamp(at_ns),
        waiting_for=_waits(reader, view.instant, programme, at_ns, now_ns),
        total=total,
    )
    yield first
    for chunk in plan.chunks(_ACCOUNTS_AT_ONCE):
        looked_at = chunk.looked_at
        tally.add(chunk)
        accounts = [planned_message(one) for one in chunk.planned]
        yield pb.PlanEvaluationResponse(accounts=accounts, looked_at=looked_at, total=max(total, looked_at))
    counts = counts_message(tally.completed(position))
    yield pb.PlanEvaluationResponse(looked_at=looked_at, total=looked_at, counts=counts)


def get_evaluation(reader: Reader, request: pb.GetEvaluationRequest) -> pb.GetEvaluationResponse:
    """Return an evaluation and its runs, as they were known."""
    with Shape() as shape:
        command = _asked(shape, request)
        shape(check_times, request.at)
    view = reader.view(request.at, "")
    as_of_ns = view.instant.as_of_ns
    programme = programme_evaluated(view.book, command, as_of_ns)
    if isinstance(programme, Refusal):
        raise RefusedError(programme)
    at_ns = instant_of(programme, command, as_of_ns)
    stream = evaluation_stream(programme.programme_id, command.kind, at_ns)
    events = [
        recorded
        for recorded in reader.log.streams([stream], view.instant.known.position)
        if isinstance(recorded.event, EvaluationStarted | EvaluationCompleted)
    ]
    if not events:
        refuse(Reason.EVALUATION_UNKNOWN, "instant", f"{stream} was never begun")
    state = fold_evaluation(events)
    assert state.started is not None, stream
    status = "RUNNING" if state.is_open else "COMPLETED" if state.is_done else "BLOCKED"
    response = pb.GetEvaluationResponse(
        basis=view.instant.basis(reader.ledger_id),
        evaluation=evaluation_message(state.started),
        runs=_runs(events),
    )
    set_words(response, status=status)
    return response


def _waits(reader: Reader, instant: Instant, programme: Programme, at_ns: int, now_ns: int) -> list[str]:
    """Say why a run that reads where a plan did would not begin, a line each.

    A closed known_at is judged by its own time alone, so that its answer never changes. What is still growing is
    known up to now.
    """
    position, known_ns = instant.known.position, instant.known.recorded_time_ns
    known_ns = now_ns if instant.known_at_open else known_ns
    early = read_too_early(position, known_ns, at_ns)
    lines = [early.detail] if early else []
    lines += waiting_for(signs(reader.log, position), programme, at_ns, known_ns)
    return [*lines, *volume_on_the_move(reader.log, position)]


def _asked(shape: Shape, request: pb.PlanEvaluationRequest | pb.GetEvaluationRequest) -> RunEvaluation:
    """Name the evaluation that a read is about."""
    return RunEvaluation(
        programme_id=shape(optional_id, request.programme_id, "programme_id"),
        kind=KINDS.get(shape(number, request.kind, tuple(KINDS), "kind"), PERIODIC),
        instant_ns=shape(read_ns, request.instant, "instant") if request.HasField("instant") else None,
    )


def _runs(events: list[Recorded]) -> list[pb.EvaluationRun]:
    runs: list[pb.EvaluationRun] = []
    for recorded in events:
        event, envelope = recorded.event, recorded.envelope
        if isinstance(event, EvaluationStarted):
            run = pb.EvaluationRun(
                position=recorded.position,
                started_time=timestamp(envelope.recorded_time_ns),
                actor=envelope.actor,
                approver=envelope.approver,
                read_position=event.read_position,
                complete_sources=event.complete_sources,
            )
            runs.append(run)
        elif isinstance(event, EvaluationCompleted):
            runs[-1].completed_time.CopyFrom(timestamp(envelope.recorded_time_ns))
            runs[-1].counts.CopyFrom(counts_message(event))
    return runs
