"""A service whose log is JSON, and which sends traces: each defect, warning and turn is a line that leads to its call.

It is a process of its own, in which a defect is planted for whoever is named `defect`.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import grpc
import psycopg
import pytest
from opentelemetry.sdk.trace import TracerProvider

from ledger.client import Client
from ledger.v1.command_service_pb2 import BanAccountRequest
from ledger.v1.fill_service_pb2 import RecordFillsRequest, StreamFillsRequest
from ledger.v1.query_service_pb2 import GetVipStateRequest
from tests.cli.running import ROOT
from tests.collector import Collector, attributes, collecting
from tests.conftest import refusal
from tests.docs.test_logs_page import FIELDS
from tests.samples import FOUR_EYES, fill, symbol
from tests.test_log_lines import HOSTILE, TIME
from tests.waiting import wait_for

PLANTED: Final = """
import sys
from ledger import composition
from ledger.program import main
from ledger.writing import service

def planted(function, kind, is_for):
    def found(*arguments):
        if is_for(arguments[-1]):
            raise kind(f"planted for {arguments[-1]!r}")
        return function(*arguments)
    return found

read_answers = composition.read_answers
def planted_answers(*arguments):
    answers = read_answers(*arguments)
    asked = planted(answers["GetVipState"], ValueError, lambda request: request.account_id.startswith("defect"))
    return {**answers, "GetVipState": asked}

composition.read_answers = planted_answers
is_planted = lambda job: job.request.request_id.startswith("defect")
service.answer_command = planted(service.answer_command, KeyError, is_planted)
service.take_fills = planted(service.take_fills, IndexError, lambda job: job.source == "defect")
sys.exit(main(["serve", *sys.argv[1:]]))
"""


class Told:
    """A service, and what it has told so far."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._log = log
        self.process = process
        assert process.stdout
        self.printed = [process.stdout.readline()]
        while " is serving on " not in self.printed[-1]:
            assert self.printed[-1], log.read_text()
            self.printed.append(process.stdout.readline())
        self.address = self.printed[-1].partition(" is serving on ")[2].split()[0]

    def lines(self, **known: str) -> list[dict[str, Any]]:
        """Return the lines of the log that have these fields; every line must be JSON."""
        text = self._log.read_text()
        lines = [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
        return [line for line in lines if all(line.get(name) == value for name, value in known.items())]

    def line(self, **known: str) -> dict[str, Any]:
        """Return the only such line, once it is there."""
        wait_for(lambda: self.lines(**known))
        (found,) = self.lines(**known)
        return found


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as found:
        yield found


@pytest.fixture(scope="module")
def serve(dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts services whose logs are JSON, each in a file of its own; the port of their metrics is taken."""
    started: list[subprocess.Popen[str]] = []
    folder = tmp_path_factory.mktemp("told")
    (folder / "dsn").write_text(dsn)
    (folder / "dsn").chmod(0o600)

    def start(log: Path, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", PLANTED, "--dsn-file", str(folder / "dsn")]
        with log.open("w") as stderr:
            process = subprocess.Popen(
                [*command, "--log-format", "json", *arguments],
                cwd=ROOT,
                env={**os.environ, "OTEL_BSP_SCHEDULE_DELAY": "50"},  # ms until spans are sent
                text=True,
                stdout=subprocess.PIPE,
                stderr=stderr,
            )
        started.append(process)
        return process

    with socket.socket() as metrics:
        metrics.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(AssertionError):  # who has it for longer keeps it: another test's service leaves it soon
            wait_for(lambda: taken(metrics), 30)
        yield start
        for process in started:
            process.kill()
            process.communicate()


def taken(metrics: socket.socket) -> bool:
    """Whether the port that metrics are served on by default is this one's."""
    try:
        metrics.bind(("127.0.0.1", 9464))
    except OSError:
        return False
    metrics.listen()
    return True


@pytest.fixture(scope="module")
def told(
    serve: Callable[..., subprocess.Popen[str]], collector: Collector, tmp_path_factory: pytest.TempPathFactory
) -> Told:
    log = tmp_path_factory.mktemp("told") / "log"
    arguments = ["--schema", "told", "--listen", "127.0.0.1:0", "--drain-ms", "0"]
    return Told(serve(log, *arguments, "--traces-endpoint", collector.url, "--traces-per-million", "0"), log)


@pytest.fixture(scope="module")
def channel(told: Told) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(told.address) as found:
        yield found


@pytest.fixture(scope="module")
def client(told: Told) -> Iterator[Client]:
    with Client(told.address, actor="ops-1", approver="ops-2", reason="agreed") as found:
        yield found


def rpc(channel: grpc.Channel, method: str, *metadata: tuple[str, str]) -> Callable[[Any], Any]:
    """Return a function that calls a method with a request, or with a stream of one, and returns what it answers."""

    def call(request: Any) -> Any:
        if method.endswith("StreamFills"):
            made: Any = channel.stream_stream(f"/{method}", request_serializer=lambda one: one.SerializeToString())
            return list(made(iter([request]), metadata=metadata, timeout=20))
        made = channel.unary_unary(f"/{method}", request_serializer=lambda one: one.SerializeToString())
        return made(request, metadata=metadata, timeout=20)

    return call


READ, COMMAND, STREAM = (
    "ledger.v1.QueryService/GetVipState",
    "ledger.v1.CommandService/BanAccount",
    "ledger.v1.FillService/StreamFills",
)
BAN: Final = BanAccountRequest(
    request_id="defect-1", account_id="alice", days=1, reason_code="ORDER_SPAM", authority=FOUR_EYES
)
STREAMED: Final = StreamFillsRequest(batch=RecordFillsRequest(source="defect", first_sequence=1, fills=[fill()]))
_NOTHING: Final = "failed, and nothing of it is recorded: "
DEFECTS: Final[dict[str, tuple[Any, dict[str, str], str]]] = {
    READ: (GetVipStateRequest(account_id="defect"), {}, "a call failed: ValueError at "),
    COMMAND: (BAN, {"request_id": "defect-1"}, f"ledger.v1.BanAccountRequest {_NOTHING}KeyError at "),
    STREAM: (STREAMED, {"source": "defect"}, f"RecordFills {_NOTHING}IndexError at "),
}


@pytest.mark.parametrize("method", DEFECTS)
def test_a_defect_names_method_and_request_in_the_log_and_its_caller_is_told_which_line_it_is(
    method: str, told: Told, channel: grpc.Channel
) -> None:
    request, known, begins = DEFECTS[method]
    status = refusal(rpc(channel, method), request)
    assert (status.code, status.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    call_id = status.metadata["call_id"]
    assert status.message.endswith(f"; to ask what it was, quote call_id {call_id}")
    line = told.line(call_id=call_id)
    print(status.message, json.dumps(line)[:600], sep="\n")  # noqa: T201 - shown with -s
    assert line.items() >= {"level": "ERROR", "method": method, **known}.items()
    assert line["peer"].startswith("ipv4:127.0.0.1:")
    assert line["message"].startswith(begins)
    assert "planted for " in line["exception"].splitlines()[-1]


def test_a_caller_may_say_under_which_id_its_call_is_logged(told: Told, channel: grpc.Channel) -> None:
    for request_id, shown in (("order-17", "order-17"), ("not an id", "")):
        status = refusal(rpc(channel, READ, ("x-request-id", request_id)), GetVipStateRequest(account_id="defect"))
        call_id = status.metadata["call_id"]
        assert call_id == shown or (not shown and request_id not in call_id)
        assert told.line(call_id=call_id)["method"] == READ


def test_texts_of_callers_forge_no_line(told: Told, channel: grpc.Channel) -> None:
    """`lines` reads each line as JSON; one that was forged would be a line more, or none."""
    status = refusal(rpc(channel, READ), GetVipStateRequest(account_id=f"defect {HOSTILE}"))
    assert told.line(call_id=status.metadata["call_id"])["level"] == "ERROR"
    refusal(rpc(channel, COMMAND), BanAccountRequest(request_id=f"defect {HOSTILE}", account_id=HOSTILE))
    with pytest.raises(grpc.RpcError):
        channel.unary_unary(f"/{READ}")(b"\xff\x00\n{}\n", timeout=20)
    unreadable = told.line(level="WARNING", method=READ)
    assert unreadable["message"] == "the bytes of a request were no ledger.v1.GetVipStateRequest"
    assert [line for line in told.lines() if line["message"].startswith("forged")] == []


def test_a_trace_goes_from_the_span_of_a_client_to_the_commit_and_its_id_is_in_the_log(
    told: Told, client: Client, channel: grpc.Channel, collector: Collector
) -> None:
    rpc(channel, "ledger.v1.CommandService/RegisterSymbol")(symbol())
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("engine")
    with tracer.start_as_current_span("ban") as ban:
        client.ban_account("bob", days=1, reason_code="ORDER_SPAM", request_id="ban-bob")
    with tracer.start_as_current_span("stream") as streaming, client.fill_stream("engine-1") as stream:
        stream.send(fill(account_id="carol"))
    with tracer.start_as_current_span("defect") as defect, pytest.raises(Exception, match="quote call_id") as failed:
        client.ban_account("bob", days=1, reason_code="ORDER_SPAM", request_id="defect-2")

    commanded = chain(collector, ban)
    assert [span.name for span in commanded] == [COMMAND, "wait for the writer", "decide", "commit"]
    streamed = chain(collector, streaming, and_then=f"{STREAM} message")
    assert [span.name for span in streamed] == [STREAM, f"{STREAM} message", "wait for the writer", "decide", "commit"]
    assert all(attributes(spans[-1])["ledger.position"] > 0 for spans in (commanded, streamed))
    assert attributes(commanded[0]).items() >= {
        "rpc.system": "grpc", "rpc.service": "ledger.v1.CommandService", "rpc.method": "BanAccount",
        "rpc.grpc.status_code": 0,
    }.items()  # fmt: skip
    assert collector.resources[0].items() >= {"service.name": "fee-ledger"}.items()

    trace_id = f"{defect.get_span_context().trace_id:032x}"
    wait_for(lambda: collector.trace(int(trace_id, 16)))
    (call,) = (span for span in collector.trace(int(trace_id, 16)) if span.name == COMMAND)
    assert call.status.code == call.status.STATUS_CODE_ERROR
    line = told.line(request_id="defect-2")
    assert (line["trace_id"], line["span_id"]) == (trace_id, call.span_id.hex())
    assert line["call_id"] == failed.value.metadata["call_id"]


def chain(collector: Collector, above: Any, and_then: str = "") -> list[Any]:
    """Return the spans of a trace below the client's, once the commit is there; each has its parent among them."""
    context = above.get_span_context()
    wait_for(lambda: {"commit", and_then or "commit"} <= {span.name for span in collector.trace(context.trace_id)})
    above_all = context.span_id.to_bytes(8, "big")

    def is_whole() -> bool:
        found = collector.trace(context.trace_id)
        return {span.parent_span_id for span in found} <= {above_all, *(span.span_id for span in found)}

    wait_for(is_whole)  # the span of a stream ends after those of its messages
    spans = [span for span in collector.trace(context.trace_id) if "GetSourcePosition" not in span.name]
    ids = {span.span_id: span.name for span in spans} | {above_all: "the client's"}
    for span in spans:
        took_ms = (span.end_time_unix_nano - span.start_time_unix_nano) / 1e6
        print(f"{took_ms:8.3f} ms {span.name} (of {ids[span.parent_span_id]})")  # noqa: T201 - shown with -s
    return spans


def test_metrics_that_cannot_be_served_though_nobody_turned_them_off_are_a_warning(told: Told) -> None:
    wait_for(lambda: any(line["message"].startswith("metrics") for line in told.lines()))
    (line,) = (line for line in told.lines() if line["message"].startswith("metrics are off: "))
    assert line["level"] == "WARNING"
    assert line["message"].startswith(
        "metrics are off: cannot serve metrics on 127.0.0.1:9464 (Address already in use)"
    )


def test_turns_of_the_pen_of_health_and_of_the_end_are_lines(told: Told, dsn: str, client: Client) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(l.pid) FROM pg_locks AS l WHERE l.locktype = 'advisory' AND"
            " (l.classid::bigint << 32 | l.objid::bigint) = hashtextextended('told:writer', 0)"
        )
    writes = "this process writes the ledger now, from position "
    wait_for(lambda: sum(line["message"].startswith(writes) for line in told.lines(level="INFO")) == 2)
    client.get_vip_state("alice")
    told.process.send_signal(signal.SIGTERM)
    printed, _ = told.process.communicate(timeout=60)
    assert told.process.returncode == 0
    said = [line["message"] for line in told.lines()]
    assert [*map(str.strip, told.printed), *printed.splitlines()] == [
        line for line in said if line in {*map(str.strip, told.printed), *printed.splitlines()}
    ]
    for turn in (
        "migration: the schema told gets ",
        writes,
        "this process does not write the ledger now: ",
        "health: SERVING for ",
        "health: NOT_SERVING for every service: this one stops",
        "stopping: finishing what is under way ...",
        "stopped.",
    ):
        assert [line for line in said if line.startswith(turn)], turn
    for line in told.lines():
        assert {"time", "level", "logger", "message"} <= line.keys()
        assert not line.keys() - {*FIELDS}
        assert re.fullmatch(TIME, line["time"])


def test_why_it_cannot_start_is_a_line_of_json(serve: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        process = serve(tmp_path / "log", "--schema", "told_not", "--listen", listen, "--log-level", "warning")
        process.communicate(timeout=60)
    assert process.returncode == 2
    lines = list(map(json.loads, (tmp_path / "log").read_text().splitlines()))
    (line,) = (line for line in lines if line["level"] == "ERROR")
    assert line["message"].startswith(f"cannot listen on {listen}: ")
    assert "INFO" not in {line["level"] for line in lines}
    (theirs,) = (line for line in lines if line["logger"] == "stderr")  # of gRPC's core
    assert "Address already in use" in theirs["message"]
