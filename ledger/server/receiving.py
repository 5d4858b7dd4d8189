"""Turns at receiving messages: one that comes in lies in memory as far as it came, and nobody knows how long it is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Final

import grpc

from ledger.domain.refusal import Reason
from ledger.server.turns import Turns
from ledger.wire.status import refusals, refuse

_PATIENCE_S: Final = 1.0  # so long a call waits for its turn
_SLOW_S: Final = 5.0  # a message that has been coming for so long may be ended for the sake of those that wait


class Receiving:
    """Lets so many calls receive their message at once; each of them may have as many bytes as a message may."""

    def __init__(self, calls_max: int) -> None:
        self._turns = Turns(calls_max)
        self._since_s: dict[grpc.ServicerContext, float] = {}

    def only_message(self, requests: Iterator[Any], context: grpc.ServicerContext) -> Any:
        """Return the only message of a call; None if none comes. Refuses with QUEUE_FULL where too many come in."""
        if not self._turns.take():
            with refusals(context):
                self._wait_for_turn(context)
        self._since_s[context] = time.monotonic()
        try:
            return next(requests, None)
        finally:
            del self._since_s[context]
            self._turns.leave()

    def _wait_for_turn(self, context: grpc.ServicerContext) -> None:
        left_s = context.time_remaining()
        if not self._turns.take(_PATIENCE_S if left_s is None else min(left_s, _PATIENCE_S)):
            self._end_slow_ones()
            refuse(Reason.QUEUE_FULL, "", "as many messages as may are coming in: send it later")

    def end_all(self) -> None:
        """End the calls whose message has not come: the service stops, and would wait for them."""
        self._end_slow_ones(0)

    def _end_slow_ones(self, patience_s: float = _SLOW_S) -> None:
        slow_s = time.monotonic() - patience_s
        for context, since_s in list(self._since_s.items()):
            if since_s < slow_s:
                context.cancel()
