"""Turns at receiving messages: one that comes in lies in memory as far as it came, and nobody knows how long it is."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any, Final

import grpc

from ledger.domain.refusal import Reason
from ledger.wire.status import refusals, refuse

_PATIENCE_S: Final = 1.0  # so long a call waits for its turn
_SLOW_S: Final = 5.0  # a message that has been coming for so long may be ended for the sake of those that wait


class Receiving:
    """Lets so many calls receive their message at once; each of them may have as many bytes as a message may."""

    def __init__(self, calls_max: int) -> None:
        self._turns = threading.Semaphore(calls_max)
        self._since_s: dict[grpc.ServicerContext, float] = {}

    def only_message(self, requests: Iterator[Any], context: grpc.ServicerContext) -> Any:
        """The only message of a call; None if none comes. Refuses with QUEUE_FULL where too many others come in."""
        with refusals(context):
            self._take_turn(context)
        self._since_s[context] = time.monotonic()
        try:
            return next(requests, None)
        finally:
            del self._since_s[context]
            self._turns.release()

    def _take_turn(self, context: grpc.ServicerContext) -> None:
        if self._turns.acquire(blocking=False):
            return
        left_s = context.time_remaining()
        if not self._turns.acquire(timeout=_PATIENCE_S if left_s is None else min(left_s, _PATIENCE_S)):
            self._end_slow_ones()
            refuse(Reason.QUEUE_FULL, "", "as many messages as may are coming in: send it later")

    def _end_slow_ones(self) -> None:
        slow_s = time.monotonic() - _SLOW_S
        for context, since_s in list(self._since_s.items()):
            if since_s < slow_s:
                context.cancel()
