"""A run of an evaluation: what the read side plans goes to the writer a chunk at a time, with fills in between."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from ledger.caller import caller
from ledger.domain.commands import RunEvaluation
from ledger.domain.decide.evaluation import Assessment, Run
from ledger.domain.events import EvaluationCompleted, EvaluationStarted, Recorded
from ledger.domain.refusal import Reason
from ledger.server.command_rpc import request_of
from ledger.server.to_writer import Handling
from ledger.v1.evaluation_service_pb2 import EvaluationKind, RunEvaluationRequest
from ledger.wire.fields import Shape
from ledger.wire.status import RefusedError, refuse, timestamp
from ledger.writing.messages import Accepted, Answer, Ask, CompleteEvaluation, EvaluateAccounts

_log: Final = logging.getLogger(__name__)


class RunReads(Protocol):
    """Runs, as the read side knows them."""

    def ready(self, command: RunEvaluation) -> RunEvaluation:
        """The command with its instant, once all that it reads is there."""

    def plan(self, started: EvaluationStarted) -> Any:
        """A `projections.evaluation.plan.Plan`: what a run does."""

    def tally(self) -> Any:
        """A `projections.evaluation.runs.Tally` of nothing so far."""

    def outcome(self, started: Recorded) -> Recorded | None:
        """The event that a run has ended with; None: it has not."""

    def due(self) -> Iterator[RunEvaluation]:
        """Return what the ledger should run by itself."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is. `blocked` are accounts without a close, since the last time; `completed` comes last."""

    started: Accepted
    looked_at: int
    total: int
    blocked: Sequence[Any] = ()  # of `projections.evaluation.plan.Planned`
    completed: EvaluationCompleted | None = None
    position: int = 0  # a read at it sees what is told


class EvaluationRunner:
    """Runs evaluations, one at a time."""

    def __init__(self, handling: Handling, reads: RunReads) -> None:
        self._handling = handling
        self._reads = reads
        self._running = threading.Lock()
        self._over = threading.Event()

    def stop(self) -> None:
        """Begin no more chunks: the service ends."""
        self._over.set()

    def run(self, ask: Ask) -> Iterator[Progress]:
        """Begin a run, or go on with one, to its end. It stops where the caller hangs up, and can be gone on with.

        Refuses with EVALUATION_RUNNING or EVALUATION_WAITING, of which nothing is recorded, and as the writer does.
        """
        assert isinstance(ask.command, RunEvaluation)
        if not self._running.acquire(blocking=False):
            refuse(Reason.EVALUATION_RUNNING, "", "an evaluation is running: wait until it has ended")
        try:
            started = self._start(replace(ask, command=self._reads.ready(ask.command)))
            ended = self._reads.outcome(started.recorded)
            if ended is not None:  # the same request, after the run that it began
                yield _ended(started, 0, ended)
                return
            yield from self._evaluate(started)
        finally:
            self._running.release()

    def _is_over(self) -> bool:
        return self._over.is_set() or caller().hung_up

    def _start(self, ask: Ask) -> Accepted:
        answer = self._handling.submit(ask)
        assert isinstance(answer, Accepted), answer
        return answer

    def _evaluate(self, started: Accepted) -> Iterator[Progress]:
        """While the writer takes in some accounts the next ones are read: never more than two chunks in memory."""
        event = started.recorded.event
        assert isinstance(event, EvaluationStarted), event
        plan, tally = self._reads.plan(event), self._reads.tally()
        total, looked_at = plan.accounts(), 0
        yield Progress(started, 0, total, position=started.recorded.position)
        under_way: list[Future[Answer]] = []
        for chunk in plan.chunks():
            for one in chunk.planned:
                tally.add(one)
            for job in under_way:
                self._handling.wait(job)
            under_way = [self._handling.queue(job, self._is_over) for job in _jobs(started.recorded, chunk.planned)]
            looked_at = chunk.looked_at
            blocked = [one for one in chunk.planned if not isinstance(one.found, Assessment)]
            yield Progress(started, looked_at, max(total, looked_at), blocked, position=started.recorded.position)
            if caller().hung_up:
                return
        for job in under_way:
            self._handling.wait(job)
        completed = tally.completed(event.read_position)
        answer = self._handling.submit(CompleteEvaluation(started.recorded, completed))
        assert isinstance(answer, Accepted), answer
        yield _ended(started, looked_at, answer.recorded)


def _ended(started: Accepted, looked_at: int, recorded: Recorded) -> Progress:
    """The last that is told of a run: its end was recorded after all else."""
    assert isinstance(recorded.event, EvaluationCompleted), recorded
    return Progress(started, looked_at, looked_at, completed=recorded.event, position=recorded.position)


def _jobs(started: Recorded, planned: Sequence[Any]) -> list[EvaluateAccounts]:
    """Return jobs for the writer, one for each version of the programme; `planned` are those of a chunk."""
    found: dict[Run, list[Assessment]] = {}
    for one in planned:
        if isinstance(one.found, Assessment):
            found.setdefault(one.run, []).append(one.found)
    return [EvaluateAccounts(started, run, assessments) for run, assessments in found.items()]


class DueEvaluations:
    """A thread that runs what is due, on the days of the programmes and at the ends of trials."""

    def __init__(self, handling: Handling, runner: EvaluationRunner, reads: RunReads) -> None:
        self._handling = handling
        self._runner = runner
        self._reads = reads
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="evaluations", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the chunk under way: the run is gone on with at the next start."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(self._handling.config.evaluate_poll_ms / 1000):
            if not self._handling.writing:
                continue
            try:
                self._run_all_due()
            except Exception:
                _log.exception("an evaluation failed; it is tried again")

    def _run_all_due(self) -> None:
        """One that waits holds up those after it of its programme and kind: they are run in order. Others go on."""
        waiting: set[tuple[str, str]] = set()
        for command in self._reads.due():
            if (command.programme_id, command.kind) in waiting or self._stopping.is_set():
                continue
            try:
                self._run_due(command)
            except RefusedError as error:
                waiting.add((command.programme_id, command.kind))
                _log.info("an evaluation waits: %s", error)

    def _run_due(self, command: RunEvaluation) -> None:
        for progress in self._runner.run(Ask(request_of(Shape(), _request(command)), command)):
            if progress.completed is not None:
                _log.info("%s is evaluated: %s", progress.started.recorded.stream, progress.completed)
            if self._stopping.is_set():
                return


def _request(command: RunEvaluation) -> RunEvaluationRequest:
    """Return what the ledger asks of itself, as somebody would ask for it."""
    assert command.instant_ns is not None, command
    return RunEvaluationRequest(
        request_id=f"automatic-{uuid.uuid4().hex}",
        programme_id=command.programme_id,
        kind=EvaluationKind.Value(f"EVALUATION_KIND_{command.kind}"),
        instant=timestamp(command.instant_ns),
    )
