"""Measures what senders who mean no good cost: memory of the service, and how long others wait for a quote meanwhile.

`python -m scripts.bench.hostile HOST:PORT KIND COUNT` sends some of a kind to any ledger, from a process of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import grpc

from ledger.v1.command_pb2 import Authority
from ledger.v1.command_service_pb2 import BanAccountRequest
from ledger.v1.fill_pb2 import Fill
from ledger.v1.fill_service_pb2 import FillColumns, RecordFillsRequest
from ledger.v1.programme_service_pb2 import PublishProgrammeRequest
from ledger.v1.query_service_pb2 import QuoteFeeRequest
from scripts.bench.calls import percentile
from scripts.bench.fills import MARKETS
from scripts.bench.paths import BAN, PUBLISH, QUOTE, RECORD_FILLS
from scripts.bench.proc import peak_rss_mb
from scripts.bench.service import CALL_SECONDS_MAX, Served, trading_ledger
from scripts.bench.store import Store, check

_LARGE_BYTES: Final = 15_000_000
_IN_FLIGHT: Final = 64
_QUOTE_EVERY_S: Final = 0.01
_PROGRAMME_BYTES: Final = 262_000


def _refused() -> list[tuple[str, bytes]]:
    """A fill whose id has no shape."""
    request = RecordFillsRequest(fills=[Fill(account_id="a", exec_id="x y")])
    return [(RECORD_FILLS, request.SerializeToString())]


def _large() -> list[tuple[str, bytes]]:
    """Messages of 15 MB: millions of entries, or one that is long."""
    half = _LARGE_BYTES // 2
    return [
        (RECORD_FILLS, b"\x22\x00" * half),
        (RECORD_FILLS, b"\xa2\x00\x00" * (_LARGE_BYTES // 3)),  # the same tag in two bytes
        (RECORD_FILLS, b"\x3a\x02\x0a\x00" * (half // 2)),  # account_ids, one at a time
        (BAN, BanAccountRequest(evidence_positions=[1] * _LARGE_BYTES).SerializeToString()),
        (RECORD_FILLS, RecordFillsRequest(fills=[Fill(trade_id="x" * _LARGE_BYTES)]).SerializeToString()),
        (RECORD_FILLS, RecordFillsRequest(columns=FillColumns(side=b"\x01" * _LARGE_BYTES)).SerializeToString()),
        (PUBLISH, PublishProgrammeRequest(content="a" * _LARGE_BYTES).SerializeToString()),
        (QUOTE, QuoteFeeRequest(account_id="a" * _LARGE_BYTES).SerializeToString()),
    ]


def _programmes() -> list[tuple[str, bytes]]:
    """Files of 262 kB, each bad in a way of its own."""
    names = "[" + ", ".join(f'"n{number}"' for number in range(9_000)) + "]"
    files = (
        "a" + ".a" * 40_000 + " = 1",
        "[a" + ".a" * (_PROGRAMME_BYTES // 2 - 1) + "]",
        "a = " + "[" * _PROGRAMME_BYTES,
        "a = " + "9" * _PROGRAMME_BYTES,
        "\n".join(f"k{number} = 1" for number in range(18_000)),
        f"tiers = {names}\npair_classes = {names}",
    )
    authority = Authority(actor="me", approver="you")
    return [
        (PUBLISH, PublishProgrammeRequest(request_id="x", authority=authority, content=file).SerializeToString())
        for file in files
    ]


KINDS: Final[Mapping[str, Callable[[], list[tuple[str, bytes]]]]] = {
    "refused": lambda: [
        (RECORD_FILLS, RecordFillsRequest(fills=[Fill(account_id="a", exec_id="x y")]).SerializeToString())
    ],
    "undecodable": lambda: [(QUOTE, b"\xff" * 40)],
    "large": _large,
    "programme": _programmes,
}


class Hostile:
    """Each kind in turn against one service, while somebody asks for quotes."""

    def __init__(self, fills: int) -> None:
        self._counts = {
            "refused": -(-fills // 5),
            "undecodable": -(-fills // 50),
            "large": min(-(-fills // 1_000), _IN_FLIGHT),
            "programme": len(_programmes()),
        }
        self.settings: Mapping[str, object] = {f"hostile_{kind}": count for kind, count in self._counts.items()}

    def run(self, store: Store, schema: str) -> dict[str, float]:
        """One round on a fresh schema."""
        found: dict[str, float] = {}
        with trading_ledger(store, schema) as served:
            for kind, count in self._counts.items():
                found[f"memory.{kind}_s"], found[f"memory.{kind}_quote_p99_ms"] = _beside(served, kind, count)
                found[f"memory.{kind}_rss_mb"] = peak_rss_mb(served.pid)  # the most since the start
        return found


def _beside(served: Served, kind: str, count: int) -> tuple[float, float]:
    """Return (seconds that the senders took, p99 of quotes meanwhile in ms)."""
    command = [sys.executable, "-m", "scripts.bench.hostile", served.address, kind, str(count)]
    quote: Any = served.channel.unary_unary(QUOTE)
    asked = QuoteFeeRequest(account_id="quiet", symbol=MARKETS[0].name, side=1, liquidity=1, last_px="1", last_qty="1")
    took_ms: list[float] = []
    began_s = time.monotonic()
    sender = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603 - our own program, and no shell
    try:
        while sender.poll() is None:
            asked_s = time.monotonic()
            quote(asked.SerializeToString(), timeout=CALL_SECONDS_MAX)
            took_ms.append((time.monotonic() - asked_s) * 1_000)
            time.sleep(_QUOTE_EVERY_S)
    finally:
        sender.kill()  # it goes on alone where a quote failed
        sender.wait()
    check(sender.returncode == 0, f"the service did not refuse all of kind {kind}")
    return time.monotonic() - began_s, percentile(took_ms, 99)


def send(address: str, kind: str, count: int) -> dict[str, int]:
    """Send some of a kind, at most 64 in flight; return how many ended with which status."""
    found: dict[str, int] = {}
    changed, room = threading.Lock(), threading.Semaphore(_IN_FLIGHT)

    def note(call: Any) -> None:
        with changed:
            status = call.code().name
            found[status] = found.get(status, 0) + 1
        room.release()

    messages = KINDS[kind]()
    with grpc.insecure_channel(address, [("grpc.max_send_message_length", -1)]) as channel:
        calls = {path: channel.unary_unary(path) for path, _ in messages}
        for number in range(count):
            path, message = messages[number % len(messages)]
            room.acquire()
            calls[path].future(message, timeout=CALL_SECONDS_MAX).add_done_callback(note)
        for _ in range(_IN_FLIGHT):
            room.acquire()
    return found


if __name__ == "__main__":
    statuses = send(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    print(json.dumps(statuses))
    sys.exit("OK" in statuses)
