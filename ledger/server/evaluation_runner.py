"""Runs evaluations: the plan of the read side goes to the writer a chunk at a time, with fills in between."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NoReturn, Protocol

import psycopg
from eventsourcing.persistence import PersistenceError

from ledger.caller import caller
from ledger.domain.commands import RunEvaluation
from ledger.domain.decide.evaluation import Assessment, EvaluationRun
from ledger.domain.events import EvaluationCompleted, EvaluationStarted, Recorded
from ledger.domain.refusal import Reason
from ledger.seldom import Seldom
from ledger.server.command_rpc import request_of
from ledger.server.to_writer import ToWriter
from ledger.v1.evaluation_service_pb2 import EvaluationKind, RunEvaluationRequest
from ledger.wire.fields import Shape
from ledger.wire.status import RefusedError, refuse, timestamp
from ledger.writing.messages import Accepted, AnswerToCome, CompleteEvaluation, DecideCommand, EvaluateAccounts

_BLOCKED_AT_ONCE: Final = 1_000  # accounts that one message names
_log: Final = logging.getLogger(__name__)
_failing: Final = Seldom(_log)
_unread: Final = Seldom(_log)


class RunReads(Protocol):
    """The runs, as the read side knows them."""

    def ready(self, command: RunEvaluation) -> RunEvaluation:
        """Return the command with its instant. Raises RefusedError until all that it reads is there."""

    def plan(self, started: EvaluationStarted) -> Any:
        """Return the `projections.evaluation.plan.Plan` of a run."""

    def tally(self) -> Any:
        """Return an empty `projections.evaluation.runs.Tally`."""

    def outcome(self, started: Recorded) -> Recorded | None:
        """Return the event that ended a run; None: it has not ended."""

    def due(self) -> Iterator[RunEvaluation]:
        """Yield the commands that the ledger should run by itself."""


@dataclass(frozen=True, slots=True)
class RunProgress:
    """The progress of a run. `blocked` are the accounts of a chunk that lack a close; `completed` comes last."""

    started: Accepted
    looked_at: int
    total: int
    blocked: Sequence[Any] = ()  # of `projections.evaluation.plan.Planned`
    completed: EvaluationCompleted | None = None
    position: int = 0  # a read at this position sees all that is counted here


class EvaluationRunner:
    """Runs evaluations, one at a time."""

    def __init__(self, to_writer: ToWriter, reads: RunReads) -> None:
        self._to_writer = to_writer
        self._reads = reads
        self._running = threading.Lock()
        self._over = threading.Event()

    def stop(self) -> None:
        """Begin no more chunks: the service ends."""
        self._over.set()

    def run(self, job: DecideCommand) -> Iterator[RunProgress]:
        """Begin a run, or go on with one, to its end. It stops where the caller hangs up; the next call goes on.

        Refuses with EVALUATION_RUNNING or EVALUATION_WAITING, which are not recorded, and as the writer does.
        """
        assert isinstance(job.command, RunEvaluation)
        if job.validate_only:
            yield self._previewed(job, job.command)
            return
        if not self._running.acquire(blocking=False):
            _refuse_running()
        try:
            started = self._recorded(replace(job, command=self._reads.ready(job.command)))
            ended = self._reads.outcome(started.recorded)
            if ended is not None:  # the same request, after the run that it began
                yield _ended(started, 0, ended)
                return
            yield from self._evaluate(started)
        finally:
            self._running.release()

    def _previewed(self, job: DecideCommand, command: RunEvaluation) -> RunProgress:
        """Return that a run would begin, or how the run of this request is. It refuses as `run` does."""
        if self._running.locked():
            _refuse_running()
        started = self._recorded(replace(job, command=self._reads.ready(command)))
        ended = self._reads.outcome(started.recorded) if started.replayed else None
        if ended is not None:
            return _ended(started, 0, ended)
        return RunProgress(started, 0, 0, position=started.recorded.position if started.replayed else 0)

    def _is_over(self) -> bool:
        return self._over.is_set() or caller().hung_up

    def _recorded(self, job: DecideCommand | CompleteEvaluation) -> Accepted:
        answer = self._to_writer.submit(job)
        assert isinstance(answer, Accepted), answer
        return answer

    def _evaluate(self, started: Accepted) -> Iterator[RunProgress]:
        """Read a chunk of accounts while the writer takes in the one before: two chunks are in memory at most."""
        event = started.recorded.event
        assert isinstance(event, EvaluationStarted), event
        plan, tally = self._reads.plan(event), self._reads.tally()
        total, looked_at = plan.accounts(), 0
        yield RunProgress(started, 0, total, position=started.recorded.position)
        under_way: list[AnswerToCome] = []
        for chunk in plan.chunks():
            tally.add(chunk)
            for job in under_way:
                self._to_writer.wait(job)
            under_way = [self._to_writer.queue(job, self._is_over) for job in _jobs(started.recorded, chunk)]
            looked_at = chunk.looked_at
            blocked = [one for one in chunk.others if not isinstance(one.found, Assessment)]
            for first in range(0, max(len(blocked), 1), _BLOCKED_AT_ONCE):
                some, position = blocked[first : first + _BLOCKED_AT_ONCE], started.recorded.position
                yield RunProgress(started, looked_at, max(total, looked_at), some, position=position)
            if caller().hung_up:
                return
        for job in under_way:
            self._to_writer.wait(job)
        completed = CompleteEvaluation(started.recorded, tally.completed(event.read_position))
        yield _ended(started, looked_at, self._recorded(completed).recorded)


def _refuse_running() -> NoReturn:
    refuse(Reason.EVALUATION_RUNNING, "", "an evaluation is running: wait until it has ended")


def _ended(started: Accepted, looked_at: int, recorded: Recorded) -> RunProgress:
    """Return the last progress of a run, by the event that ended it, which was recorded after all else."""
    assert isinstance(recorded.event, EvaluationCompleted), recorded
    return RunProgress(started, looked_at, looked_at, completed=recorded.event, position=recorded.position)


def _jobs(started: Recorded, chunk: Any) -> list[EvaluateAccounts]:
    """Return jobs for the writer, one for each version of the programme among the accounts of a chunk."""
    others: dict[EvaluationRun, list[Assessment]] = {each.run: [] for each in chunk.alike}
    for one in chunk.others:
        if isinstance(one.found, Assessment):
            others.setdefault(one.run, []).append(one.found)
    jobs = []
    for run, assessments in others.items():
        alike = [each.found for each in chunk.alike if each.run == run]
        jobs.append(EvaluateAccounts(started, run, assessments, alike, chunk.states))
    return jobs


class DueEvaluations:
    """A thread that runs the evaluations that are due, on the days of the programmes and at the ends of trials."""

    def __init__(self, to_writer: ToWriter, runner: EvaluationRunner, reads: RunReads) -> None:
        self._to_writer = to_writer
        self._runner = runner
        self._reads = reads
        self._told: dict[tuple[str, str], str] = {}  # why an evaluation waits, by programme and kind
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="evaluations", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the chunk under way: the next start goes on with the run."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(self._to_writer.config.evaluate_poll_ms / 1000):
            if not self._to_writer.writing:
                continue
            try:
                self._run_all_due()
            except (PersistenceError, psycopg.Error) as error:
                _unread.warning("evaluations wait for the store: %s", " ".join(str(error).split()))
            except Exception:
                _failing.exception("a defect: an evaluation failed; it is tried again")

    def _run_all_due(self) -> None:
        """Run all that are due. One that waits holds up those of its programme and kind after it: they run in order."""
        waiting: set[tuple[str, str]] = set()
        for command in self._reads.due():
            place = command.programme_id, command.kind
            if place in waiting or self._stopping.is_set():
                continue
            try:
                self._run_due(command)
                self._told.pop(place, None)
            except RefusedError as error:
                waiting.add(place)
                if self._told.get(place) != str(error):  # it may wait for days
                    self._told[place] = str(error)
                    _log.warning("the %s evaluation of %s waits: %s", command.kind, command.programme_id, error)

    def _run_due(self, command: RunEvaluation) -> None:
        for progress in self._runner.run(DecideCommand(request_of(Shape(), _request(command)), command)):
            if progress.completed is not None:
                _log.info("%s is evaluated: %s", progress.started.recorded.stream, progress.completed)
            if self._stopping.is_set():
                return


def _request(command: RunEvaluation) -> RunEvaluationRequest:
    """Return the request that somebody would send to run an evaluation that the ledger runs by itself."""
    assert command.instant_ns is not None, command
    return RunEvaluationRequest(
        request_id=f"automatic-{uuid.uuid4().hex}",
        programme_id=command.programme_id,
        kind=EvaluationKind.Value(f"EVALUATION_KIND_{command.kind}"),
        instant=timestamp(command.instant_ns),
    )
