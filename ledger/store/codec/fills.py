"""Maps VolumeRecorded to bytes and back: columns, not rows. The layout is described in proto/ledger/v1/events.proto."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import Any, Final

import numpy as np

from ledger.arrays.columns import Ints, digests, text_column
from ledger.domain.events import CellTotals, Columns, SourceSpan, VolumeRecorded
from ledger.store.codec.compression import all_plain, plain
from ledger.store.codec.fills_before_packing import columns_of_unpacked
from ledger.store.codec.parts import (
    VolumeParts,
    basis_bytes,
    basis_of_bytes,
    symbol_bytes,
    symbol_of_bytes,
    totals_message,
    totals_of_bytes,
)
from ledger.v1 import events_pb2

# The packed columns by their names in the contract.
PACKED: Final = {
    "exec_id": "exec_ids",
    "time_offset_ns": "time_offsets_ns",
    "symbol_index": "symbol_indexes",
    "traits": "traits",
    "price": "prices",
    "quantity": "quantities",
    "fee": "fees",
    "basis_index": "basis_indexes",
    "source_index": "source_indexes",
    "sequence_offset": "sequence_offsets",
    "trade_number": "trade_numbers",
    "trade_id": "trade_ids",
    "order_number": "order_numbers",
    "order_id": "order_ids",
    "cl_ord_id": "cl_ord_ids",
    "order_time_ns": "order_times_ns",
    "owner_id": "owner_ids",
    "counterparty_owner_id": "counterparty_owner_ids",
    "token": "tokens",
    "token_price": "token_prices",
    "token_price_source": "token_price_sources",
    "charged_amount": "charged_amounts",
    "charged_currency": "charged_currencies",
    "charged_rate": "charged_rates",
}
assert tuple(PACKED) == Columns._fields[:-1]
_span: Final = partial(tuple.__new__, SourceSpan)  # there may be as many as lines: half the time of its own __new__
_packed: Final = attrgetter(*PACKED.values())


def encode_volume(envelope: events_pb2.Envelope, event: VolumeRecorded) -> bytes:
    """Return the bytes of a run of fills.

    Encodings of a message that follow each other are one message with the fields of all: symbols and bases, which are
    the same in many runs, are encoded once.
    """
    columns = event.columns
    assert envelope.effective_time_ns == event.time_min_ns, (envelope.effective_time_ns, event.time_min_ns)
    message = events_pb2.VolumeRecorded(
        envelope=envelope,
        venue=event.venue,
        source=[span.source for span in event.sources],
        time_max_ns=event.time_max_ns,
        time_max_so_far_ns=event.time_max_so_far_ns,
        totals=map(totals_message, event.totals),
        wide_amounts=columns.wide,
        previous_position=event.previous_position,
    )
    if any(span.first_sequence or span.last_sequence for span in event.sources):
        message.first_sequence.extend([span.first_sequence for span in event.sources])
        message.last_sequence.extend([span.last_sequence for span in event.sources])
    for name, data in zip(PACKED.values(), columns, strict=False):
        if data:
            setattr(message, name, data)
    parts = [message.SerializeToString(deterministic=True)]
    parts += map(symbol_bytes, event.symbols)
    parts += map(basis_bytes, event.bases)
    return b"".join(parts)


def decode_volume(state: bytes) -> tuple[events_pb2.Envelope, VolumeRecorded]:
    """Return the envelope and the run of fills that bytes hold, compressed or not."""
    message = VolumeParts.FromString(plain(state))
    envelope = message.envelope
    firsts = message.first_sequence or [0] * len(message.source)
    lasts = message.last_sequence or [0] * len(message.source)
    event = VolumeRecorded(
        venue=message.venue,
        sources=tuple(map(_span, zip(message.source, firsts, lasts, strict=True))),
        time_min_ns=envelope.effective_time_ns,
        time_max_ns=message.time_max_ns,
        time_max_so_far_ns=message.time_max_so_far_ns,
        symbols=tuple(map(symbol_of_bytes, message.symbols)),
        bases=tuple(map(basis_of_bytes, message.bases)),
        columns=_columns(message),
        totals=tuple(map(totals_of_bytes, message.totals)),
        previous_position=message.previous_position,
    )
    return envelope, event


def decode_totals(state: bytes) -> tuple[CellTotals, ...]:
    """Return only the running totals of a VolumeRecorded, or of its first bytes, which are not compressed."""
    return tuple(map(totals_of_bytes, VolumeParts.FromString(state).totals))


def exec_id_digests(states: Sequence[bytes]) -> list[Ints]:
    """Return only the digests of the exec_ids of stored VolumeRecordeds: an array for each."""
    columns = [(message.exec_ids, message) for message in map(VolumeParts.FromString, all_plain(states))]
    ids = [packed or _columns(message).exec_id for packed, message in columns]
    sizes = [len(message.traits) for _, message in columns]
    widths = [len(each) // size for each, size in zip(ids, sizes, strict=True)]
    found: list[Ints] = []
    start = 0
    for _, stretch in groupby(widths):
        end = start + sum(1 for _ in stretch)
        together = digests(text_column(b"".join(ids[start:end]), sum(sizes[start:end])))
        found += np.split(together, np.cumsum(sizes[start : end - 1]))
        start = end
    return found


def _columns(message: Any) -> Columns:
    if message.exec_id:
        return columns_of_unpacked(message)
    return Columns._make((*_packed(message), message.wide_amounts))
