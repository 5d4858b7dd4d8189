"""Lanes: each kind of call has threads of its own, so that no kind can take all threads from the others.

An RPC has its lane by its name (`lane_of`). A lane has threads for the calls it works on, places for calls that
wait for something (a position of the log), and a bounded queue before it. A call that finds no room is refused.
"""

from __future__ import annotations

import math
import re
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import Any, Final, NoReturn, TypeAlias

import grpc

from ledger import caller
from ledger.caller import Caller
from ledger.config import Config
from ledger.contract import SERVICES
from ledger.domain.refusal import Reason, Refusal
from ledger.server.call_pool import CallPool
from ledger.server.turns import Turns
from ledger.wire.status import RefusedError, abort

FILLS: Final = "fills"
COMMANDS: Final = "commands"
STREAMS: Final = "streams"
READS: Final = "reads"  # answered out of memory, or by few rows
PAGES: Final = "pages"  # many rows, or much to compute
PLANS: Final = "plans"  # what evaluations would give: minutes, at the pace of who reads
HEALTH: Final = "health"
WATCHES: Final = "watches"  # of health: each holds its thread
REFLECTION: Final = "reflection"

# RPCs of the contract by their first word; every other one is a command, but for those that have a lane of their own.
_BY_VERB: Final = {"Get": READS, "Check": READS, "Quote": READS, "List": PAGES}
_BY_NAME: Final = {
    "RecordFills": FILLS,
    "StreamFills": STREAMS,
    "ListControls": READS,
    "GetEvaluation": PAGES,
    "GetFill": PAGES,
    "PlanEvaluation": PLANS,
}


def lane_of(rpc: str) -> str:
    """Return the lane of an RPC of the contract, for example READS for GetRates."""
    verb = re.match("[A-Z][a-z]+", rpc)
    return _BY_NAME.get(rpc) or _BY_VERB.get(verb[0] if verb else "", COMMANDS)


def _lanes() -> Iterator[tuple[str, str]]:
    """Yield the lane and the name of every method that is served, for example ledger.v1.QueryService/GetRates."""
    for service in SERVICES:
        yield from ((lane_of(method.name), f"{service.full_name}/{method.name}") for method in service.methods)
    yield HEALTH, "grpc.health.v1.Health/Check"
    yield WATCHES, "grpc.health.v1.Health/Watch"
    yield REFLECTION, "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"


LANES: Final[Mapping[str, tuple[str, ...]]] = {
    lane: tuple(method for _, method in methods) for lane, methods in groupby(sorted(_lanes()), key=itemgetter(0))
}

_HEALTH_THREADS: Final = 2
_WATCHES_MAX: Final = 64  # more are refused at once
_REFLECTION_THREADS: Final = 4
_STREAMS_MORE: Final = 4  # threads for streams that are refused, or wait for an idle one to make room
_REFUSING_THREADS: Final = 2
_KINDS: Final = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")

_Behaviour: TypeAlias = Callable[[Any, grpc.ServicerContext], Any]
_Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


class Lanes(grpc.ServerInterceptor):
    """Gives each call to the lane of its RPC."""

    def __init__(self, config: Config) -> None:
        refusing = CallPool(_REFUSING_THREADS, "refusing")
        sizes = {  # calls that are worked on, and that wait aside
            FILLS: (config.fills_threads, 0),
            COMMANDS: (config.command_threads, 0),
            STREAMS: (config.streams_max + _STREAMS_MORE, 0),
            READS: (config.read_threads, config.waiting_reads_max),
            PAGES: (config.page_threads, config.waiting_pages_max),
            PLANS: (config.plan_threads, 0),
            HEALTH: (_HEALTH_THREADS, 0),
            WATCHES: (_WATCHES_MAX, 0),
            REFLECTION: (_REFLECTION_THREADS, 0),
        }
        queues = dict.fromkeys(sizes, config.lane_queue_max) | {WATCHES: 0}
        lanes = {name: Lane(name, *size, queues[name], refusing) for name, size in sizes.items()}
        self._pools = [refusing, *(lane.pool for lane in lanes.values())]
        self._lane_of = {f"/{method}": lanes[name] for name, methods in LANES.items() for method in methods}
        self._handlers: dict[str, _Handler] = {}  # by RPC, once it was called

    def intercept_service(
        self, continuation: Callable[[Any], _Handler | None], handler_call_details: Any
    ) -> _Handler | None:
        """Return the handler of a call in its lane, or one that refuses it; of a call without a lane, its own."""
        method = handler_call_details.method
        lane = self._lane_of.get(method)
        if lane is None:
            return continuation(handler_call_details)
        if lane.is_full:
            return lane.refusing
        handler = self._handlers.get(method)
        if handler is None and (found := continuation(handler_call_details)) is not None:
            handler = self._handlers[method] = _in_lane(found, lane)
        return handler

    def stop(self) -> None:
        """Have the threads end, once their calls have ended."""
        for pool in self._pools:
            pool.shutdown(wait=False)


class Lane:
    """The threads of some RPCs: `working` calls at once, and `waiting` more that have stepped aside."""

    def __init__(self, name: str, working: int, waiting: int, queue_max: int, refuses: CallPool) -> None:
        self._name = name
        self.pool = CallPool(working + waiting, name)
        # As a stream, so that a thread refuses a call without having received the request.
        self.refusing: _Handler = grpc.stream_unary_rpc_method_handler(_in_pool(partial(self.refuse), refuses))
        self._held_max = working + waiting + queue_max
        self._turns = Turns(working)
        self._places = Turns(waiting)
        self._may_step_aside = waiting > 0

    @property
    def is_full(self) -> bool:
        """True while no more calls may wait for a thread."""
        return self.pool.held >= self._held_max

    def refuse(self, _: object, context: grpc.ServicerContext) -> NoReturn:
        """End a call for which there is no room, with QUEUE_FULL."""
        detail = f"{self.pool.held} calls of the {self._name} lane are under way or wait already"
        abort(context, RefusedError(Refusal(Reason.QUEUE_FULL, "", detail)))

    def run(self, behaviour: _Behaviour, request: Any, context: grpc.ServicerContext) -> Any:
        """Answer a call in this thread."""
        if not self._may_step_aside:  # the threads are the turns
            caller.answer(_Call(context))
            return behaviour(request, context)
        call = _CallWithTurn(context, self._turns, self._places)
        caller.answer(call)
        if not call.take_turn():
            self.refuse(request, context)
        try:
            return behaviour(request, context)
        finally:
            call.leave_turn()


class _Call(Caller):
    """The caller of a gRPC call. It does not keep the call alive, for the call keeps the caller."""

    __slots__ = ("_context",)

    def __init__(self, context: grpc.ServicerContext) -> None:
        left_s = context.time_remaining()
        super().__init__(math.inf if left_s is None else left_s)
        self._context = weakref.ref(context)

    @property
    def hung_up(self) -> bool:
        context = self._context()
        return context is None or not context.is_active()

    @property
    def peer(self) -> str:
        context = self._context()
        return context.peer() if context is not None else ""


class _CallWithTurn(_Call):
    """A call with a right to work, which it leaves to another one while it waits."""

    __slots__ = ("_is_held", "_places", "_turns")

    def __init__(self, context: grpc.ServicerContext, turns: Turns, places: Turns) -> None:
        super().__init__(context)
        self._turns = turns
        self._places = places
        self._is_held = False

    def take_turn(self) -> bool:
        """Wait for this call's turn; return False if it does not come before the deadline."""
        self._is_held = self._turns.take() or self._turns.take(self.left_s)
        return self._is_held

    def leave_turn(self) -> None:
        """Let another call work."""
        if self._is_held:
            self._is_held = False
            self._turns.leave()

    @contextmanager
    def aside(self) -> Iterator[bool]:
        """Leave the turn to another call for a while; False: all places are taken."""
        if not self._places.take():
            yield False
            return
        self.leave_turn()
        try:
            yield True
            self.take_turn()  # after the deadline it goes on without one, and ends soon
        finally:
            self._places.leave()


def _in_lane(handler: _Handler, lane: Lane) -> _Handler:
    """Return the handler with the threads of a lane."""
    kind = next(kind for kind in _KINDS if getattr(handler, kind))
    make = getattr(grpc, f"{kind}_rpc_method_handler")
    laned: _Handler = make(
        _in_pool(partial(lane.run, getattr(handler, kind)), lane.pool),
        request_deserializer=handler.request_deserializer,
        response_serializer=handler.response_serializer,
    )
    return laned


def _in_pool(behaviour: partial[Any], pool: CallPool) -> _Behaviour:
    """Have gRPC call a behaviour in a pool of threads; a `partial`, which takes attributes where a method does not."""
    behaviour.experimental_thread_pool = pool  # type: ignore[attr-defined]
    return behaviour
