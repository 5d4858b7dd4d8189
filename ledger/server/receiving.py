"""Turns at receiving messages: one that is coming in lies in memory as far as it came, and its length is unknown."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import grpc

from ledger.domain.refusal import Reason
from ledger.server.turns import Turns
from ledger.wire.status import refuse

_PATIENCE_S: Final = 1.0  # that a call waits for its turn
_LOOK_S: Final = 0.01  # of a wait, at a time: one that takes three times as long says that the service stood still
_REFUSED_BYTES_PER_S: Final = 32_000_000  # of messages that are refused, through each turn
_REST_S_LEAST: Final = 0.01


class Receiving:
    """Lets `calls_max` calls receive their message at once; each message may have `message_bytes_max` bytes.

    A message that has been coming in for `slow_s` seconds may be ended for those that wait.
    """

    def __init__(self, calls_max: int, slow_s: float) -> None:
        self._turns = Turns(calls_max)
        self._slow_s = slow_s
        self._since_s: dict[grpc.ServicerContext, float] = {}
        self._resumed_s = 0.0  # when the service last went on after it had stood still, as far as waits have seen

    def only_message(self, decode: Callable[[Any], Any], arriving: Iterator[Any], context: grpc.ServicerContext) -> Any:
        """Return the only message of a call, decoded; `decode` is given None if none comes, and may raise RefusedError.

        Refuses with QUEUE_FULL where too many come in. A turn whose message is refused is left a little later, by its
        size: who sends one after another that nobody can read is not to take all of the time of those who ask.
        """
        if not self._turns.take():
            self._wait_for_turn(context)
        arrived = None
        self._since_s[context] = time.monotonic()
        try:
            try:
                arrived = next(arriving, None)
            finally:
                del self._since_s[context]
            decoded = decode(arrived)
        except BaseException:
            self._leave_turn_after(len(arrived) if isinstance(arrived, bytes) else 0)
            raise
        self._turns.leave()
        return decoded

    def _leave_turn_after(self, refused_bytes: int) -> None:
        rest_s = refused_bytes / _REFUSED_BYTES_PER_S
        if rest_s < _REST_S_LEAST:
            self._turns.leave()
            return
        rest = threading.Timer(rest_s, self._turns.leave)  # in a thread of its own: the call ends at once
        rest.daemon = True
        try:
            rest.start()
        except RuntimeError:  # the system gives no more threads: a turn that nobody leaves would be lost for ever
            self._turns.leave()

    def _wait_for_turn(self, context: grpc.ServicerContext) -> None:
        left_s = context.time_remaining()
        until_s = time.monotonic() + (_PATIENCE_S if left_s is None else min(left_s, _PATIENCE_S))
        waited_s = 0.0  # while the service went on
        while (wait_s := until_s - time.monotonic()) > 0:
            began_s = time.monotonic()
            if self._turns.take(min(wait_s, _LOOK_S)):
                return
            took_s = time.monotonic() - began_s
            if took_s < 3 * _LOOK_S:
                waited_s += took_s
            else:
                waited_s, self._resumed_s = 0.0, time.monotonic()
            if waited_s >= min(self._slow_s, _PATIENCE_S / 2):
                self.end(self._slow_s)
                waited_s = 0.0
        refuse(Reason.QUEUE_FULL, "", "as many messages as may are coming in: send it later")

    def end(self, after_s: float = 0) -> None:
        """End the calls whose message has been coming in for so many seconds, and is not all there.

        Where the service stood still, which a machine does that has other work, time counts from when it went on: the
        message may have come meanwhile, and nobody took it.
        """
        began_s = time.monotonic() - after_s
        for context, since_s in list(self._since_s.items()):
            if not after_s or max(since_s, self._resumed_s) < began_s:
                context.cancel()
