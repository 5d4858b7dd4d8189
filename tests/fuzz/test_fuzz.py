"""Requests that nobody means, to a service as a program: each is answered or refused with a reason, and none hurts.

LEDGER_FUZZ says how many calls are sent (1,000 unless it is set), LEDGER_FUZZ_SEED from which seed on.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from ledger.v1.fill_service_pb2 import RecordFillsRequest, StreamFillsRequest
from tests.e2e.served import Served, started
from tests.fuzz.fuzzing import AT_ONCE, Fuzzing
from tests.fuzz.requests import EVERY_RPC, Call
from tests.samples import fill
from tests.server.good_requests import METHODS, path_of
from tests.server.test_garbage import NO_MESSAGE
from tests.tools.running import run

CALLS: Final = int(os.environ.get("LEDGER_FUZZ", "1000"))
SEED: Final = int(os.environ.get("LEDGER_FUZZ_SEED", "1"))
SCHEMA: Final = "fuzzed"
MEMORY_MB_MAX: Final = 1_500  # what docs/limits.md says under Memory
STOP_S_MAX: Final = 3.0  # without the time in which load balancers are told
RPCS: Final = {method.name: method for method in EVERY_RPC}


@pytest.fixture(scope="module")
def served(dsn: str) -> Iterator[Served]:
    """A service that does not wait for positions that never come, nor for slow senders: this machine may be one."""
    with started(dsn=dsn, schema=SCHEMA, read_wait_ms_max=100, receiving_max=AT_ONCE, drain_ms=0) as service:
        yield service


def test_every_call_is_answered_or_refused_with_a_reason_and_the_log_of_the_service_has_no_traceback(
    served: Served,
) -> None:
    print(f"LEDGER_FUZZ={CALLS} LEDGER_FUZZ_SEED={SEED}")  # noqa: T201 - and where it fails
    fuzzing = Fuzzing(served.channel)
    fuzzing.run(CALLS, SEED)
    print(*fuzzing.table(), sep="\n")  # noqa: T201 - shown with -s
    assert fuzzing.findings == []
    assert fuzzing.untried == set()
    assert served.running
    told = log_of(served)
    assert "Traceback" not in told
    assert " ERROR " not in told
    assert memory_mb(served) < MEMORY_MB_MAX


GOOD_BATCH: Final = StreamFillsRequest(
    batch=RecordFillsRequest(source="cut", first_sequence=1, fills=[fill(exec_id="cut")])
).SerializeToString()
# Calls that once were answered INTERNAL or UNKNOWN, or left a traceback.
ONCE: Final = [
    ("bytes that are no message", Call(RPCS["StreamFills"], [NO_MESSAGE["random bytes"]])),
    ("the same after a good request", Call(RPCS["StreamFills"], [GOOD_BATCH, NO_MESSAGE["random bytes"]])),
    ("a stream that its client leaves", Call(RPCS["StreamFills"], [GOOD_BATCH], is_left=True)),
    ("a request cut short", Call(RPCS["StreamFills"], [GOOD_BATCH[:-3]])),
    ("no message where one is expected", Call(RPCS["GetVipState"], [])),
    ("bytes that are no message, for gRPC's own service", Call(RPCS["ServerReflectionInfo"], [b"\x08"])),
    ("the same after a good request", Call(RPCS["ServerReflectionInfo"], [b"\x3a\x00", b"\x08"])),
]


@pytest.mark.parametrize(("what", "call"), ONCE)
def test_what_once_was_answered_wrongly_is_refused_with_a_reason(served: Served, what: str, call: Call) -> None:
    fuzzing = Fuzzing(served.channel)
    fuzzing.send([call])
    assert fuzzing.findings == [], what
    assert "Traceback" not in log_of(served)


@pytest.mark.parametrize("tool", ["audit", "check"])
@pytest.mark.usefixtures("served")
def test_the_log_holds_nothing_wrong_afterwards(dsn: str, tool: str) -> None:
    done = run(tool, "--dsn", dsn, "--schema", SCHEMA)
    assert done.code == 0, done.out + done.err


def test_a_stop_takes_no_longer_whatever_was_sent(served: Served) -> None:
    """On StreamFills one such message once made each later stop take 27 s; streams that are open do not hold it up."""
    held = [open_stream(served, sent) for sent in ([], [GOOD_BATCH], [GOOD_BATCH, b"\xff"], [b"\xff"])]
    for method in METHODS.values():
        for sent in NO_MESSAGE.values():
            answers = served.channel.stream_stream(path_of(method), None, None)(iter([sent]), timeout=STOP_S_MAX)
            answers.add_done_callback(lambda _: None)
    begun_s = time.monotonic()
    assert served.end() == 0
    assert time.monotonic() - begun_s < STOP_S_MAX
    assert "Traceback" not in log_of(served)
    del held


def open_stream(served: Served, sent: list[bytes]) -> Any:
    """A stream whose client sends something, and then neither more nor the end."""

    def requests() -> Iterator[bytes]:
        yield from sent
        time.sleep(60)

    stream: Any = served.channel.stream_stream(path_of(METHODS["StreamFills"]), None, None)
    return stream(requests())


def log_of(served: Served) -> str:
    return served.log.read_text()


def memory_mb(served: Served) -> float:
    """The most memory that the service ever had resident."""
    (peak,) = (line for line in Path(f"/proc/{served.pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(peak.split()[1]) / 1_000
