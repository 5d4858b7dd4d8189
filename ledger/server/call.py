"""A gRPC call that a thread answers: how long its caller waits, and whether others work meanwhile."""

from __future__ import annotations

import math
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

import grpc

from ledger import caller
from ledger.caller import Caller
from ledger.domain.refusal import Reason
from ledger.server.call_counts import RpcCounts
from ledger.server.lanes import Lane

_OK: Final = "OK"
_OTHER: Final = "OTHER"

_handed_over_ns: Final[ContextVar[int]] = ContextVar("handed_over_ns")


def hand_over() -> None:
    """Take note that gRPC hands a call over, in the context that it has for it: from now on it waits for a thread."""
    _handed_over_ns.set(time.perf_counter_ns())


class Call(Caller):
    """The caller of a gRPC call. It does not keep the call alive, for the call keeps the caller."""

    __slots__ = ("_context", "_lane", "_refused")

    def __init__(self, rpc: str, lane: Lane, context: grpc.ServicerContext) -> None:
        left_s = context.time_remaining()
        self._end_s = math.inf if left_s is None else time.monotonic() + left_s
        self.rpc = rpc
        self.has_recorded = False
        self._context = weakref.ref(context)
        self._lane = lane
        self._refused: Reason | None = None
        caller.answer(self)

    def count(self, counts: RpcCounts, context: grpc.ServicerContext, *, answered: bool) -> None:
        """Count this call, which has ended; where gRPC has no status of it, it was answered, or its caller left."""
        ended: grpc.StatusCode | None = context.code()  # type: ignore[attr-defined]
        code = ended.name if ended is not None else _OK if answered else _OTHER
        counts.end(time.perf_counter_ns() - _handed_over_ns.get(), code, self._refused)

    def refused(self, reason: Reason) -> None:
        self._refused = reason

    @property
    def hung_up(self) -> bool:
        context = self._context()
        return context is None or not context.is_active()

    @property
    def peer(self) -> str:
        context = self._context()
        return context.peer() if context is not None else ""

    @property
    def metadata(self) -> Sequence[tuple[str, str | bytes]]:
        context = self._context()
        return (context.invocation_metadata() or ()) if context is not None else ()

    @contextmanager
    def aside(self) -> Iterator[bool]:
        pool, places = self._lane.pool, self._lane.places
        if places is None:
            yield True
            return
        if not places.take():
            yield False
            return
        pool.step_aside()
        try:
            yield True
        finally:
            pool.come_back(self.left_s)
            places.leave()
