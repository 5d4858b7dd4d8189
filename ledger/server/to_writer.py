"""Waiting for the writer, as every handler that writes does, within its deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as WaitTimeout
from contextlib import suppress
from typing import Final

from ledger.caller import caller
from ledger.clock import WallClock, leap_refusal
from ledger.config import Config
from ledger.domain.refusal import Reason
from ledger.wire.status import OUTCOME_UNKNOWN, RefusedError
from ledger.writing.messages import Answer, Refused, Sent
from ledger.writing.writer_thread import WriterThread

_LOOK_UP_S: Final = 0.2  # how often a wait looks whether the call is over


class Handling:
    """Shared by the services that write."""

    def __init__(self, config: Config, writer_thread: WriterThread, ledger_id: str, clock: WallClock) -> None:
        self.config = config
        self.ledger_id = ledger_id
        self._writer_thread = writer_thread
        self._clock = clock

    def latest_ns(self) -> int:
        """The latest instant at which something may say it happened: now and the allowed skew."""
        return self._clock.now_ns() + self.config.clock_skew_ms_max * 1_000_000

    @property
    def writing(self) -> bool:
        """True while this process holds the pen, and records: not while its clock is wrong."""
        return self._writer_thread.writing and not self._clock.leaped

    def check_clock(self) -> None:
        """Refuse with CLOCK_LEAP while the wall clock is wrong."""
        if leap_ns := self._clock.read().leap_ns:
            raise RefusedError(leap_refusal(leap_ns))

    def submit(self, job: Sent) -> Answer:
        """Return the answer of the writer to a command, which is refused if the queue is full."""
        return self.wait(self._writer_thread.submit(job))

    def queue(self, job: Sent, is_over: Callable[[], bool]) -> Future[Answer]:
        """Hand the writer a command, waiting for room in its queue until the call is over."""
        while not is_over():
            if self._writer_thread.wait_for_room(job, _LOOK_UP_S):
                try:
                    return self._writer_thread.submit(job)
                except RefusedError as refused:
                    if refused.refusal.reason != Reason.QUEUE_FULL:  # somebody else took the room
                        raise
        raise RefusedError(OUTCOME_UNKNOWN)

    def wait(self, future: Future[Answer]) -> Answer:
        """Return the answer of the writer; raise RefusedError if it is a refusal.

        OUTCOME_UNKNOWN means that there is none yet: the command may still be recorded.

        That is told shortly before the caller's deadline, so that it arrives. Who hangs up is not waited for.
        """
        who = caller()
        until_s = time.monotonic() + who.wait_s(self.config.commit_wait_ms_max)
        while (left_s := until_s - time.monotonic()) > 0 and not who.hung_up:
            with suppress(WaitTimeout):
                return _answered(future.result(min(left_s, _LOOK_UP_S)))
        raise RefusedError(OUTCOME_UNKNOWN)


def _answered(answer: Answer) -> Answer:
    """Return an answer that is no refusal; raise RefusedError for one that is."""
    if isinstance(answer, Refused):
        raise RefusedError(answer.refusal, *answer.others, **_record_of(answer))
    return answer


def _record_of(answer: Refused) -> dict[str, str]:
    """Where a refusal is recorded, as metadata of its status."""
    if not answer.position:
        return {}
    return {"position": str(answer.position), "replayed": "true" if answer.replayed else "false"}
