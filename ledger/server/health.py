"""Health by service (grpc.health.v1), looked at all the time: it is true within two seconds.

A service with an RPC that writes is SERVING while this process writes the ledger and can commit. The others are while
the store answers, and so is the empty name: a standby serves reads. Each turn is a line in the log.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

import grpc
from grpc_health.v1.health import OVERALL_HEALTH
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthServicer

from ledger import contract
from ledger.seldom import Seldom
from ledger.server.lanes import COMMANDS, FILLS, LANES, STREAMS

_log: Final = logging.getLogger(__name__)
_failing: Final = Seldom(_log)

Check: TypeAlias = Callable[[], str]
"""Returns at once why a service cannot be served, for people; empty if it can."""
Looked: TypeAlias = Callable[[str, str], None]
"""Takes at once why services that read, and those that write, cannot be served, after each look."""

_EVERY_S: Final = 0.25
_PREFIX: Final = "ledger.v1."

SERVICES: Final = tuple(sorted(service.full_name for service in contract.SERVICES))
WRITING: Final = tuple(sorted({rpc.partition("/")[0] for lane in (FILLS, STREAMS, COMMANDS) for rpc in LANES[lane]}))
READING: Final = (OVERALL_HEALTH, *(name for name in SERVICES if name not in WRITING))


class Health(HealthServicer):  # type: ignore[misc]
    """Says NOT_SERVING for every service until `start`, and for ever after `stop`.

    Not the servicer of grpcio-health-checking: that one sends while it holds its lock, and the thread of gRPC that
    would complete the sending waits for that lock when a watcher hangs up; then the whole server stands (1.81).
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._serving = dict.fromkeys((*READING, *WRITING), False)
        self._over = False
        self._checks: dict[Sequence[str], Sequence[Check]] = {}
        self._faults: dict[Sequence[str], str] = {}  # as they were told last
        self._looked: Looked = lambda _reads, _writes: None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="health", daemon=True)

    def start(self, reads: Check, *writes: Check, looked: Looked | None = None) -> None:
        """Look once, and start the thread that goes on looking.

        Services that write are SERVING if neither `reads` nor any of `writes` has a fault.
        """
        self._looked = looked or self._looked
        self._checks = {READING: (reads,), WRITING: (reads, *writes)}
        self._look()
        self._thread.start()

    def stop(self) -> None:
        """Say NOT_SERVING from now on. Watchers get it, and their calls end."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self._over = True
        self._set((*READING, *WRITING), serving=False)
        _log.info("health: NOT_SERVING for every service: this one stops")

    @property
    def serving(self) -> Mapping[str, bool]:
        """Return which services are SERVING, by name."""
        return dict(self._serving)

    def Check(self, request: HealthCheckRequest, context: grpc.ServicerContext) -> HealthCheckResponse:
        """Answer with the status of a service now. NOT_FOUND: there is no such service."""
        status = self._status(request.service)
        if status == HealthCheckResponse.SERVICE_UNKNOWN:
            context.abort(grpc.StatusCode.NOT_FOUND, "there is no such service")
        return HealthCheckResponse(status=status)

    def Watch(self, request: HealthCheckRequest, context: grpc.ServicerContext) -> Iterator[HealthCheckResponse]:
        """Yield the status of a service now, and each time it changes. Holds a thread, which is awake only then."""
        told = None
        context.add_callback(self._wake)

        def has_news() -> bool:
            return self._status(request.service) != told or self._over or not context.is_active()

        while context.is_active():
            with self._changed:
                self._changed.wait_for(has_news)
                status, over = self._status(request.service), self._over
            if status != told:
                yield HealthCheckResponse(status=status)  # without the lock: it may take as long as the caller likes
                told = status
            if over:
                return

    def _status(self, name: str) -> HealthCheckResponse.ServingStatus:
        if name not in self._serving:
            return HealthCheckResponse.SERVICE_UNKNOWN
        return HealthCheckResponse.SERVING if self._serving[name] else HealthCheckResponse.NOT_SERVING

    def _set(self, names: Sequence[str], *, serving: bool) -> None:
        with self._changed:
            self._serving.update(dict.fromkeys(names, serving))
            self._changed.notify_all()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _run(self) -> None:
        while not self._stopping.wait(_EVERY_S):
            self._look()

    def _look(self) -> None:
        for names, checks in self._checks.items():
            fault = _first_fault(checks)
            if self._faults.get(names) != fault:
                self._faults[names] = fault
                self._set(names, serving=not fault)
                _tell(names, fault)
        try:
            self._looked(self._faults[READING], self._faults[WRITING])
        except Exception:  # nor may one of whoever is told end the looking
            _failing.exception("a defect: what health has found could not be told")


def _tell(names: Sequence[str], fault: str) -> None:
    """Log why these services can, or cannot, be served now."""
    told = ", ".join(name.removeprefix(_PREFIX) or '""' for name in names)
    if fault:
        _log.warning("health: NOT_SERVING for %s: %s", told, fault)
    else:
        _log.info("health: SERVING for %s", told)


def _first_fault(checks: Sequence[Check]) -> str:
    try:
        return next(filter(None, (check() for check in checks)), "")
    except Exception:  # a defect must not leave health as it was for ever
        _failing.exception("a defect: health could not be looked at, and says NOT_SERVING")
        return "a defect of the ledger"
