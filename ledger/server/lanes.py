"""Lanes: each kind of call has threads of its own, so that no kind can take all threads from the others.

An RPC has its lane by its name (`lane_of`). A lane has threads for the calls it works on, places for calls that step
aside (for a position of the log, or for what later commits would post), and a bounded queue before it. A call that
finds no room is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import Any, Final, NamedTuple, NoReturn, TypeAlias

import grpc

from ledger.config import Config
from ledger.contract import SERVICES
from ledger.domain.refusal import Reason
from ledger.server.call_pool import CallPool
from ledger.server.turns import Turns
from ledger.wire.status import refuse

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

Behaviour: TypeAlias = Callable[[Any, grpc.ServicerContext], Any]
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


class Room(NamedTuple):
    """How many calls a lane holds."""

    working: int  # calls that are worked on at once
    aside: int  # calls that have stepped aside, for what takes long
    queued: int  # calls that wait for a thread

    @property
    def calls_max(self) -> int:
        """All of them; further ones are refused."""
        return sum(self)


def rooms(config: Config) -> Mapping[str, Room]:
    """Return the room of each lane."""
    sizes = {
        FILLS: (config.fills_threads, 0),
        COMMANDS: (config.command_threads, config.waiting_previews_max),
        STREAMS: (config.streams_max + _STREAMS_MORE, 0),
        READS: (config.read_threads, config.waiting_reads_max),
        PAGES: (config.page_threads, config.waiting_pages_max),
        PLANS: (config.plan_threads, 0),
        HEALTH: (_HEALTH_THREADS, 0),
        WATCHES: (_WATCHES_MAX, 0),
        REFLECTION: (_REFLECTION_THREADS, 0),
    }
    return {name: Room(*size, 0 if name == WATCHES else config.lane_queue_max) for name, size in sizes.items()}


class Lane:
    """The threads of some RPCs, those that refuse calls of theirs, and places for calls that step aside."""

    def __init__(self, name: str, room: Room, refuses: CallPool) -> None:
        self._name = name
        self.calls_max = room.calls_max
        self.refused = 0  # calls
        self.pool = CallPool(room.working, name)
        self.refuses = refuses
        self.places = Turns(room.aside) if room.aside else None  # for calls that step aside; else none does

    @property
    def is_full(self) -> bool:
        """True while no more calls may wait for a thread."""
        return self.pool.held >= self.calls_max

    def refuse(self) -> NoReturn:
        """Refuse a call for which there is no room, with QUEUE_FULL."""
        self.refused += 1
        refuse(Reason.QUEUE_FULL, "", f"{self.pool.held} calls of the {self._name} lane are under way or wait already")


class Lanes:
    """The lane of every RPC that is served."""

    def __init__(self, config: Config) -> None:
        refusing = CallPool(_REFUSING_THREADS, "refusing")
        self.by_name = {name: Lane(name, room, refusing) for name, room in rooms(config).items()}
        self._pools = [refusing, *(lane.pool for lane in self.by_name.values())]
        self._by_rpc = {rpc: self.by_name[name] for name, rpcs in LANES.items() for rpc in rpcs}

    def __getitem__(self, rpc: str) -> Lane:
        """Return the lane of an RPC, for example of ledger.v1.QueryService/GetRates."""
        return self._by_rpc[rpc]

    def stop(self) -> None:
        """Have the threads end, once their calls have ended."""
        for pool in self._pools:
            pool.shutdown(wait=False)


def in_pool(behaviour: partial[Any], pool: CallPool) -> Behaviour:
    """Have gRPC call a behaviour in a pool of threads; a `partial`, which takes attributes where a method does not."""
    behaviour.experimental_thread_pool = pool  # type: ignore[attr-defined]
    return behaviour
