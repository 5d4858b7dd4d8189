"""Which processors the service runs on.

Python computes in one thread at a time, and the threads of a service hand over to each other thousands of times a
second. Where that has to wake another processor each time, waking takes longer than the work: with two processors, an
engine that waits for each fill had its answer a third sooner from a service that keeps to one of them, and 64 callers
were served half as fast again. The other one is PostgreSQL's.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from typing import Final

CHOICES: Final = ("auto", "one", "all")
_FEW: Final = 4  # processors of a machine on which nothing is gained by spreading out

_CAN_CHOOSE: Final = hasattr(os, "sched_setaffinity")  # Linux
_ALL: Final = os.sched_getaffinity(0) if _CAN_CHOOSE else set[int]()

_EXPERIMENTS: Final = "GRPC_EXPERIMENTS"  # how gRPC calls its choices of this kind
_GRPC_TRIED: Final = (1, 85)  # the last release that was; one that does not know an experiment complains at each start


def choices_of_grpc(environment: Mapping[str, str]) -> Mapping[str, str]:
    """Return the variables that have gRPC read from connections in the thread that hands calls over to the service.

    Since 1.80 it has threads of its own for that, and three of them wake each other for each call. On one processor an
    empty call took 120 microseconds of it with them, and takes 90. Where somebody has chosen, or where there are many
    processors, nothing is added.
    """
    release = tuple(int(part) for part in version("grpcio").split(".")[:2])
    if _CAN_CHOOSE and len(_ALL) <= _FEW and release <= _GRPC_TRIED and _EXPERIMENTS not in environment:
        return {_EXPERIMENTS: "-event_engine_listener"}
    return {}


def keep_to(choice: str) -> None:
    """Have this thread, and all that it starts from now on, run on one processor, if that is the choice.

    "auto" is one where there are few. Two services on a machine mostly take different ones.
    """
    if _CAN_CHOOSE and (choice == "one" or (choice == "auto" and len(_ALL) <= _FEW)):
        os.sched_setaffinity(0, {sorted(_ALL)[os.getpid() % len(_ALL)]})


@contextmanager
def on_all() -> Iterator[None]:
    """Let what is started within the block, a database say, run on every processor."""
    if not _CAN_CHOOSE:
        yield
        return
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, _ALL)
    try:
        yield
    finally:
        os.sched_setaffinity(0, own)
