"""The call that this thread answers: how long its caller still waits, whether anybody does, and how a log names it.

A wait deep inside the service asks here, so that it ends with the deadline of whoever waits, and when they hang up.
A thread that answers nobody, as the one that evaluates by itself, finds a caller without a deadline.
"""

from __future__ import annotations

import math
import os
import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any, Final, NamedTuple

from ledger.domain.refusal import Reason

_MARGIN: Final = 4  # of the time left a quarter is kept for the answer to arrive,
_MARGIN_S_MAX: Final = 0.25  # but no more than this
CALL_ID_KEY: Final = "x-request-id"  # of the metadata of a call
TRACE_KEY: Final = "traceparent"

_CALL_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_TRACEPARENT: Final = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}")
_naming: Final = threading.Lock()  # held while a call gets its id: several threads may log of one call


class Trace(NamedTuple):
    """A place in a trace (https://www.w3.org/TR/trace-context/), in hexadecimal digits."""

    trace_id: str
    span_id: str


class Caller:
    """Who waits for an answer: as such nobody, who never hangs up and has no address."""

    __slots__ = ("_call_id", "_end_s", "_span", "has_recorded", "rpc")

    def __init__(self) -> None:
        self._end_s = math.inf  # of the monotonic clock: the deadline
        self.rpc = ""  # what it calls, for example ledger.v1.QueryService/GetRates; empty for nobody
        self.has_recorded = False  # something, of what it sent

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

    @property
    def metadata(self) -> Sequence[tuple[str, str | bytes]]:
        """The metadata that the caller sent: (key in lower case, value)."""
        return ()

    @property
    def call_id(self) -> str:
        """The id by which log and caller name this call: the caller's own x-request-id, or else a new one.

        It is made when somebody first asks for it. Empty for nobody's call.
        """
        if not self.rpc:
            return ""
        with _naming:
            try:
                return self._call_id
            except AttributeError:
                self._call_id: str = self._sent(CALL_ID_KEY, _CALL_ID) or os.urandom(8).hex()
                return self._call_id

    @property
    def span(self) -> Any:
        """The span of this call as OpenTelemetry has it; None where the service traces nothing."""
        try:
            return self._span
        except AttributeError:
            return None

    @span.setter
    def span(self, span: Any) -> None:
        self._span: Any = span

    @property
    def trace(self) -> Trace | None:
        """The span of this call, or else the one of the caller's that its `traceparent` names; None: there is none."""
        if self.span is not None:
            context = self.span.get_span_context()
            return Trace(f"{context.trace_id:032x}", f"{context.span_id:016x}")
        found = _TRACEPARENT.fullmatch(self._sent(TRACE_KEY, _TRACEPARENT))
        return Trace(*found.groups()) if found else None

    def _sent(self, key: str, pattern: re.Pattern[str]) -> str:
        """Return the first value of a key that the caller sent in good form; empty if there is none."""
        values = (value for name, value in self.metadata if name == key and isinstance(value, str))
        return next(filter(pattern.fullmatch, values), "")

    def refused(self, reason: Reason) -> None:
        """Take note of why the call is refused."""

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


@contextmanager
def answering(who: Caller) -> Iterator[None]:
    """Answer a caller within the block, in a thread that answers nobody otherwise."""
    token = _CALLER.set(who)
    try:
        yield
    finally:
        _CALLER.reset(token)
