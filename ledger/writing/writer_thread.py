"""The one thread that writes: takes all that waits, lets the service decide, and answers. Terms begin and end here."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Final, NamedTuple

from eventsourcing.persistence import PersistenceError

from ledger.clock import ClockLeapError, WallClock, leap_refusal
from ledger.config import Config
from ledger.domain.refusal import Reason, Refusal
from ledger.seldom import Seldom
from ledger.store.postgres.embedded import EmbeddedError
from ledger.store.postgres.keeper import Keeper
from ledger.store.writer import Writer, WriterLost
from ledger.wire.status import INTERNAL, NOT_THE_WRITER, OUTCOME_UNKNOWN, RefusedError, refuse
from ledger.wire.store_faults import STORE_FULL, is_rolled_back, is_session_lost, refusal_of
from ledger.writing.backoff import Backoff
from ledger.writing.messages import Answer, Ask, EvaluateAccounts, Input, Refused, Sent, Unread, Unsettled
from ledger.writing.pulse import Pulse
from ledger.writing.queue import FairQueue
from ledger.writing.service import Service

_log: Final = logging.getLogger(__name__)
_failing: Final = Seldom(_log)

_STORE_ERRORS: Final = (WriterLost, PersistenceError, EmbeddedError)
_RETRY_S_MAX: Final = 30.0
_ROOM_POLL_S: Final = 0.5  # how often it is looked whether there is room again

_FILLS_FIRST: Final = 5_000  # in the first commit of a term, which has nothing in memory
_FILLS_LEAST: Final = 500
_SHARED_FILLS_LEAST: Final = 4_000
_COMMIT_S_LONG: Final = 2.0
_COMMIT_S_SHORT: Final = 0.125  # one of eight times the fills would not take long
_SHARED_COMMIT_S_LONG: Final = 0.2
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
        clock: WallClock,
        keeper: Keeper,
    ) -> None:
        self._config = config
        self._writer = writer
        self._begin_term = begin_term
        self._clock = clock
        self._leaping = Seldom(_log)
        self._keeper = keeper
        self._queue: FairQueue[Queued] = FairQueue(config.queue_fills_max)
        self._last_weight = self._last_count = 0
        self._wanted = 1  # so much must wait for the thread to be woken
        mutex = threading.RLock()
        self._changed = threading.Condition(mutex)
        self._room = threading.Condition(mutex)
        self._stopping = False
        self._writing = False
        self._why_not = NOT_THE_WRITER  # while it does not write
        self._backoff = Backoff(config.standby_poll_ms / 1000, _RETRY_S_MAX)
        self._began_s = math.inf  # of the term, by the monotonic clock; inf: none has begun in this attempt
        self._retry = False
        self._stood_by = False
        self._open: _Open | None = None
        self._pace = _Pace(config.commit_fills_max, config.commit_shared_fills_max)
        self._pulse = Pulse("pulse", config.writer_check_ms, writer.renew, self._wake)
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._pulse.start()
        self._thread.start()

    def stop(self) -> None:
        """Finish what waits, give up the pen, end."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join()
        self._pulse.stop()

    def wait_until_writing(self, timeout_s: float) -> bool:
        """Return whether this process holds the pen within so many seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._writing or self._stopping, timeout_s) and self._writing

    @property
    def writing(self) -> bool:
        """Return whether this process holds the pen."""
        return self._writing

    @property
    def fault(self) -> str:
        """Why this process does not write, for people; empty while it does."""
        return "" if self._writing else self._why_not.detail

    def retry(self) -> None:
        """Try again at once, where PostgreSQL could not be reached and now can."""
        with self._changed:
            self._retry = True
            self._changed.notify_all()

    def wait_for_room(self, job: Sent, timeout_s: float) -> bool:
        """Return whether the queue can take a command within so many seconds; so it can if nothing is written."""
        with self._room:
            return self._room.wait_for(
                lambda: not self._writing or self._stopping or self._queue.has_room(_line(job), _weight(job)), timeout_s
            )

    def submit(self, job: Sent) -> Future[Answer]:
        """Queue a command. Raises RefusedError where it cannot be taken."""
        if leap_ns := self._clock.read().leap_ns:
            raise RefusedError(leap_refusal(leap_ns))
        weight = _weight(job)
        future: Future[Answer] = Future()
        with self._changed:
            if not self._writing or self._stopping:
                raise RefusedError(NOT_THE_WRITER if self._stopping else self._why_not)
            if not self._queue.has_room(_line(job), weight):
                refuse(Reason.QUEUE_FULL, "", f"{self._queue.fills} fills wait already")
            self._queue.add(_line(job), (job, future), weight)
            if self._queue.fills >= self._wanted:
                self._changed.notify_all()
        return future

    # -- the thread ---------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping:
            self._retry, self._began_s = False, math.inf
            wait_s = self._config.standby_poll_ms / 1000
            try:
                self._keeper.ensure_running()
                self._keeper.check_room()
                if self._writer.take():
                    self._began_s = time.monotonic()
                    self._settle()
                    self._serve(self._begin_term())
                else:
                    self._stand_aside()
            except ClockLeapError as leap:
                self._let_others_write(leap)
            except Exception as error:
                wait_s = self._backoff.after(max(time.monotonic() - self._began_s, 0))
                self._fail(error, wait_s)
            self._set_writing(False)
            self._give_up_if_overdue()
            self._pause(wait_s)
        self._writer.close()
        self._answer_open(OUTCOME_UNKNOWN)
        self._drop_queue(NOT_THE_WRITER)

    def _stand_aside(self) -> None:
        """Another process has the pen: a resend there will tell."""
        self._answer_open(OUTCOME_UNKNOWN)
        self._why_not = NOT_THE_WRITER
        self._drop_queue(NOT_THE_WRITER)
        self._stood_by = True

    def _fail(self, error: Exception, wait_s: float) -> None:
        """Note why there is no term, and for so long. Where the disk is full, nobody who waits is kept for hours."""
        if not isinstance(error, _STORE_ERRORS):
            self._why_not = NOT_THE_WRITER
            _log.error("no term could be started", exc_info=error)
            return
        # Whoever takes the pen from a writer that hangs ends its session. The next attempt tells if it was that.
        soon = wait_s <= self._config.standby_poll_ms / 1000 and self._began_s < math.inf
        self._why_not = refusal_of(error)
        if soon and is_session_lost(error) and self._why_not != STORE_FULL:
            self._why_not = NOT_THE_WRITER
        _failing.warning("the term of the writer ended: %s", str(error).strip())
        if self._why_not == STORE_FULL:
            self._set_writing(False)
            self._drop_queue(STORE_FULL)

    def _let_others_write(self, leap: ClockLeapError) -> None:
        """Begin no term, for the clock is wrong: who else waits for the pen may have a right one. A resend tells."""
        self._writer.close()
        self._why_not = Refusal(Reason.CLOCK_LEAP, "", str(leap))
        self._leaping.warning("no term begins: %s", leap)
        self._drop_queue(self._why_not)

    def _serve(self, service: Service) -> None:
        """One term: ends when the process stops, or with WriterLost."""
        service.landed = self._wake
        if self._stood_by or self._why_not != NOT_THE_WRITER:
            _log.info("this process writes the ledger now")
        self._stood_by, self._why_not = False, NOT_THE_WRITER
        self._set_writing(True)
        self._pace = _Pace(self._config.commit_fills_max, self._config.commit_shared_fills_max)
        flying: list[Future[Answer]] = []  # what the commit on its way answers
        jobs: list[Job] = []
        try:
            while queued := self._take_jobs(service):
                began_s = time.monotonic()
                jobs = _read(queued)
                queued.clear()  # what was asked is kept no longer than it takes, also where nobody asks again
                self._send(service, jobs)
                flying, jobs = [future for _, future in jobs], []
                self._pace.took(time.monotonic() - began_s)
            service.settle()
        except _STORE_ERRORS as error:
            self._lose(service, flying, jobs)
            if is_rolled_back(error):
                self._answer_open(refusal_of(error))
            raise
        finally:
            service.close()

    def _send(self, service: Service, jobs: Sequence[Job]) -> None:
        now_ns, leap_ns = self._clock.read()
        if leap_ns:
            _refuse_all([future for _, future in jobs], leap_refusal(leap_ns))
            return
        try:
            at_once = self._last_weight < _WORTH_A_COMMIT
            service.send([job for job, _ in jobs], now_ns, partial(_answer, jobs), at_once=at_once)
        except _STORE_ERRORS:
            raise
        except Exception:
            _log.exception("a batch of commands failed; each is tried alone")
            self._send_alone(service, jobs, now_ns)

    def _send_alone(self, service: Service, jobs: Sequence[Job], now_ns: int) -> None:
        """A defect that one command triggers must not take others with it."""
        for place, job in enumerate(jobs):
            try:
                service.send([job[0]], now_ns, partial(_answer, [job]))
                service.settle()
            except _STORE_ERRORS:
                self._lose(service, [job[1]], jobs[place + 1 :])
                raise
            except Exception:
                _log.exception("a command failed")
                _refuse_all([job[1]], INTERNAL)

    def _lose(self, service: Service, flying: Sequence[Future[Answer]], behind: Sequence[Job]) -> None:
        """A commit did not arrive, as far as is known; what was decided on it, or not at all, was not recorded."""
        with suppress(*_STORE_ERRORS):
            service.settle()
        unanswered = [future for future in flying if not future.done()]
        if unanswered and self._open is None:
            self._open = _Open(service.unsettled, unanswered, time.monotonic())
        left_open = self._open.futures if self._open is not None else ()
        _refuse_all([future for _, future in behind if not future.done() and future not in left_open], OUTCOME_UNKNOWN)

    def _settle(self) -> None:
        """With the pen again: find out what became of the commit whose acknowledgement was lost."""
        if self._open is None:
            return
        unsettled, futures = self._open.unsettled, self._open.futures
        if unsettled is None or not self._writer.committed(unsettled.commit):
            self._answer_open(OUTCOME_UNKNOWN)
            return
        self._open = None
        for future, answer in zip(futures, unsettled.answers, strict=True):
            future.set_result(answer)

    def _give_up_if_overdue(self) -> None:
        overdue_s = self._config.reconnect_ms_max / 1000
        if self._open is not None and time.monotonic() - self._open.since_s > overdue_s:
            self._answer_open(OUTCOME_UNKNOWN)

    def _answer_open(self, refusal: Refusal) -> None:
        if self._open is not None:
            _refuse_all(self._open.futures, refusal)
            self._open = None

    # -- the queue ----------------------------------------------------------------------------------------------------

    def _take_jobs(self, service: Service) -> list[Queued]:
        """Return what waits, up to a commit's worth; nothing when the process stops, or a commit is lost.

        While a commit is on its way, as much is gathered as half of it, and no little: the next one should be worth its
        while.
        """
        self._wait_for_jobs(service)
        self._gather()
        with self._changed:
            if service.lost:
                return []
            before = self._queue.fills
            jobs = self._queue.take(self._pace.shared_fills if self._queue.is_shared else self._pace.fills)
            self._last_weight, self._last_count = before - self._queue.fills, len(jobs)
            self._room.notify_all()
        return jobs

    def _wait_for_jobs(self, service: Service) -> None:
        """Wait for a commit's worth. Raises WriterLost as soon as the pen is, so that nothing more is decided.

        Raises EmbeddedError before the disk is so full that PostgreSQL would die of it, for those who read.

        A database that dies is noticed also when nobody writes: who reads needs it started again.
        """
        self._keeper.check_room()
        with self._changed:
            while not self._changed.wait_for(
                lambda: self._stopping or service.lost or not self._writer.held or self._enough_waits(service),
                self._config.writer_check_ms / 1000,
            ):
                self._keeper.check_room()
        if not service.lost and not service.on_its_way and not self._writer.lease.runs:
            self._writer.check()

    def _gather(self) -> None:
        """Where many callers had one commit, more than those that wait are about to come: it goes on while they do."""
        with self._changed:
            seen, until_s = 0, time.monotonic() + _GATHER_S_MAX
            self._wanted = _WORTH_A_COMMIT
            while (
                self._last_count >= _MANY
                and seen < len(self._queue)
                and self._queue.fills < _WORTH_A_COMMIT
                and time.monotonic() < until_s
            ):
                seen = len(self._queue)
                self._changed.wait(_GATHER_S)

    def _enough_waits(self, service: Service) -> bool:
        """Return whether a commit's worth waits; until then only the landing of the last one wakes the thread."""
        self._wanted = max(-(-self._last_weight // 2), _WORTH_A_COMMIT) if service.on_its_way else 1
        return self._queue.fills >= self._wanted

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _drop_queue(self, refusal: Refusal) -> None:
        with self._changed:
            jobs = self._queue.clear()
        _refuse_all([future for _, future in jobs], refusal)

    def _set_writing(self, writing: bool) -> None:
        with self._changed:
            self._writing = writing
            self._changed.notify_all()

    def _pause(self, seconds: float) -> None:
        """Wait before the next attempt. News that could help end the wait, but not after a term that did begin."""
        until_s = time.monotonic() + seconds
        had_room = self._has_room()
        with self._changed:
            while (left_s := until_s - time.monotonic()) > 0 and not self._stopping:
                if (self._retry and self._began_s == math.inf) or (not had_room and self._has_room()):
                    break
                self._changed.wait(min(left_s, _ROOM_POLL_S))

    def _has_room(self) -> bool:
        try:
            self._keeper.check_room()
        except EmbeddedError:
            return False
        return True


class _Pace:
    """How many fills a commit takes: fewer while they take long, as where many account-days are read from the log.

    Then those that wait are answered little by little, and not all of them too late. Where several sources wait, much
    shorter ones count as long: for a single fill the commit of the others is what it waits for.
    """

    def __init__(self, fills_max: int, shared_fills_max: int) -> None:
        self._fills_max = fills_max
        self._shared_fills_max = min(shared_fills_max, fills_max)
        self.fills = min(_FILLS_FIRST, fills_max)
        self.shared_fills = min(_FILLS_FIRST, self._shared_fills_max)

    def took(self, seconds: float) -> None:
        """Note what the last commit took: as many as the pace allows, or fewer."""
        more = self.fills // 2 if seconds > _COMMIT_S_LONG else (8 if seconds < _COMMIT_S_SHORT else 2) * self.fills
        self.fills = min(max(more, _FILLS_LEAST), self._fills_max)
        more = self.shared_fills // 2 if seconds > _SHARED_COMMIT_S_LONG else self.shared_fills * 5 // 4
        self.shared_fills = min(max(more, _SHARED_FILLS_LEAST), self._shared_fills_max, self.fills)


class _Open(NamedTuple):
    """Answers that are open since a moment of the monotonic clock."""

    unsettled: Unsettled | None
    futures: Sequence[Future[Answer]]
    since_s: float


def _read(queued: Sequence[Queued]) -> list[Job]:
    """Return what is asked, with all batches read together; who asked what has no shape is told so."""
    unread = [job for job, _ in queued if isinstance(job, Unread)]
    read = iter(unread[0].read(unread) if unread else ())
    jobs: list[Job] = []
    for job, future in queued:
        asked = next(read) if isinstance(job, Unread) else job
        if isinstance(asked, Refused):
            future.set_result(asked)
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


def _line(job: Sent) -> str:
    """Return the name of whose turn a job is taken in."""
    if isinstance(job, Unread):
        return job.line
    return "commands" if isinstance(job, Ask) else "evaluations"


def _refuse_all(futures: Sequence[Future[Answer]], refusal: Refusal) -> None:
    for future in futures:
        future.set_result(Refused(refusal))
