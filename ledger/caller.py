"""The call that this thread answers: how long its caller still waits, and whether anybody does.

A wait deep inside the service asks here, so that it ends with the deadline of whoever waits, and when they hang up.
A thread that answers nobody, as the one that evaluates by itself, finds a caller without a deadline.
"""

from __future__ import annotations

import math
import time
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from typing import Final

_MARGIN: Final = 4  # of the time left a quarter is kept for the answer to arrive,
_MARGIN_S_MAX: Final = 0.25  # but no more than this


class Caller:
    """Who waits for an answer: as such nobody, who never hangs up and has no address."""

    __slots__ = ("_end_s",)

    def __init__(self, left_s: float = math.inf) -> None:
        """`left_s` is the time until the deadline."""
        self._end_s = time.monotonic() + left_s

    @property
    def left_s(self) -> float:
        """Seconds until the deadline, never negative; infinite where there is none."""
        return max(self._end_s - time.monotonic(), 0.0)

    @property
    def hung_up(self) -> bool:
        """True once the call is over: cancelled, broken off, or past its deadline."""
        return False

    @property
    def peer(self) -> str:
        """The address of the connection; empty for nobody's."""
        return ""

    def wait_s(self, wait_ms_max: int) -> float:
        """Return how long to wait at most, so that a refusal still arrives before the deadline."""
        left_s = self.left_s
        return min(wait_ms_max / 1000, left_s - min(left_s / _MARGIN, _MARGIN_S_MAX))

    def aside(self) -> AbstractContextManager[bool]:
        """Step aside while waiting for something that takes long, so that others get their answers meanwhile.

        The block gets False where too many wait already: then refuse at once. Who is refused leaves the block by the
        exception; who leaves it otherwise works on, when it is their turn.
        """
        return nullcontext(enter_result=True)


_NOBODY: Final = Caller()
_CALLER: Final[ContextVar[Caller]] = ContextVar("caller", default=_NOBODY)


def caller() -> Caller:
    """Return the caller that this thread answers."""
    return _CALLER.get()


def answer(who: Caller) -> None:
    """Say whom this thread answers from now on; gRPC gives each call a context of its own."""
    _CALLER.set(who)
