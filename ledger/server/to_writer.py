"""What every handler that writes does: wait for the writer, within its deadline."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as WaitTimeout
from typing import Final

import grpc

from ledger.config import Config
from ledger.domain.refusal import Reason
from ledger.wire.status import OUTCOME_UNKNOWN, RefusedError
from ledger.writing.messages import Answer, Sent
from ledger.writing.writer_thread import WriterThread

_ROOM_S: Final = 0.2  # how often a wait for room looks whether the call is over


class Handling:
    """Shared by the services that write."""

    def __init__(
        self, config: Config, writer_thread: WriterThread, ledger_id: str, clock_ns: Callable[[], int]
    ) -> None:
        self.config = config
        self.ledger_id = ledger_id
        self._writer_thread = writer_thread
        self._clock_ns = clock_ns

    def latest_ns(self) -> int:
        """The latest instant at which something may say it happened: now and the allowed skew."""
        return self._clock_ns() + self.config.clock_skew_ms_max * 1_000_000

    @property
    def writing(self) -> bool:
        """Whether this process holds the pen."""
        return self._writer_thread.writing

    def submit(self, job: Sent, context: grpc.ServicerContext | None) -> Answer:
        """The answer of the writer, to a command that is refused if the queue is full."""
        return self.wait(self._writer_thread.submit(job), context)

    def queue(self, job: Sent, over: threading.Event) -> Future[Answer]:
        """Hand the writer a command, waiting for room in its queue until the call is over."""
        while not over.is_set():
            if self._writer_thread.wait_for_room(job, _ROOM_S):
                try:
                    return self._writer_thread.submit(job)
                except RefusedError as refused:
                    if refused.refusal.reason != Reason.QUEUE_FULL:  # somebody else took the room
                        raise
        raise RefusedError(OUTCOME_UNKNOWN)

    def wait(self, future: Future[Answer], context: grpc.ServicerContext | None) -> Answer:
        """The answer of the writer. Past the deadline the outcome is unknown: the command may still be recorded.

        Without a context nobody outside waits for it.
        """
        wait_s = self.config.commit_wait_ms_max / 1000
        left_s = context.time_remaining() if context is not None else None
        try:
            return future.result(wait_s if left_s is None else min(wait_s, left_s))
        except WaitTimeout:
            raise RefusedError(OUTCOME_UNKNOWN) from None
