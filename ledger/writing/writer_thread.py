"""The one thread that writes: takes all that waits, lets the service decide, and answers. Terms begin and end here."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from eventsourcing.persistence import PersistenceError

from ledger.caller import answering
from ledger.clock import ClockLeapError, WallClock, leap_refusal
from ledger.config import Config
from ledger.defects import Defects
from ledger.domain.refusal import Reason, Refusal
from ledger.log_lines import about
from ledger.seldom import Seldom
from ledger.store.postgres.embedded import EmbeddedError
from ledger.store.postgres.keeper import Keeper
from ledger.store.writer import Writer, WriterLost
from ledger.wire.status import INTERNAL, NOT_THE_WRITER, OUTCOME_UNKNOWN, RefusedError, refuse
from ledger.wire.store_faults import DAMAGED, STORE_FULL, is_rolled_back, is_session_lost, kind_of, refusal_of
from ledger.writing.backoff import Backoff
from ledger.writing.commit_pipeline import CommitPipeline, Deliver
from ledger.writing.counts import Counts
from ledger.writing.gathering import Gathering
from ledger.writing.messages import (
    Answer,
    AnswerToCome,
    CommitInFlight,
    DecideCommand,
    EvaluateAccounts,
    GoOnRepricing,
    Job,
    QueuedJob,
    RecordFills,
    Refused,
    UnreadFills,
)
from ledger.writing.pace import Pace
from ledger.writing.pulse import Pulse
from ledger.writing.queue import FairQueue
from ledger.writing.service import Service

if TYPE_CHECKING:
    from ledger.traces import Traces

_log: Final = logging.getLogger(__name__)
_failing: Final = Seldom(_log)
_deciding: Final = Seldom(_log)
_defects: Final = Defects(_log)

_STORE_ERRORS: Final = (WriterLost, PersistenceError, EmbeddedError)
_RETRY_S_MAX: Final = 30.0
_ROOM_POLL_S: Final = 0.5  # between two looks whether the disk has room again

_REPRICINGS: Final = "repricings"  # the name of a line
_COMMANDS: Final = "commands"  # of another one
_FILLS_OF_A_LINE: Final = 12  # to restate one takes as long as to record four; fills come before it
_MANY: Final = 8  # callers that one commit answered
_GATHER_S: Final = 0.001  # if no job came for so long, no more will come soon
_GATHER_S_MAX: Final = 0.02
_WORTH_A_COMMIT: Final = 256  # deciding so many fills takes about as long as making a commit of any size

Queued = tuple[QueuedJob, AnswerToCome]


class WriterThread:
    """Serves jobs from a bounded queue. Without the pen it is a standby: it refuses jobs and tries again."""

    def __init__(
        self,
        config: Config,
        writer: Writer,
        begin_term: Callable[[], Service],
        clock: WallClock,
        keeper: Keeper,
        traces: Traces | None = None,
    ) -> None:
        self._config = config
        self._writer = writer
        self._begin_term = begin_term
        self._clock = clock
        self._leaping = Seldom(_log)
        self._keeper = keeper
        self._traces = traces
        self._queue: FairQueue[Queued] = FairQueue(config.queue_fills_max, patient=(_REPRICINGS,))
        self._last_weight = self._last_count = 0
        self._gathering = Gathering(config.gather_ms_max, config.gather_fills_per_s)
        self._is_gathering = False
        self._hurried = 0  # jobs in the queue that somebody waits for
        self._wanted = 1  # as many fills must wait for the thread to be woken
        mutex = threading.RLock()
        self._changed = threading.Condition(mutex)
        self._room = threading.Condition(mutex)
        self._stopping = False
        self._writing = self._has_tried = False
        self._why_not = NOT_THE_WRITER  # while it does not write
        self._backoff = Backoff(config.standby_poll_ms / 1000, _RETRY_S_MAX)
        self._began_s = math.inf  # of the term, by the monotonic clock; inf: none has begun in this attempt
        self._retry = False
        self._stood_by = False
        self._in_flight: _InFlight | None = None
        self.counts = Counts()
        self._pipeline: CommitPipeline | None = None
        self._pace = Pace(config.commit_fills_max, config.commit_shared_fills_max)
        self._pulse = Pulse("pulse", config.writer_check_ms, writer.renew, self._wake)
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._pulse.start()
        self._thread.start()

    def stop(self) -> None:
        """Finish the jobs that wait, give up the pen, and end the thread."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join()
        self._pulse.stop()

    def wait_for_first_attempt(self, timeout_s: float) -> bool:
        """Wait until this process writes, or has found that it cannot; False: it still tries after so many seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._has_tried or self._stopping, timeout_s)

    @property
    def writing(self) -> bool:
        """True while this process holds the pen."""
        return self._writing

    @property
    def fault(self) -> str:
        """The reason why this process does not write, for people; empty while it does."""
        return "" if self._writing else self._why_not.detail

    @property
    def stands_by(self) -> bool:
        """True while another process has the pen, as this one found when it tried last."""
        return self._stood_by and not self._writing and self._why_not == NOT_THE_WRITER

    @property
    def standing(self) -> Standing:
        """The work that waits now, and what is in flight."""
        pipeline = self._pipeline
        with self._changed:
            return Standing(
                self._queue.fills,
                self._queue.oldest_s,
                is_in_flight=pipeline is not None and pipeline.in_flight is not None,
                is_unsettled=self._in_flight is not None,
            )

    def retry(self) -> None:
        """Try again at once, where PostgreSQL could not be reached and now can."""
        with self._changed:
            self._retry = True
            self._changed.notify_all()

    def wait_for_room(self, job: QueuedJob, timeout_s: float) -> bool:
        """Wait until the queue has room for a job or nothing is written; False: not within so many seconds."""
        with self._room:
            return self._room.wait_for(
                lambda: not self._writing or self._stopping or self._queue.has_room(_line(job), _weight(job)), timeout_s
            )

    def submit(self, job: QueuedJob) -> AnswerToCome:
        """Queue a job; return its answer to come. Raises RefusedError where it cannot be taken."""
        if leap_ns := self._clock.read().leap_ns:
            raise RefusedError(leap_refusal(leap_ns))
        weight = _weight(job)
        future = AnswerToCome()
        with self._changed:
            if not self._writing or self._stopping:
                raise RefusedError(NOT_THE_WRITER if self._stopping else self._why_not)
            if not self._queue.has_room(_line(job), weight):
                refuse(Reason.QUEUE_FULL, "", f"{self._queue.fills} fills wait already")
            if self._traces is not None:
                self._traces.queued(future)
            self._queue.add(_line(job), (job, future), weight)
            self._gathering.came(weight, time.monotonic())
            self._hurried += (hurries := _hurries(job))
            if self._queue.fills >= self._wanted or (hurries and self._is_gathering):
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
                    self._resolve_lost_commit()
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
        self._refuse_in_flight(OUTCOME_UNKNOWN)
        self._drop_queue(NOT_THE_WRITER)

    def _stand_aside(self) -> None:
        """Refuse all that waits: another process has the pen, and a resend there tells the outcome."""
        if not self._stood_by:
            _log.info("another process writes this ledger: standing by, serving reads")
        self._refuse_in_flight(OUTCOME_UNKNOWN)
        self._why_not = NOT_THE_WRITER
        self._drop_queue(NOT_THE_WRITER)
        self._stood_by = True
        self._backoff.begin_anew()  # or what failed an hour ago would keep it from the pen for half a minute

    def _fail(self, error: Exception, wait_s: float) -> None:
        """Note why there is no term; the next attempt comes after `wait_s`.

        Where the disk is full, the jobs that wait are refused: it may stay so for hours.
        """
        if not isinstance(error, _STORE_ERRORS):
            self._why_not = NOT_THE_WRITER
            _log.error("a defect: no term could be started; it is tried again in %.1f s", wait_s, exc_info=error)
            return
        # Whoever takes the pen from a writer that hangs ends its session. The next attempt tells if it was that.
        soon = wait_s <= self._config.standby_poll_ms / 1000 and self._began_s < math.inf
        self._why_not = refusal_of(error)
        if soon and is_session_lost(error) and self._why_not != STORE_FULL:
            self._why_not = NOT_THE_WRITER
        self.counts.failures[kind_of(error)] += 1
        _failing.warning("this process does not write the ledger now: %s", " ".join(str(error).split()))
        if self._why_not == STORE_FULL:
            self._set_writing(False)
            self._drop_queue(STORE_FULL)

    def _let_others_write(self, leap: ClockLeapError) -> None:
        """Begin no term, for the clock is wrong: another process that waits for the pen may have a right one."""
        self._writer.close()
        self._why_not = Refusal(Reason.CLOCK_LEAP, "", str(leap))
        self._leaping.warning("no term begins: %s", leap)
        self._drop_queue(self._why_not)

    def _serve(self, service: Service) -> None:
        """Serve for one term. Returns when the process stops; raises WriterLost when the term is over."""
        pipeline = self._pipeline = service.pipeline
        pipeline.when_done, pipeline.when_stored = self._wake, self.counts.commit_ns.add
        if self._traces is not None:
            pipeline.when_storing = self._traces.storing
        self.counts.begin_term(service.term, took_over=self._stood_by)
        _log.info("this process writes the ledger now, from position %s on", service.head.position)
        self._stood_by, self._why_not = False, NOT_THE_WRITER
        self._set_writing(True)
        self._pace = Pace(self._config.commit_fills_max, self._config.commit_shared_fills_max)
        in_flight: list[AnswerToCome] = []  # the answers to come of the commit in flight
        later: list[AnswerToCome] = []  # those of the jobs that are being decided
        try:
            while queued := self._take_jobs(pipeline):
                began_s = time.monotonic()
                jobs, later = _read(queued)
                queued.clear()  # a request is kept no longer than it takes, also where no other one comes
                self._send(service, jobs, later)
                jobs.clear()
                in_flight, later = later, []
                self._pace.took(time.monotonic() - began_s)
            pipeline.wait_for_commit()
        except _STORE_ERRORS as error:
            self._lose_commit(pipeline, in_flight, later)
            if is_rolled_back(error):
                self._refuse_in_flight(refusal_of(error))
            raise
        finally:
            pipeline.close()

    def _send(self, service: Service, jobs: Sequence[Job], futures: Sequence[AnswerToCome]) -> None:
        now_ns, leap_ns = self._clock.read()
        if leap_ns:
            _refuse_all(futures, leap_refusal(leap_ns))
            return
        try:
            service.send(jobs, now_ns, self._deliver(futures), at_once=self._last_weight < _WORTH_A_COMMIT)
        except _STORE_ERRORS:
            raise
        except Exception:
            _deciding.exception("a defect: a commit of %d requests could not be made; each is tried alone", len(jobs))
            self._send_alone(service, jobs, futures, now_ns)
        else:
            self._note_decided(service)

    def _send_alone(self, service: Service, jobs: Sequence[Job], futures: Sequence[AnswerToCome], now_ns: int) -> None:
        """Send each job in a commit of its own: a defect that one triggers must not take others with it."""
        for place, (job, future) in enumerate(zip(jobs, futures, strict=True), 1):
            try:
                service.send([job], now_ns, self._deliver([future]))
                service.pipeline.wait_for_commit()
            except _STORE_ERRORS:
                self._lose_commit(service.pipeline, [future], futures[place:])
                raise
            except Exception as defect:
                with answering(future.who), about(**_names(job)):
                    _defects.tell(defect, "%s failed, and nothing of it is recorded", _name(job))
                _refuse_all([future], INTERNAL)
            else:
                self._note_decided(service)

    def _deliver(self, futures: Sequence[AnswerToCome]) -> Deliver:
        """Return what answers jobs that are decided from now on."""
        deliver = partial(self._answer, futures)
        return deliver if self._traces is None else self._traces.following(futures, deliver)

    def _lose_commit(
        self, pipeline: CommitPipeline, in_flight: Sequence[AnswerToCome], later: Sequence[AnswerToCome]
    ) -> None:
        """Keep the answers of a commit that was not stored, as far as is known, until the log tells.

        What was to be decided later was not recorded: it is refused.
        """
        with suppress(*_STORE_ERRORS):
            pipeline.wait_for_commit()
        unanswered = [future for future in in_flight if not future.done()]
        if unanswered and self._in_flight is None:
            self._in_flight = _InFlight(pipeline.in_flight, unanswered, time.monotonic())
            self.counts.lost += 1
        kept = self._in_flight.futures if self._in_flight is not None else ()
        _refuse_all([future for future in later if not future.done() and future not in kept], OUTCOME_UNKNOWN)

    def _resolve_lost_commit(self) -> None:
        """Look in the log, with the pen again, for the commit whose acknowledgement was lost; answer its callers."""
        if self._in_flight is None:
            return
        lost, futures = self._in_flight.commit, self._in_flight.futures
        if lost is None or not self._writer.committed(lost.commit):
            self._refuse_in_flight(OUTCOME_UNKNOWN)
            return
        self._in_flight = None
        self._answer(futures, lost.answers)

    def _answer(self, futures: Sequence[AnswerToCome], answers: Sequence[Answer]) -> None:
        self.counts.take(answers)
        for future, answer in zip(futures, answers, strict=True):
            future.set_result(answer)

    def _give_up_if_overdue(self) -> None:
        overdue_s = self._config.reconnect_ms_max / 1000
        if self._in_flight is not None and time.monotonic() - self._in_flight.since_s > overdue_s:
            self._refuse_in_flight(OUTCOME_UNKNOWN)

    def _refuse_in_flight(self, refusal: Refusal) -> None:
        if self._in_flight is not None:
            _refuse_all(self._in_flight.futures, refusal)
            self._in_flight = None

    # -- the queue ----------------------------------------------------------------------------------------------------

    def _take_jobs(self, pipeline: CommitPipeline) -> list[Queued]:
        """Return the jobs that wait, up to a commit's worth; none when the process stops, or a commit is lost."""
        self._wait_for_jobs(pipeline)
        self._gather_fills(pipeline)
        self._gather_callers()
        with self._changed:
            if pipeline.is_lost:
                return []
            before = self._queue.fills
            jobs = self._queue.take(self._pace.shared_fills if self._queue.is_shared else self._pace.fills)
            self._last_weight, self._last_count = before - self._queue.fills, len(jobs)
            self._hurried -= sum(_hurries(job) for job, _ in jobs)
            self._room.notify_all()
        return jobs

    def _note_decided(self, service: Service) -> None:
        """Count the damaged snapshots that a commit read, and have commands pay for the lines that they restated.

        So a flood of late facts leaves fills their share.
        """
        self.counts.failures[DAMAGED] += service.snapshots_damaged
        with self._changed:
            self._queue.charge(_COMMANDS, service.lines_restated * _FILLS_OF_A_LINE)

    def _wait_for_jobs(self, pipeline: CommitPipeline) -> None:
        """Wait for a commit's worth of jobs. Raises WriterLost as soon as the pen is lost, so that no more is decided.

        Raises EmbeddedError before the disk is so full that PostgreSQL would die of it, and reads with it. A database
        that dies is noticed also when nobody writes: reads need it started again.
        """
        self._keeper.check_room()
        with self._changed:
            while not self._changed.wait_for(
                lambda: self._stopping or pipeline.is_lost or not self._writer.held or self._enough_waits(pipeline),
                self._config.writer_check_ms / 1000,
            ):
                self._keeper.check_room()
        if not pipeline.is_lost and not pipeline.is_storing and not self._writer.lease.runs:
            self._writer.check()

    def _gather_fills(self, pipeline: CommitPipeline) -> None:
        """Wait while streams bring many fills, until somebody waits for a job alone, or a commit's worth waits."""
        with self._changed:
            self._is_gathering = True
            while not (self._hurried or self._stopping or pipeline.is_lost or not self._writer.held):
                self._wanted = self._pace.shared_fills if self._queue.is_shared else self._pace.fills
                if self._queue.fills >= self._wanted:
                    break
                oldest_s, now_s = self._queue.oldest_s, time.monotonic()
                if (wait_s := self._gathering.wait_s(oldest_s, now_s)) <= 0:
                    break
                self._changed.wait(wait_s)
            self._is_gathering = False

    def _gather_callers(self) -> None:
        """Wait while more jobs come, where the last commit answered many callers: they are about to send the next."""
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

    def _enough_waits(self, pipeline: CommitPipeline) -> bool:
        """Return True if a commit's worth waits: a single fill, or half of the last commit while that is in flight.

        Until then only the end of the commit in flight wakes the thread.
        """
        self._wanted = max(-(-self._last_weight // 2), _WORTH_A_COMMIT) if pipeline.is_storing else 1
        return self._queue.fills >= self._wanted

    def _wake(self, _: object = None) -> None:
        with self._changed:
            self._changed.notify_all()

    def _drop_queue(self, refusal: Refusal) -> None:
        with self._changed:
            jobs = self._queue.clear()
            self._hurried = 0
        _refuse_all([future for _, future in jobs], refusal)

    def _set_writing(self, writing: bool) -> None:
        with self._changed:
            self._writing, self._has_tried = writing, True
            self._changed.notify_all()

    def _pause(self, seconds: float) -> None:
        """Wait before the next attempt, until PostgreSQL is reached again or the disk has room.

        After a term that did begin, to reach PostgreSQL is no news.
        """
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


class Standing(NamedTuple):
    """The work that waits for the writer, and what is in flight."""

    fills: int
    oldest_s: float  # that the oldest job has waited
    is_in_flight: bool  # a commit, of which PostgreSQL has not said whether it is stored
    is_unsettled: bool  # callers wait for what the log says of a commit that was lost


class _InFlight(NamedTuple):
    """A commit in flight, the answers to come of its callers, and since when it is lost, by the monotonic clock."""

    commit: CommitInFlight | None
    futures: Sequence[AnswerToCome]
    since_s: float


def _read(queued: Sequence[Queued]) -> tuple[list[Job], list[AnswerToCome]]:
    """Return the jobs to decide, with all requests of fills read together, and the answers to come.

    A request that cannot be read is refused here.
    """
    unread = [job for job, _ in queued if isinstance(job, UnreadFills)]
    read = iter(unread[0].read(unread) if unread else ())
    jobs: list[Job] = []
    futures: list[AnswerToCome] = []
    for queued_job, future in queued:
        job = next(read) if isinstance(queued_job, UnreadFills) else queued_job
        if isinstance(job, Refused):
            future.set_result(job)
        else:
            jobs.append(job)
            futures.append(future)
    return jobs, futures


def _weight(job: QueuedJob) -> int:
    """Return how many fills a job counts as."""
    if isinstance(job, UnreadFills):
        return job.size
    return max(job.accounts, 1) if isinstance(job, EvaluateAccounts) else 1


def _line(job: QueuedJob) -> str:
    """Return the name of the line that a job waits in."""
    if isinstance(job, UnreadFills):
        return job.line
    match job:
        case DecideCommand():
            return _COMMANDS
        case GoOnRepricing():
            return _REPRICINGS
    return "evaluations"


def _hurries(job: QueuedJob) -> bool:
    """Return True for a job that somebody waits for, before they send the next one."""
    return not isinstance(job, UnreadFills) or job.hurries


def _name(job: Job) -> str:
    """Return what a job is, for a log: ledger.v1.BanAccountRequest."""
    return job.request.message if isinstance(job, DecideCommand) else type(job).__name__


def _names(job: Job) -> dict[str, str]:
    """Return the names by which a caller knows a job."""
    match job:
        case DecideCommand():
            return {"request_id": job.request.request_id}
        case RecordFills():
            return {"source": job.source}
        case GoOnRepricing():
            return {"account_id": job.account_ids[0]} if job.account_ids else {}
    return {"request_id": job.started.envelope.request_id}


def _refuse_all(futures: Sequence[AnswerToCome], refusal: Refusal) -> None:
    for future in futures:
        future.set_result(Refused(refusal))
