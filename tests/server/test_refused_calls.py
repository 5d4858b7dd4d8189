"""Nothing of a refused call is kept: no ring for the garbage collector, and no memory; large messages neither."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, Final

import grpc
import pytest

from ledger.config import Config
from ledger.server.bytes_under_way import SMALL_BYTES, BytesUnderWay
from ledger.v1.command_service_pb2 import BanAccountRequest, LiftBanRequest
from ledger.v1.fill_pb2 import Fill
from ledger.v1.fill_service_pb2 import RecordFillsRequest, StreamFillsRequest
from ledger.v1.programme_service_pb2 import PublishProgrammeRequest
from ledger.v1.query_service_pb2 import QuoteFeeRequest
from scripts.bench.proc import peak_rss_mb
from tests.conftest import Ledger, StartLedger
from tests.e2e.served import Served, started
from tests.samples import fill, request_id
from tests.server.calls import CALL_S_MAX, calling

CALLS: Final = 50
ROOT: Final = Path(__file__).parents[2]
MEGABYTES_MORE_MAX: Final = 30  # of 3,000 refused fills; each kept 30 kB
LARGE_MEGABYTES_MAX: Final = 700  # at any time, of 64 messages of 15 MB at once; 16 took all that there was

REFUSED: Final[dict[str, Callable[[], Any]]] = {
    "RecordFills": lambda: RecordFillsRequest(fills=[Fill(account_id="a", exec_id="x y")]),
    "RecordFills of no venue": lambda: RecordFillsRequest(venue="no-such", fills=[fill()]),
    "RecordFills with a gap": lambda: RecordFillsRequest(source="gap", first_sequence=9, fills=[fill()]),
    "BanAccount": BanAccountRequest,
    "LiftBan of no ban": lambda: LiftBanRequest(request_id=request_id(), account_id="ring"),
    "QuoteFee": QuoteFeeRequest,
    "PublishProgramme": lambda: PublishProgrammeRequest(request_id="x", content="x ="),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_refused_call_leaves_nothing_for_the_garbage_collector(shared: Ledger, what: str) -> None:
    call = calling(shared, what.split(maxsplit=1)[0])
    assert rings(lambda: call(REFUSED[what]())) == []


def test_bytes_that_are_no_message_leave_nothing_for_the_garbage_collector(shared: Ledger) -> None:
    call: Any = shared.channel.unary_unary("/ledger.v1.QueryService/QuoteFee")
    assert rings(lambda: call(b"\xff" * 40, timeout=CALL_S_MAX)) == []


def test_a_stream_that_is_refused_leaves_nothing_for_the_garbage_collector(shared: Ledger) -> None:
    first, other = (
        RecordFillsRequest(source=source, first_sequence=1, fills=[fill(account_id="ring")])
        for source in ("ring-1", "ring-2")
    )
    both = [StreamFillsRequest(batch=batch) for batch in (first, other)]
    raw: Any = shared.channel.stream_stream("/ledger.v1.FillService/StreamFills")
    assert rings(lambda: list(shared.fills.StreamFills(iter(both), timeout=CALL_S_MAX))) == []
    assert rings(lambda: list(raw(iter([b"\xff" * 40]), timeout=CALL_S_MAX))) == []


def rings(call: Callable[[], object]) -> list[str]:
    """Name all of the ledger that is in rings which refused calls leave each time; the client's own are not its.

    A service that an earlier test stopped may come to its end meanwhile, with rings of its own: that happens once.
    """
    return sorted(rings_once(call) & rings_once(call))


def rings_once(call: Callable[[], object]) -> set[str]:
    refused(call)
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        for _ in range(CALLS):
            refused(call)
        gc.collect()
        return {name for kept in gc.garbage if (name := of_the_ledger(kept))}
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


def of_the_ledger(kept: object) -> str:
    """The name of something of the ledger; empty if it is not."""
    if isinstance(kept, FrameType):
        return kept.f_code.co_qualname if str(ROOT / "ledger") in kept.f_code.co_filename else ""
    return type(kept).__qualname__ if type(kept).__module__.startswith("ledger.") else ""


def refused(call: Callable[[], object]) -> None:
    with suppress(grpc.RpcError):
        call()
        raise AssertionError("it is answered")


# -- a service of its own process


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with started() as service:
        yield service


def hostile(served: Served, kind: str, count: int) -> dict[str, int]:
    """Messages of a kind, sent by a process of their own; how many ended with which status."""
    command = [sys.executable, "-m", "scripts.bench.hostile", served.address, kind, str(count)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=300)
    found: dict[str, int] = json.loads(done.stdout)
    return found


def test_thousands_of_refused_fills_leave_no_memory(served: Served) -> None:
    hostile(served, "refused", 500)
    before_mb = served.rss_mb
    assert hostile(served, "refused", 3_000) == {"INVALID_ARGUMENT": 3_000}
    assert served.rss_mb - before_mb < MEGABYTES_MORE_MAX


def test_large_messages_at_once_are_refused_within_bounds(served: Served) -> None:
    found = hostile(served, "large", 64)
    assert found.keys() <= {"INVALID_ARGUMENT", "RESOURCE_EXHAUSTED"}
    assert peak_rss_mb(served.pid) < LARGE_MEGABYTES_MAX


def test_beyond_the_bytes_that_may_be_under_way_a_message_is_refused_for_now(start_ledger: StartLedger) -> None:
    ledger = start_ledger(request_bytes_max=100_000)
    long = RecordFillsRequest(fills=[fill(trade_id="x" * 200_000)])
    with pytest.raises(grpc.RpcError) as caught:
        ledger.fills.RecordFills(long)
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED  # type: ignore[attr-defined]
    assert caught.value.details().startswith("QUEUE_FULL")  # type: ignore[attr-defined]
    short = RecordFillsRequest(fills=[fill(trade_id="x" * 90_000)])
    for _ in range(5):  # one after the other: what is answered counts no more
        assert len(ledger.fills.RecordFills(short).refusals) == 1, "its symbol is unknown, no more"


def test_messages_that_are_too_small_to_count_are_few_also_where_every_stream_is_far_ahead() -> None:
    config = Config()
    ahead = config.streams_max * config.stream_requests_max
    assert ahead * SMALL_BYTES < config.request_bytes_max / 2
    assert BytesUnderWay(SMALL_BYTES).count(bytes(SMALL_BYTES + 1)) is None
