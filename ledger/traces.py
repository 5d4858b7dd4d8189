"""Traces of calls, to whoever collects OpenTelemetry's: from the call to the commit (docs/operations/traces.md).

Only a service that traces imports this module: it needs the extra `traces`.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any, Final, NamedTuple

import grpc
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, Span, SpanKind, StatusCode, get_current_span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from ledger.caller import TRACE_KEY, caller
from ledger.config import Config
from ledger.contract import SERVICES
from ledger.seldom import Seldom
from ledger.server.lanes import Behaviour
from ledger.writing.messages import Answer, AnswerToCome

_log: Final = logging.getLogger(__name__)
_defects: Final = Seldom(_log)

_MILLION: Final = 1_000_000
_SEND_S_MAX: Final = 3.0  # one message to the collector
_STOP_S_MAX: Final = 2.0  # what is not sent by then is lost
_STREAM: Final = "ledger.v1.FillService/StreamFills"
_OURS: Final = frozenset(service.full_name for service in SERVICES)
# Codes by which a server says that the fault is its own, by the semantic conventions.
_FAULTS: Final = frozenset({
    grpc.StatusCode.UNKNOWN, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DATA_LOSS,
})  # fmt: skip

Deliver = Callable[[Sequence[Answer]], None]


class Traces:
    """Makes spans and sends them, in a thread of its own. A collector that is away costs spans, and nothing else."""

    def __init__(self, config: Config) -> None:
        """Send to `traces_endpoint`. Of calls whose callers do not say, `traces_per_million` are traced."""
        _quieten()
        self._per_million = config.traces_per_million
        resource = {"service.name": "fee-ledger", "service.version": version("fee-ledger")}
        self._provider = TracerProvider(resource=Resource.create(resource), shutdown_on_exit=False)
        self._exporter = OTLPSpanExporter(config.traces_endpoint, timeout=_SEND_S_MAX)
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer("fee-ledger")

    def stop(self) -> None:
        """Send what is not sent yet, and wait for that no longer than two seconds."""
        ending = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
        ending.start()
        ending.join(_STOP_S_MAX)
        if ending.is_alive():
            self._exporter.shutdown()  # type: ignore[no-untyped-call]

    # -- calls --------------------------------------------------------------------------------------------------------

    def around(self, rpc: str, behaviour: Behaviour) -> Behaviour:
        """Return the behaviour of an RPC, with a span for each call that is traced."""
        if rpc.partition("/")[0] not in _OURS:
            return behaviour

        def traced(request: Any, context: grpc.ServicerContext) -> Any:
            with _harmless():
                self._begin(rpc, context)
            return behaviour(request, context)

        return traced

    def _begin(self, rpc: str, context: grpc.ServicerContext) -> None:
        """Begin the span of the call that this thread answers, if it is to be traced; it ends with the call."""
        above = self._above(context)
        if above is None:
            return
        service, _, method = rpc.partition("/")
        attributes = {
            "rpc.system": "grpc", "rpc.service": service, "rpc.method": method, "network.peer.address": context.peer(),
        }  # fmt: skip
        span = caller().span = self._tracer.start_span(rpc, above, SpanKind.SERVER, attributes)

        def end() -> None:
            code = context.code() or grpc.StatusCode.OK  # type: ignore[attr-defined]
            span.set_attribute("rpc.grpc.status_code", code.value[0])
            if code in _FAULTS:
                span.set_status(StatusCode.ERROR, code.name)
            span.end()

        if not context.add_callback(end):
            end()  # it is over already

    def _above(self, context: grpc.ServicerContext) -> Context | None:
        """Return where a call stands in its caller's trace, or an empty context for a new trace; None: in no trace."""
        sent = {key: value for key, value in context.invocation_metadata() if key in (TRACE_KEY, "tracestate")}
        if sent:
            above = TraceContextTextMapPropagator().extract(sent, Context())
            found = get_current_span(above).get_span_context()
            if found.is_valid:
                return above if found.trace_flags.sampled else None
        return Context() if self._is_drawn() else None

    def _is_drawn(self) -> bool:
        return random.randrange(_MILLION) < self._per_million  # noqa: S311 - no secret

    # -- from a call to its commit ------------------------------------------------------------------------------------

    def queued(self, coming: AnswerToCome) -> None:
        """Trace a job that was queued just now, if its call is traced.

        Each message of a stream has a span of its own, and is drawn by itself unless its caller traces the stream.
        """
        with _harmless():
            span = self._span_of(coming)
            if span is not None:
                coming.traced = Job(set_span_in_context(span, Context()), time.time_ns())

    def _span_of(self, coming: AnswerToCome) -> Span | None:
        above: Span | None = coming.who.span
        if coming.who.rpc != _STREAM or (above is None and not self._is_drawn()):
            return above
        context = Context() if above is None else set_span_in_context(above, Context())
        span = self._tracer.start_span(f"{coming.who.rpc} message", context, SpanKind.SERVER)

        def end() -> None:
            with _harmless():
                span.end()

        coming.when_come = end
        return span

    def following(self, coming: Sequence[AnswerToCome], deliver: Deliver) -> Deliver:
        """Return what delivers answers, and tells then what their requests, which are decided from now on, waited for.

        If none of them is traced, that is `deliver` itself.
        """
        jobs = [one.traced for one in coming if one.traced is not None]
        return _Following(self, jobs, deliver) if jobs else deliver

    def storing(self, deliver: Deliver, position: int) -> None:
        """Note that the commit whose answers `deliver` delivers, up to a position, is being stored from now on."""
        if isinstance(deliver, _Following):
            deliver.storing_ns, deliver.position = time.time_ns(), position

    def tell(self, jobs: Sequence[Job], decided_ns: int, storing_ns: int, position: int) -> None:
        """Make the spans of requests that were recorded together just now.

        Those of the commit lie in the trace of the first request, with links to all of them; and the wait of each has a
        link to the commit.
        """
        now_ns = time.time_ns()
        links = [Link(get_current_span(job.above).get_span_context()) for job in jobs]
        attributes = {"ledger.requests_traced": len(jobs), "ledger.position": position}
        first, start = jobs[0].above, self._tracer.start_span
        start("decide", first, attributes=attributes, links=links, start_time=decided_ns).end(storing_ns or now_ns)
        to_commit: list[Link] = []
        if storing_ns:
            commit = start("commit", first, attributes=attributes, links=links, start_time=storing_ns)
            commit.end(now_ns)
            to_commit = [Link(commit.get_span_context())]
        for job in jobs:
            start("wait for the writer", job.above, links=to_commit, start_time=job.queued_ns).end(decided_ns)


class Job(NamedTuple):
    """A job that is traced: the span that it belongs to, and when it was queued."""

    above: Context
    queued_ns: int


class _Following:
    """Delivers the answers of a commit, and makes its spans then."""

    def __init__(self, traces: Traces, jobs: Sequence[Job], deliver: Deliver) -> None:
        self._traces = traces
        self._jobs = jobs
        self._deliver = deliver
        self._decided_ns = time.time_ns()  # when deciding begins
        self.storing_ns = self.position = 0  # 0: nothing was to be stored

    def __call__(self, answers: Sequence[Answer]) -> None:
        self._deliver(answers)
        with _harmless():
            self._traces.tell(self._jobs, self._decided_ns, self.storing_ns, self.position)


@contextmanager
def _harmless() -> Iterator[None]:
    """Have what fails in the block end in a line of the log: no call and no commit may fail for its trace."""
    try:
        yield
    except Exception:
        _defects.exception("a defect: a call is not traced, and answered all the same")


def _quieten() -> None:
    """Have what OpenTelemetry logs, a line for each span or attempt, come seldom, and as a warning."""
    theirs = logging.getLogger("opentelemetry")
    theirs.handlers = [_Seldomly()]
    theirs.propagate = False
    logging.getLogger("urllib3").setLevel(logging.ERROR)


class _Seldomly(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self._failing = Seldom(_log, every_s=60)

    def emit(self, record: logging.LogRecord) -> None:
        """Tell it, or only count it."""
        self._failing.warning("traces are lost, and calls are answered all the same: %s", record.getMessage())
