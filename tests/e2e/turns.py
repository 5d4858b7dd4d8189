"""Listens to the health of a service."""

from __future__ import annotations

import threading
import time
from contextlib import suppress

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from tests.waiting import wait_for

TURN_S_MAX = 8.0  # 2 s on a machine that has nothing else to do
FILLS = "ledger.v1.FillService"
QUERIES = "ledger.v1.QueryService"


class Turns:
    """Keeps what Watch tells of services, and when."""

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
        """Return what was told last."""
        return bool(self._told[name]) and self._told[name][-1][1]

    def seconds_to(self, *, serving: bool, since_s: float, name: str) -> float:
        """How long after a moment of the monotonic clock health turned, once it has: then it was true again."""
        wait_for(lambda: self.serving(name) is serving, TURN_S_MAX + 10)
        return self._told[name][-1][0] - since_s

    def _listen(self, name: str) -> None:
        with suppress(grpc.RpcError):
            for told in self._watches[name]:
                self._told[name].append((time.monotonic(), told.status == HealthCheckResponse.SERVING))
