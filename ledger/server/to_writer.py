"""The way of every handler that writes to the writer: it hands over a job, and waits within its caller's deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from ledger.caller import caller
from ledger.clock import WallClock, leap_refusal
from ledger.config import Config
from ledger.domain.refusal import Reason
from ledger.wire.status import OUTCOME_UNKNOWN, RefusedError
from ledger.writing.messages import Accepted, Answer, AnswerToCome, QueuedJob, Refused
from ledger.writing.writer_thread import WriterThread

_LOOK_UP_S: Final = 0.2  # between two looks of a wait whether the call is over


class ToWriter:
    """Hands jobs to the writer, and waits for its answers. All services that write share it."""

    def __init__(self, config: Config, writer_thread: WriterThread, ledger_id: str, clock: WallClock) -> None:
        self.config = config
        self.ledger_id = ledger_id
        self._writer_thread = writer_thread
        self._clock = clock

    def latest_ns(self) -> int:
        """Return the latest instant at which a request may say that something happened: now and the allowed skew."""
        return self._clock.now_ns() + self.config.clock_skew_ms_max * 1_000_000

    @property
    def writing(self) -> bool:
        """True while this process holds the pen and its clock is right, so that it records."""
        return self._writer_thread.writing and not self._clock.leaped

    @property
    def is_busy(self) -> bool:
        """True while jobs wait for the writer, or a commit is on its way."""
        standing = self._writer_thread.standing
        return standing.fills > 0 or standing.is_in_flight

    def check_clock(self) -> None:
        """Refuse with CLOCK_LEAP while the wall clock is wrong."""
        if leap_ns := self._clock.read().leap_ns:
            raise RefusedError(leap_refusal(leap_ns))

    def submit(self, job: QueuedJob) -> Answer:
        """Hand over a job and return its answer. Raises RefusedError for a refusal, as of a job for a full queue."""
        return self.wait(self._writer_thread.submit(job))

    def queue(self, job: QueuedJob, is_over: Callable[[], bool]) -> AnswerToCome:
        """Hand over a job, once the queue has room for it. Raises OUTCOME_UNKNOWN if `is_over` before that."""
        while not is_over():
            if self._writer_thread.wait_for_room(job, _LOOK_UP_S):
                try:
                    return self._writer_thread.submit(job)
                except RefusedError as refused:
                    if refused.refusal.reason != Reason.QUEUE_FULL:  # somebody else took the room
                        raise
        raise RefusedError(OUTCOME_UNKNOWN)

    def wait(self, coming: AnswerToCome) -> Answer:
        """Return the answer of the writer. Raises RefusedError if it is a refusal.

        Raises OUTCOME_UNKNOWN, while the job may still be recorded, once the caller hangs up, or a little before its
        deadline so that it arrives.
        """
        who = caller()
        until_s = time.monotonic() + who.wait_s(self.config.commit_wait_ms_max)
        while (left_s := until_s - time.monotonic()) > 0 and not who.hung_up:
            answer = coming.result(min(left_s, _LOOK_UP_S))
            if answer is None:
                continue
            if isinstance(answer, Refused):
                raise RefusedError(answer.refusal, *answer.others, **_metadata(answer))
            who.has_recorded |= not (isinstance(answer, Accepted) and answer.preview)
            return answer
        raise RefusedError(OUTCOME_UNKNOWN)


def _metadata(refused: Refused) -> dict[str, str]:
    """Return the position at which a refusal is recorded, if it is, as metadata of the status."""
    if not refused.position:
        return {}
    return {"position": str(refused.position), "replayed": "true" if refused.replayed else "false"}
