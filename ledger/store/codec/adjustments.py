"""FeeAdjusted to bytes and back. The layout is described in proto/ledger/v1/events.proto."""

from __future__ import annotations

from ledger.domain.events import AdjustedLine, FeeAdjusted
from ledger.store.codec.fills import basis_of, symbol_of, totals_message, totals_of
from ledger.v1 import events_pb2


def encode_adjustment(envelope: events_pb2.Envelope, event: FeeAdjusted) -> bytes:
    """The bytes of an adjustment."""
    assert envelope.effective_time_ns == event.time_min_ns, (envelope.effective_time_ns, event.time_min_ns)
    message = events_pb2.FeeAdjusted(
        envelope=envelope,
        cause=event.cause,
        cause_position=event.cause_position,
        time_max_ns=event.time_max_ns,
        time_max_so_far_ns=event.time_max_so_far_ns,
        symbols=[events_pb2.SymbolTerms(**terms._asdict()) for terms in event.symbols],
        bases=[events_pb2.Basis(**basis._asdict()) for basis in event.bases],
        lines=[events_pb2.AdjustedLine(**line._asdict()) for line in event.lines],
        totals=map(totals_message, event.totals),
    )
    return message.SerializeToString(deterministic=True)


def decode_adjustment(state: bytes) -> tuple[events_pb2.Envelope, FeeAdjusted]:
    """The envelope and the adjustment that bytes hold."""
    message = events_pb2.FeeAdjusted.FromString(state)
    event = FeeAdjusted(
        cause=message.cause,
        cause_position=message.cause_position,
        time_min_ns=message.envelope.effective_time_ns,
        time_max_ns=message.time_max_ns,
        time_max_so_far_ns=message.time_max_so_far_ns,
        symbols=tuple(map(symbol_of, message.symbols)),
        bases=tuple(map(basis_of, message.bases)),
        lines=tuple(AdjustedLine(*(getattr(line, name) for name in AdjustedLine._fields)) for line in message.lines),
        totals=tuple(map(totals_of, message.totals)),
    )
    return message.envelope, event
