"""The one thread that writes: takes all that waits, lets the service decide, and answers. Terms begin and end here."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Final, NamedTuple

from eventsourcing.persistence import PersistenceError

from ledger.config import Config
from ledger.domain.refusal import Reason, Refusal
from ledger.store.postgres.embedded import EmbeddedError
from ledger.store.writer import Writer, WriterLost
from ledger.wire.status import INTERNAL, NOT_THE_WRITER, OUTCOME_UNKNOWN, RefusedError, refuse
from ledger.writing.messages import Answer, EvaluateAccounts, Input, Sent, Unread, Unsettled
from ledger.writing.service import Service

_log: Final = logging.getLogger(__name__)

_FILLS_FIRST: Final = 5_000  # in the first commit of a term, which has nothing in memory
_FILLS_LEAST: Final = 500
_COMMIT_S_LONG: Final = 2.0
_MANY: Final = 8  # callers that had one commit
_GATHER_S: Final = 0.001  # if nobody came for so long, those that wait are all
_GATHER_S_MAX: Final = 0.02
_WORTH_A_COMMIT: Final = 256  # deciding so many fills takes about as long as making a commit of any size

Job = tuple[Input, "Future[Answer]"]
Queued = tuple[Sent, "Future[Answer]"]


class WriterThread:
    """Serves commands from a bounded queue. Without the pen it is a standby: it refuses commands and tries again."""

    def __init__(
        self,
        config: Config,
        writer: Writer,
        begin_term: Callable[[], Service],
        clock_ns: Callable[[], int],
        ensure_store: Callable[[], None],
    ) -> None:
        self._config = config
        self._writer = writer
        self._begin_term = begin_term
        self._clock_ns = clock_ns
        self._ensure_store = ensure_store
        self._queue: deque[Queued] = deque()
        self._waiting = 0
        self._last_weight = self._last_count = 0
        self._wanted = 1  # so much must wait for the thread to be woken
        mutex = threading.RLock()
        self._changed = threading.Condition(mutex)
        self._room = threading.Condition(mutex)
        self._stopping = False
        self._writing = False
        self._open: _Open | None = None
        self._pace = _Pace(config.commit_fills_max)
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Finish what waits, give up the pen, end."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join()

    def wait_until_writing(self, timeout_s: float) -> bool:
        """Whether this process holds the pen, after at most so many seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._writing or self._stopping, timeout_s) and self._writing

    @property
    def writing(self) -> bool:
        """Whether this process holds the pen."""
        return self._writing

    def wait_for_room(self, job: Sent, timeout_s: float) -> bool:
        """Whether the queue can take a command, after at most so many seconds; so it can if nothing is written."""
        with self._room:
            return self._room.wait_for(lambda: not self._writing or self._stopping or self._has_room(job), timeout_s)

    def _has_room(self, job: Sent) -> bool:
        return not self._waiting or self._waiting + _weight(job) <= self._config.queue_fills_max

    def submit(self, job: Sent) -> Future[Answer]:
        """Queue a command. Raises RefusedError where it cannot be taken."""
        weight = _weight(job)
        future: Future[Answer] = Future()
        with self._changed:
            if not self._writing or self._stopping:
                raise RefusedError(NOT_THE_WRITER)
            if not self._has_room(job):
                refuse(Reason.QUEUE_FULL, "", f"{self._waiting} fills wait already")
            self._queue.append((job, future))
            self._waiting += weight
            if self._waiting >= self._wanted:
                self._changed.notify_all()
        return future

    # -- the thread ---------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping:
            try:
                self._ensure_store()
                if self._writer.take():
                    self._settle()
                    self._serve(self._begin_term())
                else:
                    self._answer_open(OUTCOME_UNKNOWN)  # another process has the pen: a resend there will tell
                    self._drop_queue()
            except (WriterLost, PersistenceError, EmbeddedError) as lost:
                _log.warning("the term of the writer ended: %s", str(lost).strip())
            except Exception:
                _log.exception("no term could be started")
            self._set_writing(False)
            self._give_up_if_overdue()
            self._pause()
        self._writer.close()
        self._answer_open(OUTCOME_UNKNOWN)
        self._drop_queue()

    def _serve(self, service: Service) -> None:
        """One term: ends when the process stops, or with WriterLost."""
        service.landed = self._wake
        self._set_writing(True)
        self._pace = _Pace(self._config.commit_fills_max)
        flying: list[Job] = []  # what the commit on its way answers
        jobs: list[Job] = []
        try:
            while queued := self._take_jobs(service):
                began_s = time.monotonic()
                jobs = _read(queued)
                self._send(service, jobs)
                flying, jobs = jobs, []
                self._pace.took(time.monotonic() - began_s)
            service.settle()
        except (WriterLost, PersistenceError):
            self._lose(service, flying, jobs)
            raise
        finally:
            service.close()

    def _send(self, service: Service, jobs: Sequence[Job]) -> None:
        try:
            at_once = self._last_weight < _WORTH_A_COMMIT
            service.send([job for job, _ in jobs], self._clock_ns(), partial(_answer, jobs), at_once=at_once)
        except (WriterLost, PersistenceError):
            raise
        except Exception:
            _log.exception("a batch of commands failed; each is tried alone")
            self._send_alone(service, jobs)

    def _send_alone(self, service: Service, jobs: Sequence[Job]) -> None:
        """A defect that one command triggers must not take others with it."""
        for place, job in enumerate(jobs):
            try:
                service.send([job[0]], self._clock_ns(), partial(_answer, [job]))
                service.settle()
            except (WriterLost, PersistenceError):
                self._lose(service, [job], jobs[place + 1 :])
                raise
            except Exception:
                _log.exception("a command failed")
                _refuse_all([job], INTERNAL)

    def _lose(self, service: Service, flying: Sequence[Job], behind: Sequence[Job]) -> None:
        """A commit did not arrive, as far as is known; what was decided on it, or not at all, was not recorded."""
        with suppress(WriterLost, PersistenceError):
            service.settle()
        unanswered = [job for job in flying if not job[1].done()]
        if unanswered and self._open is None:
            self._open = _Open(service.unsettled, unanswered, time.monotonic())
        open_jobs = self._open.jobs if self._open is not None else ()
        _refuse_all([job for job in behind if not job[1].done() and job not in open_jobs], OUTCOME_UNKNOWN)

    def _settle(self) -> None:
        """With the pen again: find out what became of the commit whose acknowledgement was lost."""
        if self._open is None:
            return
        unsettled, jobs = self._open.unsettled, self._open.jobs
        if unsettled is None or not self._writer.committed(unsettled.commit):
            self._answer_open(OUTCOME_UNKNOWN)
            return
        self._open = None
        for (_, future), answer in zip(jobs, unsettled.answers, strict=True):
            future.set_result(answer)

    def _give_up_if_overdue(self) -> None:
        overdue_s = self._config.reconnect_ms_max / 1000
        if self._open is not None and time.monotonic() - self._open.since_s > overdue_s:
            self._answer_open(OUTCOME_UNKNOWN)

    def _answer_open(self, refusal: Refusal) -> None:
        if self._open is not None:
            _refuse_all(self._open.jobs, refusal)
            self._open = None

    # -- the queue ----------------------------------------------------------------------------------------------------

    def _take_jobs(self, service: Service) -> list[Queued]:
        """All that waits, up to a commit's worth; nothing when the process stops and none waits, or a commit is lost.

        While a commit is on its way, as much is gathered as half of it, and no little: the next one should be worth its
        while.
        """
        self._wait_for_jobs(service)
        self._gather()
        jobs: list[Queued] = []
        weight = 0
        with self._changed:
            if service.lost:
                return []
            while self._queue and (not jobs or weight + _weight(self._queue[0][0]) <= self._pace.fills):
                jobs.append(self._queue.popleft())
                weight += _weight(jobs[-1][0])
            self._waiting -= weight
            self._room.notify_all()
        self._last_weight, self._last_count = weight, len(jobs)
        return jobs

    def _wait_for_jobs(self, service: Service) -> None:
        """A database that dies is noticed also when nobody writes: who reads needs it started again."""
        while True:
            with self._changed:
                if self._changed.wait_for(
                    lambda: self._stopping or service.lost or self._enough_waits(service),
                    self._config.writer_check_ms / 1000,
                ):
                    return
            if not service.on_its_way:
                self._writer.check()

    def _gather(self) -> None:
        """Where many callers had one commit, more than those that wait are about to come: it goes on while they do."""
        with self._changed:
            seen, until_s = 0, time.monotonic() + _GATHER_S_MAX
            self._wanted = _WORTH_A_COMMIT
            while (
                self._last_count >= _MANY
                and seen < len(self._queue)
                and self._waiting < _WORTH_A_COMMIT
                and time.monotonic() < until_s
            ):
                seen = len(self._queue)
                self._changed.wait(_GATHER_S)

    def _enough_waits(self, service: Service) -> bool:
        """Whether a commit's worth waits; until then nobody wakes the thread but for the landing of the last one."""
        self._wanted = max(-(-self._last_weight // 2), _WORTH_A_COMMIT) if service.on_its_way else 1
        return self._waiting >= self._wanted

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _drop_queue(self) -> None:
        with self._changed:
            jobs = list(self._queue)
            self._queue.clear()
            self._waiting = 0
        _refuse_all(jobs, NOT_THE_WRITER)

    def _set_writing(self, writing: bool) -> None:
        with self._changed:
            self._writing = writing
            self._changed.notify_all()

    def _pause(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopping, self._config.standby_poll_ms / 1000)


class _Pace:
    """How many fills a commit takes: fewer while they take long, as where many account-days are read from the log.

    Then those that wait are answered little by little, and not all of them too late.
    """

    def __init__(self, fills_max: int) -> None:
        self._fills_max = fills_max
        self.fills = min(_FILLS_FIRST, fills_max)

    def took(self, seconds: float) -> None:
        """What the last commit took: as many as the pace allows, or fewer."""
        more = self.fills // 2 if seconds > _COMMIT_S_LONG else 2 * self.fills
        self.fills = min(max(more, _FILLS_LEAST), self._fills_max)


class _Open(NamedTuple):
    """Jobs whose outcome is open since a moment of the monotonic clock."""

    unsettled: Unsettled | None
    jobs: Sequence[Job]
    since_s: float


def _read(queued: Sequence[Queued]) -> list[Job]:
    """What is asked, with all batches read together; who asked what has no shape is told so."""
    unread = [job for job, _ in queued if isinstance(job, Unread)]
    read = iter(unread[0].read(unread) if unread else ())
    jobs: list[Job] = []
    for job, future in queued:
        asked = next(read) if isinstance(job, Unread) else job
        if isinstance(asked, RefusedError):
            future.set_exception(asked)
        elif isinstance(asked, Exception):
            future.set_exception(RefusedError(INTERNAL))
        else:
            jobs.append((asked, future))
    return jobs


def _answer(jobs: Sequence[Job], answers: Sequence[Answer]) -> None:
    for (_, future), answer in zip(jobs, answers, strict=True):
        future.set_result(answer)


def _weight(job: Sent) -> int:
    if isinstance(job, Unread):
        return job.size
    return max(len(job.assessments), 1) if isinstance(job, EvaluateAccounts) else 1


def _refuse_all(jobs: Sequence[Job] | Sequence[Queued], refusal: Refusal) -> None:
    for _, future in jobs:
        future.set_exception(RefusedError(refusal))
