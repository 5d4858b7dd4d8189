"""Listens to the health of a service, and plays what happens to its PostgreSQL."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from tests.waiting import wait_for

TURN_S_MAX = 8.0  # 2 s on a machine that has nothing else to do
FILLS = "ledger.v1.FillService"
QUERIES = "ledger.v1.QueryService"


class Turns:
    """What Watch tells of services, and when."""

    def __init__(self, channel: grpc.Channel, *names: str) -> None:
        self._told: dict[str, list[tuple[float, bool]]] = {name: [] for name in names}
        self._watches = {name: HealthStub(channel).Watch(HealthCheckRequest(service=name)) for name in names}
        for name in names:
            threading.Thread(target=self._listen, args=(name,), daemon=True).start()

    def __enter__(self) -> Turns:
        return self

    def __exit__(self, *_: object) -> None:
        for watch in self._watches.values():
            watch.cancel()

    def serving(self, name: str) -> bool:
        """What was told last."""
        return bool(self._told[name]) and self._told[name][-1][1]

    def seconds_to(self, *, serving: bool, since_s: float, name: str) -> float:
        """How long after a moment of the monotonic clock health turned, once it has: then it was true again."""
        wait_for(lambda: self.serving(name) is serving, TURN_S_MAX + 10)
        return self._told[name][-1][0] - since_s

    def _listen(self, name: str) -> None:
        with suppress(grpc.RpcError):
            for told in self._watches[name]:
                self._told[name].append((time.monotonic(), told.status == HealthCheckResponse.SERVING))


@contextmanager
def frozen(postmaster: int) -> Iterator[None]:
    """No process of a PostgreSQL does anything until the block ends."""
    pids = [postmaster, *_children(postmaster)]
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in reversed(pids):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]
