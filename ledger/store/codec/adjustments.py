"""Maps FeeAdjusted to bytes and back: columns, not rows. The layout is described in proto/ledger/v1/events.proto."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from ledger.arrays.columns import Ints, column, is_wide, narrow, packed, packed_texts, text_column, texts, unpacked
from ledger.domain.events import AdjustedLine, Basis, CellTotals, FeeAdjusted, LineValues, SymbolTerms
from ledger.domain.money import decimal_text
from ledger.domain.state.volume_cells import exact
from ledger.fills.adjusted_lines import AdjustedLines, ValueColumns
from ledger.store.codec.parts import basis_of, fields_of, symbol_of, totals_message, totals_of
from ledger.v1 import events_pb2

# The columns of `LineValues` by their names in the contract, each followed by _before and _after.
_PACKED: Final = {
    "symbol_index": "symbol_indexes",
    "traits": "traits",
    "price": "prices",
    "quantity": "quantities",
    "fee": "fees",
    "basis_index": "basis_indexes",
}
assert tuple(_PACKED) == LineValues._fields
_AMOUNTS: Final = ("price", "quantity", "fee")


def encode_adjustment(envelope: events_pb2.Envelope, event: FeeAdjusted) -> bytes:
    """Return the bytes of an adjustment; one without a release is as the first releases wrote it."""
    assert envelope.effective_time_ns == event.time_min_ns, (envelope.effective_time_ns, event.time_min_ns)
    columns = _columns(event) if event.release_position else {"lines": _rows(event)}
    message = events_pb2.FeeAdjusted(
        envelope=envelope,
        cause=event.cause,
        cause_position=event.cause_position,
        time_max_ns=event.time_max_ns,
        time_max_so_far_ns=event.time_max_so_far_ns,
        symbols=map(fields_of, event.symbols),
        bases=map(fields_of, event.bases),
        totals=map(totals_message, event.totals),
        release_position=event.release_position,
        previous_position=event.previous_position,
        **columns,
    )
    return message.SerializeToString(deterministic=True)


def decode_adjustment(state: bytes) -> tuple[events_pb2.Envelope, FeeAdjusted]:
    """Return the envelope and the adjustment that bytes hold."""
    message = events_pb2.FeeAdjusted.FromString(state)
    symbols, bases = tuple(map(symbol_of, message.symbols)), tuple(map(basis_of, message.bases))
    lines = _lines(message) if message.release_position else tuple(_read_rows(message, symbols, bases))
    event = FeeAdjusted(
        cause=message.cause,
        cause_position=message.cause_position,
        time_min_ns=message.envelope.effective_time_ns,
        time_max_ns=message.time_max_ns,
        time_max_so_far_ns=message.time_max_so_far_ns,
        symbols=symbols,
        bases=bases,
        lines=lines,
        totals=tuple(map(totals_of, message.totals)),
        release_position=message.release_position,
        previous_position=message.previous_position,
    )
    return message.envelope, event


def decode_adjusted_totals(state: bytes) -> tuple[CellTotals, ...]:
    """Return only the running totals of a stored adjustment."""
    return tuple(map(totals_of, events_pb2.FeeAdjusted.FromString(state).totals))


def _columns(event: FeeAdjusted) -> dict[str, Any]:
    """Return the columns of the lines, by their names in the contract."""
    lines = AdjustedLines.of(event.lines)
    position_min = int(lines.position.min())
    return {
        "venues": lines.venues,
        "position_min": position_min,
        "position_offsets": packed(lines.position - position_min).data,
        "line_numbers": packed(lines.line).data,
        "venue_indexes": packed(lines.venue).data if len(lines.venues) > 1 else b"",
        "exec_ids": packed_texts(lines.exec_id).data,
        "time_offsets_ns": packed(lines.transact_time_ns - event.time_min_ns).data,
        **_values(lines.before, lines.after),
    }


def _rows(event: FeeAdjusted) -> list[events_pb2.AdjustedLine]:
    """Return the lines one by one, with decimals as text; only the fee changes."""
    found = []
    for line in event.lines:
        before, after, terms = line.before, line.after, event.symbols[line.before.symbol_index]
        fees = [decimal_text(each.fee, event.bases[each.basis_index].fee_decimals) for each in (before, after)]
        found.append(
            events_pb2.AdjustedLine(
                position=line.position,
                line=line.line,
                venue=line.venue,
                exec_id=line.exec_id,
                transact_time_ns=line.transact_time_ns,
                symbol_index=before.symbol_index,
                traits=before.traits,
                price=decimal_text(before.price, terms.price_scale),
                quantity=decimal_text(before.quantity, terms.quantity_scale),
                fee_before=fees[0],
                basis_before=before.basis_index,
                fee_after=fees[1],
                basis_after=after.basis_index,
            )
        )
    return found


def _values(before: ValueColumns, after: ValueColumns) -> dict[str, Any]:
    """Return the columns of what lines are before and after, by their names in the contract."""
    wide = is_wide(*(narrow(getattr(side, name)) for side in (before, after) for name in _AMOUNTS))
    found: dict[str, Any] = {"wide_amounts": wide}
    for name, contract in _PACKED.items():
        was, now = getattr(before, name), getattr(after, name)
        found[f"{contract}_before"] = _column(name, was, wide=wide)
        found[f"{contract}_after"] = b"" if np.array_equal(was, now) else _column(name, now, wide=wide)
    return found


def _column(name: str, values: Ints, *, wide: bool) -> bytes:
    if name == "traits":
        return values.astype(np.uint8).tobytes()
    if wide and name in _AMOUNTS:
        return packed_texts(texts(list(map(str, values.tolist())))).data
    return packed(narrow(values), signed=name == "fee").data


def _lines(message: events_pb2.FeeAdjusted) -> AdjustedLines:
    count = len(message.traits_before)
    offsets = unpacked(message.position_offsets, count).astype(np.int64)
    times = unpacked(message.time_offsets_ns, count).astype(np.int64)
    lines = AdjustedLines(
        position=message.position_min + offsets,
        line=unpacked(message.line_numbers, count),
        venues=tuple(message.venues),
        venue=unpacked(message.venue_indexes, count) if message.venue_indexes else np.zeros(count, dtype=np.uint8),
        exec_id=text_column(message.exec_ids, count),
        transact_time_ns=message.envelope.effective_time_ns + times,
        before=_read_side(message, "before", count),
        after=_read_side(message, "after", count),
    )
    if not lines.is_whole:
        raise ValueError("its columns do not have as many values as it has lines, or a line has no venue")
    return lines


def _read_side(message: events_pb2.FeeAdjusted, side: str, count: int) -> ValueColumns:
    """Return what the lines are on one side; a column that is empty after is as before."""
    columns = []
    for name, contract in _PACKED.items():
        data = getattr(message, f"{contract}_{side}") or getattr(message, f"{contract}_before")
        columns.append(_read_column(name, data, count, wide=message.wide_amounts))
    return ValueColumns(*columns)


def _read_column(name: str, data: bytes, count: int, *, wide: bool) -> Ints:
    if name == "traits":
        return np.frombuffer(data, dtype=np.uint8)
    if wide and name in _AMOUNTS:
        return column([int(text) for text in text_column(data, count).tolist()])
    return unpacked(data, count, signed=name == "fee")


def _read_rows(
    message: events_pb2.FeeAdjusted, symbols: Sequence[SymbolTerms], bases: Sequence[Basis]
) -> list[AdjustedLine]:
    """Return the lines that the first releases wrote one by one, with decimals as text; only the fee changed."""
    found = []
    for line in message.lines:
        terms = symbols[line.symbol_index]
        price, quantity = exact(line.price, terms.price_scale), exact(line.quantity, terms.quantity_scale)
        before, after = (
            LineValues(line.symbol_index, line.traits, price, quantity, exact(fee, bases[at].fee_decimals), at)
            for fee, at in ((line.fee_before, line.basis_before), (line.fee_after, line.basis_after))
        )
        found.append(
            AdjustedLine(line.position, line.line, line.venue, line.exec_id, line.transact_time_ns, before, after)
        )
    return found
