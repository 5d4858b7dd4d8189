"""Spans of calls and commits, as a collector gets them; one that is away holds up nobody."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any, Final

import grpc
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from ledger.caller import Caller, answer, answering
from ledger.config import Config
from ledger.traces import Traces
from ledger.writing.messages import AnswerToCome
from tests.cli.running import ROOT
from tests.collector import Collector, collecting
from tests.test_log_lines import Called
from tests.waiting import wait_for

RPC: Final = "ledger.v1.FillService/RecordFills"
STREAM: Final = "ledger.v1.FillService/StreamFills"
SAMPLED: Final = ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
NOT_SAMPLED: Final = ("traceparent", SAMPLED[1][:-1] + "0")


class Context:
    """What gRPC tells of a call, and is asked to do when it has ended."""

    def __init__(self, *metadata: tuple[str, str]) -> None:
        self._metadata = metadata
        self.status: grpc.StatusCode | None = None
        self.end: Callable[[], None] = lambda: None

    def invocation_metadata(self) -> Any:
        return self._metadata

    def peer(self) -> str:
        return "ipv4:127.0.0.1:4711"

    def code(self) -> grpc.StatusCode | None:
        return self.status

    def add_callback(self, end: Callable[[], None]) -> bool:
        self.end = end
        return True


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Spans are sent soon; no caller is answered when the test is over."""
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
    yield
    answer(Caller())


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as found:
        yield found


def called(traces: Traces, rpc: str, *metadata: tuple[str, str]) -> tuple[Caller, Context]:
    """Make a call that is not over; return its caller, and what gRPC knows of it."""
    who, context = Called(*metadata), Context(*metadata)
    who.rpc = rpc
    with answering(who):
        assert traces.around(rpc, lambda request, _: request)("asked", context) == "asked"
    return who, context


def queued(traces: Traces, who: Caller) -> AnswerToCome:
    with answering(who):
        coming = AnswerToCome()
    traces.queued(coming)
    return coming


def names(collector: Collector, count: int) -> list[str]:
    """Return the names of the spans, once there are so many."""
    wait_for(lambda: len(collector.spans) >= count)
    return sorted(span.name for span in collector.spans)


def test_requests_that_are_recorded_together_are_linked_to_their_commit_and_it_to_them(collector: Collector) -> None:
    traces = Traces(Config(traces_endpoint=collector.url, traces_per_million=1_000_000))
    calls = [called(traces, RPC) for _ in range(3)]
    coming = [queued(traces, who) for who, _ in calls]
    delivered: list[Any] = []
    deliver = traces.following(coming, delivered.extend)
    traces.storing(deliver, 17)
    deliver([1, 2, 3])
    for _, context in calls:
        context.end()
    traces.stop()
    assert delivered == [1, 2, 3]
    assert names(collector, 8) == ["commit", "decide", *3 * [RPC], *3 * ["wait for the writer"]]
    by_name = {span.name: span for span in collector.spans}
    server = {span.span_id: span for span in collector.spans if span.name == RPC}
    assert {link.span_id for link in by_name["commit"].links} == server.keys()
    assert by_name["commit"].parent_span_id in server
    assert len({span.trace_id for span in server.values()}) == 3
    waits = [span for span in collector.spans if span.name == "wait for the writer"]
    assert {span.parent_span_id for span in waits} == server.keys()
    assert {link.span_id for span in waits for link in span.links} == {by_name["commit"].span_id}


def test_the_caller_says_whether_its_call_is_traced_or_else_the_lot_does(collector: Collector) -> None:
    all_of_them, none = (
        Traces(Config(traces_endpoint=collector.url, traces_per_million=each)) for each in (1_000_000, 0)
    )
    traced = {
        (name, sent): called(traces, RPC, *metadata)[0].span is not None
        for name, traces in (("all", all_of_them), ("none", none))
        for sent, metadata in (("yes", [SAMPLED]), ("no", [NOT_SAMPLED]), ("", []), ("odd", [("traceparent", "x")]))
    }
    assert traced == {
        ("all", "yes"): True, ("all", "no"): False, ("all", ""): True, ("all", "odd"): True,
        ("none", "yes"): True, ("none", "no"): False, ("none", ""): False, ("none", "odd"): False,
    }  # fmt: skip
    all_of_them.stop()
    none.stop()


def test_health_and_reflection_are_not_traced(collector: Collector) -> None:
    traces = Traces(Config(traces_endpoint=collector.url, traces_per_million=1_000_000))
    assert called(traces, "grpc.health.v1.Health/Check")[0].span is None
    traces.stop()


def test_a_message_on_a_stream_is_drawn_by_itself_unless_its_caller_traces_the_stream(collector: Collector) -> None:
    traces = Traces(Config(traces_endpoint=collector.url, traces_per_million=0))
    who, context = called(traces, STREAM, SAMPLED)
    untraced, _ = called(traces, STREAM)
    assert queued(traces, untraced).traced is None
    coming = queued(traces, who)
    coming.set_result(None)  # type: ignore[arg-type]
    context.end()
    traces.stop()
    assert names(collector, 2) == [STREAM, f"{STREAM} message"]
    stream, message = sorted(collector.spans, key=lambda span: span.name)
    assert message.parent_span_id == stream.span_id
    assert {stream.trace_id.hex(), message.trace_id.hex()} == {SAMPLED[1][3:35]}


@pytest.mark.parametrize(
    ("code", "is_fault"),
    [(None, False), (grpc.StatusCode.INVALID_ARGUMENT, False), (grpc.StatusCode.UNAVAILABLE, True)],
)
def test_the_span_of_a_call_has_its_status_and_fails_where_the_fault_is_the_server_s(
    code: grpc.StatusCode | None, is_fault: bool, collector: Collector
) -> None:
    traces = Traces(Config(traces_endpoint=collector.url, traces_per_million=1_000_000))
    _, context = called(traces, RPC)
    context.status = code
    context.end()
    traces.stop()
    assert names(collector, 1) == [RPC]
    (span,) = collector.spans
    (status,) = (one.value.int_value for one in span.attributes if one.key == "rpc.grpc.status_code")
    assert status == (code or grpc.StatusCode.OK).value[0]
    assert (span.status.code == span.status.STATUS_CODE_ERROR, span.kind) == (is_fault, Span.SPAN_KIND_SERVER)


def test_a_defect_of_its_trace_fails_no_commit(collector: Collector, caplog: pytest.LogCaptureFixture) -> None:
    traces = Traces(Config(traces_endpoint=collector.url, traces_per_million=1_000_000))
    coming = queued(traces, called(traces, RPC)[0])
    traces.stop()
    traces._tracer = None  # type: ignore[assignment]
    called(traces, RPC)
    delivered: list[Any] = []
    traces.following([coming], delivered.extend)([1])
    assert delivered == [1]
    assert caplog.text.count("answered all the same\nTraceback ") == 1


def test_a_collector_that_is_away_is_told_of_seldom_and_holds_up_nobody(caplog: pytest.LogCaptureFixture) -> None:
    traces = Traces(Config(traces_endpoint="http://127.0.0.1:9/v1/traces", traces_per_million=1_000_000))
    for _ in range(5_000):  # more than are kept
        called(traces, RPC)[1].end()
    wait_for(lambda: "traces are lost" in caplog.text)
    traces.stop()
    assert caplog.text.count("traces are lost, and calls are answered all the same: ") == 1
    assert "Traceback" not in caplog.text


def test_what_traces_nothing_imports_nothing_of_it() -> None:
    imports = "import sys, ledger.program; print([name for name in sys.modules if 'opentelemetry' in name])"
    done = subprocess.run([sys.executable, "-c", imports], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_without_the_extra_one_line_says_what_is_missing() -> None:
    serve = (
        "import sys; sys.modules['opentelemetry'] = None; from ledger.program import main;"
        "sys.exit(main(['serve', '--traces-endpoint', 'http://127.0.0.1:4318/v1/traces']))"
    )
    done = subprocess.run([sys.executable, "-c", serve], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "fee-ledger: traces_endpoint needs the extra traces: pip install 'fee-ledger[traces]', or leave traces_endpoint"
        " away\n"
    )
