"""What every handler that writes does: wait for the writer, within its deadline."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import TimeoutError as WaitTimeout

import grpc

from ledger.config import Config
from ledger.jobs import Answer, Input
from ledger.server.writer_thread import WriterThread
from ledger.wire import OUTCOME_UNKNOWN, RefusedError


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

    def submit(self, job: Input, context: grpc.ServicerContext) -> Answer:
        """The answer of the writer. Past the deadline the outcome is unknown: the command may still be recorded."""
        wait_s = self.config.commit_wait_ms_max / 1000
        left_s = context.time_remaining()
        future = self._writer_thread.submit(job)
        try:
            return future.result(wait_s if left_s is None else min(wait_s, left_s))
        except WaitTimeout:
            raise RefusedError(OUTCOME_UNKNOWN) from None
