"""How long single calls take while others load the service: what its lanes and fair turns are for."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Final

import grpc
from grpc_health.v1 import health_pb2

from ledger.v1 import fill_service_pb2, query_service_pb2
from scripts.bench.calls import percentile
from scripts.bench.fills import messages_of, reference_fills
from scripts.bench.lanes_load import PAGE_LINES
from scripts.bench.load import FILLS_PER_MESSAGE, single_message, stream_load
from scripts.bench.paths import RECORD_FILLS, STATE, STREAM_FILLS
from scripts.bench.service import Served, trading_ledger
from scripts.bench.store import Failed, Store, check
from scripts.bench.stream import stream

LOADS: Final = {"idle": 0, "waiting": 64, "pages": 64, "idle_streams": 16, "streams": 16}  # callers or streams
_PROCESSES: Final = 4  # of a load
_HEALTH: Final = "/grpc.health.v1.Health/Check"
_CALL_S_MAX: Final = 30.0
_RETRY_S: Final = 0.05
_SETTLE_S_MAX: Final = 1.5  # a load has begun
_ROOT: Final = Path(__file__).resolve().parents[2]
_PAGED_FILLS: Final = 2 * PAGE_LINES
_ENGINE: Final = "late-engine"


class Lanes:
    """One call of each kind in flight, over and over, beside each load from other processes."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.settings: dict[str, object] = {"lanes_slice_seconds": seconds, "lanes_page_lines": PAGE_LINES}

    def run(self, store: Store, schema: str) -> dict[str, float]:
        """All loads after one another on one service."""
        found: dict[str, float] = {}
        with trading_ledger(store, schema) as served:
            paged = stream_load(_PAGED_FILLS, accounts=1, fills_per_message=FILLS_PER_MESSAGE)
            stream(served.channel, paged.lanes[0].messages)
            numbers = count(1)
            for name, callers in LOADS.items():
                with _load(name, served, callers, min(self._seconds, _SETTLE_S_MAX)):
                    if name == "idle_streams":
                        found["lanes.idle_streams.open_s"] = _open_s(served.channel)
                    else:
                        found |= _figures(name, self._probe(served.channel, numbers))
        return found

    def _probe(self, channel: grpc.Channel, numbers: Iterator[int]) -> dict[str, list[float]]:
        """Milliseconds of every call, by probe; a call that is refused is made again until it is answered."""
        state = query_service_pb2.GetVipStateRequest(account_id="somebody").SerializeToString()
        health = health_pb2.HealthCheckRequest(service="").SerializeToString()
        (drawn,) = reference_fills(1, 1)
        (fill,) = messages_of(drawn)

        def write() -> bytes:
            fill.account_id, fill.exec_id = "somebody", f"P{next(numbers)}"
            return single_message(fill)

        asked: dict[str, tuple[str, Callable[[], bytes]]] = {
            "state": (STATE, lambda: state),
            "write": (RECORD_FILLS, write),
            "health": (_HEALTH, lambda: health),
        }
        found: dict[str, list[float]] = {name: [] for name in asked}
        until_s = time.monotonic() + self._seconds

        def ask(name: str) -> None:
            path, message = asked[name]
            call = channel.unary_unary(path)
            while time.monotonic() < until_s:
                sent, began_s = message(), time.monotonic()
                _answer(partial(call, sent, timeout=_CALL_S_MAX), began_s + _CALL_S_MAX)
                found[name].append((time.monotonic() - began_s) * 1000)

        threads = [threading.Thread(target=ask, args=(name,)) for name in asked]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return found


def _answer(call: Callable[[], bytes], until_s: float) -> None:
    while time.monotonic() < until_s:
        try:
            call()
        except grpc.RpcError:
            time.sleep(_RETRY_S)
        else:
            return


def _figures(load: str, found: dict[str, list[float]]) -> dict[str, float]:
    check(all(found.values()), f"no call was answered beside {load}")
    return {
        f"lanes.{load}.{name}_ms_p{percent}": percentile(values, percent)
        for name, values in found.items()
        for percent in (50, 99)
    }


def _open_s(channel: grpc.Channel) -> float:
    """Seconds until an engine that tries has its first batch acknowledged; _CALL_S_MAX where it never has."""
    (drawn,) = reference_fills(1, 1)
    fill = next(messages_of(drawn))
    fill.account_id = _ENGINE
    batch = fill_service_pb2.RecordFillsRequest(source=_ENGINE, first_sequence=1, fills=[fill])
    message = fill_service_pb2.StreamFillsRequest(batch=batch).SerializeToString()
    began_s = time.monotonic()
    call = channel.stream_stream(STREAM_FILLS)
    _answer(lambda: next(call(iter([message]), timeout=_CALL_S_MAX)), began_s + _CALL_S_MAX)
    return time.monotonic() - began_s


@contextmanager
def _load(name: str, served: Served, callers: int, settle_s: float) -> Iterator[None]:
    """So many callers of a kind, in processes of their own, until the block ends."""
    with ExitStack() as stack:
        each = -(-callers // _PROCESSES)
        processes = [
            stack.enter_context(_process(name, served.address, first, each)) for first in range(0, callers, each or 1)
        ]
        for process in processes:
            assert process.stdout is not None
            check(process.stdout.readline() == b"running\n", f"the load {name} does not start")
        time.sleep(settle_s if processes else 0)
        yield


@contextmanager
def _process(*arguments: object) -> Iterator[subprocess.Popen[bytes]]:
    command: Sequence[str] = [sys.executable, "-m", "scripts.bench.lanes_load", *map(str, arguments)]
    process = subprocess.Popen(  # noqa: S603 - our own program, and no shell
        command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        with suppress(BrokenPipeError):
            process.stdin.close()  # type: ignore[union-attr]
        try:
            process.wait(_CALL_S_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise Failed("a load did not end") from None
