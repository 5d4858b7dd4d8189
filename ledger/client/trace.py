"""The caller's trace, if its program has one: the ledger goes on with it, from the call to the commit."""

from __future__ import annotations

import sys


def traceparent() -> tuple[tuple[str, str], ...]:
    """Return the span of OpenTelemetry that is active in this thread, as metadata of a call; empty if there is none.

    A program that has a span has imported OpenTelemetry: nothing is imported here.
    """
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return ()
    span = trace.get_current_span().get_span_context()
    if not span.is_valid:
        return ()
    return (("traceparent", f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags:02x}"),)
