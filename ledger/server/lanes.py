"""Lanes: threads of their own for each kind of call, so that no kind can take all threads from the others.

What each RPC belongs to stands in one table, LANES. A lane has threads for the calls it works on, places for calls that
wait for something (a position of the log), and a bounded queue before it. What finds no room is refused at once.
"""

from __future__ import annotations

import math
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Final, NoReturn, TypeAlias

import grpc

from ledger import caller
from ledger.caller import Caller
from ledger.config import Config
from ledger.domain.refusal import Reason, Refusal
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

LANES: Final[Mapping[str, tuple[str, ...]]] = {
    FILLS: ("ledger.v1.FillService/RecordFills",),
    STREAMS: ("ledger.v1.FillService/StreamFills",),
    COMMANDS: (
        "ledger.v1.CommandService/RegisterAccount",
        "ledger.v1.CommandService/RegisterSymbol",
        "ledger.v1.CommandService/RegisterCurrency",
        "ledger.v1.CommandService/StartTrial",
        "ledger.v1.CommandService/ChangeTier",
        "ledger.v1.CommandService/RevokeTier",
        "ledger.v1.CommandService/BanAccount",
        "ledger.v1.CommandService/LiftBan",
        "ledger.v1.EvaluationService/RecordDailyClose",
        "ledger.v1.EvaluationService/RunEvaluation",  # one at a time
        "ledger.v1.MemberService/FlagAccount",
        "ledger.v1.MemberService/UnflagAccount",
        "ledger.v1.MemberService/RequestMatch",
        "ledger.v1.MemberService/ApproveMatch",
        "ledger.v1.MemberService/RejectMatch",
        "ledger.v1.MemberService/SubmitApplication",
        "ledger.v1.MemberService/VerifyApiIdentity",
        "ledger.v1.MemberService/SettleApplication",
        "ledger.v1.MemberService/AssignKeyAccountManager",
        "ledger.v1.MemberService/RecordBehaviourMetric",
        "ledger.v1.ProgrammeService/PublishProgramme",
        "ledger.v1.ProgrammeService/AssignPairClass",
        "ledger.v1.ProgrammeService/SetPairRates",
        "ledger.v1.RewardService/ReportFeedback",
        "ledger.v1.RewardService/AwardBounty",
        "ledger.v1.RewardService/CloseBountyRound",
        "ledger.v1.RewardService/AnnouncePromotion",
        "ledger.v1.RewardService/AwardBonus",
    ),
    READS: (
        "ledger.v1.ControlService/ListControls",
        "ledger.v1.FillService/GetSourcePosition",
        "ledger.v1.MemberQueryService/CheckMatchEligibility",
        "ledger.v1.MemberQueryService/CheckPromotionEligibility",
        "ledger.v1.MemberQueryService/GetEntitlements",
        "ledger.v1.MemberQueryService/GetMembership",
        "ledger.v1.ProgrammeService/GetProgramme",
        "ledger.v1.QueryService/GetLedgerInfo",
        "ledger.v1.QueryService/GetRates",
        "ledger.v1.QueryService/GetVipState",
        "ledger.v1.QueryService/QuoteFee",
    ),
    PAGES: (
        "ledger.v1.ControlService/ListFindings",
        "ledger.v1.ControlService/ListSoloActions",
        "ledger.v1.EvaluationService/GetEvaluation",
        "ledger.v1.EvaluationService/ListCloses",
        "ledger.v1.MemberQueryService/ListApplications",
        "ledger.v1.MemberQueryService/ListBountyRounds",
        "ledger.v1.MemberQueryService/ListMonthsWithoutPromotion",
        "ledger.v1.ProgrammeService/ListPairs",
        "ledger.v1.ProgrammeService/ListProgrammes",
        "ledger.v1.QueryService/GetFill",
        "ledger.v1.QueryService/ListAccounts",
        "ledger.v1.QueryService/ListEvents",
        "ledger.v1.QueryService/ListFeeHistory",
    ),
    PLANS: ("ledger.v1.EvaluationService/PlanEvaluation",),
    HEALTH: ("grpc.health.v1.Health/Check",),
    WATCHES: ("grpc.health.v1.Health/Watch",),
    REFLECTION: ("grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",),
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
        refusing = ThreadPoolExecutor(_REFUSING_THREADS, "refusing")
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
        self._lane_of = {f"/{method}": lanes[name] for name, methods in LANES.items() for method in methods}
        self._handlers: dict[str, _Handler] = {}  # by RPC, once it was called

    def intercept_service(
        self, continuation: Callable[[Any], _Handler | None], handler_call_details: Any
    ) -> _Handler | None:
        """Return the handler of a call in its lane, or one that refuses it. What has no lane keeps its own."""
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


class Lane:
    """Threads of some RPCs: `working` calls at once, and `waiting` more that have stepped aside."""

    def __init__(self, name: str, working: int, waiting: int, queue_max: int, refuses: ThreadPoolExecutor) -> None:
        self._name = name
        self.pool = _CountingPool(working + waiting, name)
        # As a stream, so that a thread refuses a call without having received the request.
        self.refusing: _Handler = grpc.stream_unary_rpc_method_handler(_in_pool(self.refuse, refuses))
        self._held_max = working + waiting + queue_max
        self._turns = threading.Semaphore(working)
        self._places = threading.Semaphore(waiting)
        self._may_step_aside = waiting > 0

    @property
    def is_full(self) -> bool:
        """True while no more calls may wait for a thread."""
        return self.pool.held >= self._held_max

    def refuse(self, _: object, context: grpc.ServicerContext) -> NoReturn:
        """End a call for which there is no room."""
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
    """The caller of a gRPC call, which it does not hold: the call holds the caller."""

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

    def __init__(self, context: grpc.ServicerContext, turns: threading.Semaphore, places: threading.Semaphore) -> None:
        super().__init__(context)
        self._turns = turns
        self._places = places
        self._is_held = False

    def take_turn(self) -> bool:
        """Return whether it is this call's turn, before its deadline."""
        self._is_held = self._turns.acquire(timeout=min(self.left_s, threading.TIMEOUT_MAX))
        return self._is_held

    def leave_turn(self) -> None:
        """Let another call work."""
        if self._is_held:
            self._is_held = False
            self._turns.release()

    @contextmanager
    def aside(self) -> Iterator[bool]:
        """Leave the turn to another call for a while; False: all places are taken."""
        if not self._places.acquire(blocking=False):
            yield False
            return
        self.leave_turn()
        try:
            yield True
            self.take_turn()  # past the deadline nobody counts who works
        finally:
            self._places.release()


class _CountingPool(ThreadPoolExecutor):
    """A pool that knows how many calls it holds: under way, or waiting for a thread."""

    def __init__(self, threads: int, name: str) -> None:
        super().__init__(threads, name)
        self._count = threading.Lock()
        self.held = 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run a function in one of the threads, and count it from now until it has ended."""
        with self._count:
            self.held += 1
        try:
            future = super().submit(fn, *args, **kwargs)
        except RuntimeError:  # it was shut down
            self._leave(None)
            raise
        future.add_done_callback(self._leave)
        return future

    def _leave(self, _: object) -> None:
        with self._count:
            self.held -= 1


def _in_lane(handler: _Handler, lane: Lane) -> _Handler:
    """The same handler with the threads of a lane."""
    kind = next(kind for kind in _KINDS if getattr(handler, kind))
    behaviour = getattr(handler, kind)

    def in_turn(request: Any, context: grpc.ServicerContext) -> Any:
        return lane.run(behaviour, request, context)

    make = getattr(grpc, f"{kind}_rpc_method_handler")
    laned: _Handler = make(
        _in_pool(in_turn, lane.pool),
        request_deserializer=handler.request_deserializer,
        response_serializer=handler.response_serializer,
    )
    return laned


def _in_pool(behaviour: _Behaviour, pool: ThreadPoolExecutor) -> _Behaviour:
    """Have gRPC call a behaviour in a pool of threads; a function of its own, as methods take no attributes."""

    def called(request: Any, context: grpc.ServicerContext) -> Any:
        return behaviour(request, context)

    called.experimental_thread_pool = pool  # type: ignore[attr-defined]
    return called
