"""Maps FeeAdjusted to bytes and back. The layout is described in proto/ledger/v1/events.proto."""

from __future__ import annotations

from ledger.domain.events import FeeAdjusted
from ledger.store.codec.parts import adjusted_line_of, basis_of, fields_of, symbol_of, totals_message, totals_of
from ledger.v1 import events_pb2


def encode_adjustment(envelope: events_pb2.Envelope, event: FeeAdjusted) -> bytes:
    """Return the bytes of an adjustment."""
    assert envelope.effective_time_ns == event.time_min_ns, (envelope.effective_time_ns, event.time_min_ns)
    message = events_pb2.FeeAdjusted(
        envelope=envelope,
        cause=event.cause,
        cause_position=event.cause_position,
        time_max_ns=event.time_max_ns,
        time_max_so_far_ns=event.time_max_so_far_ns,
        symbols=map(fields_of, event.symbols),
        bases=map(fields_of, event.bases),
        lines=map(fields_of, event.lines),
        totals=map(totals_message, event.totals),
    )
    return message.SerializeToString(deterministic=True)


def decode_adjustment(state: bytes) -> tuple[events_pb2.Envelope, FeeAdjusted]:
    """Return the envelope and the adjustment that bytes hold."""
    message = events_pb2.FeeAdjusted.FromString(state)
    event = FeeAdjusted(
        cause=message.cause,
        cause_position=message.cause_position,
        time_min_ns=message.envelope.effective_time_ns,
        time_max_ns=message.time_max_ns,
        time_max_so_far_ns=message.time_max_so_far_ns,
        symbols=tuple(map(symbol_of, message.symbols)),
        bases=tuple(map(basis_of, message.bases)),
        lines=tuple(map(adjusted_line_of, message.lines)),
        totals=tuple(map(totals_of, message.totals)),
    )
    return message.envelope, event
