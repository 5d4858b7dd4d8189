"""Maps FeeAdjusted to bytes and back: columns, not rows. The layout is described in proto/ledger/v1/events.proto."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from ledger.arrays.columns import column, packed, packed_texts, text_column, texts, unpacked
from ledger.domain.events import AdjustedLine, Basis, FeeAdjusted, LineValues, SymbolTerms
from ledger.domain.money import decimal_text
from ledger.domain.state.volume_cells import exact
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
_INT64_MAX: Final = 2**63 - 1


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
        **columns,
    )
    return message.SerializeToString(deterministic=True)


def decode_adjustment(state: bytes) -> tuple[events_pb2.Envelope, FeeAdjusted]:
    """Return the envelope and the adjustment that bytes hold."""
    message = events_pb2.FeeAdjusted.FromString(state)
    symbols, bases = tuple(map(symbol_of, message.symbols)), tuple(map(basis_of, message.bases))
    lines = _lines(message) if message.release_position else _read_rows(message, symbols, bases)
    event = FeeAdjusted(
        cause=message.cause,
        cause_position=message.cause_position,
        time_min_ns=message.envelope.effective_time_ns,
        time_max_ns=message.time_max_ns,
        time_max_so_far_ns=message.time_max_so_far_ns,
        symbols=symbols,
        bases=bases,
        lines=tuple(lines),
        totals=tuple(map(totals_of, message.totals)),
        release_position=message.release_position,
    )
    return message.envelope, event


def _columns(event: FeeAdjusted) -> dict[str, Any]:
    """Return the columns of the lines, by their names in the contract."""
    lines, venues = event.lines, dict[str, int]()
    venue_indexes = [venues.setdefault(line.venue, len(venues)) for line in lines]
    position_min = min(line.position for line in lines)
    return {
        "venues": list(venues),
        "position_min": position_min,
        "position_offsets": _ints([line.position - position_min for line in lines]),
        "line_numbers": _ints([line.line for line in lines]),
        "venue_indexes": _ints(venue_indexes) if len(venues) > 1 else b"",
        "exec_ids": packed_texts(texts([line.exec_id for line in lines])).data,
        "time_offsets_ns": _ints([line.transact_time_ns - event.time_min_ns for line in lines]),
        **_values(lines),
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


def _values(lines: Sequence[AdjustedLine]) -> dict[str, Any]:
    """Return the columns of what lines are before and after, by their names in the contract."""
    before, after = (LineValues(*map(list, zip(*each, strict=True))) for each in _sides(lines))  # type: ignore[arg-type]
    amounts = [abs(value) for side in (before, after) for name in _AMOUNTS for value in getattr(side, name)]
    wide = max(amounts) > _INT64_MAX
    found: dict[str, Any] = {"wide_amounts": wide}
    for name, contract in _PACKED.items():
        was, now = getattr(before, name), getattr(after, name)
        found[f"{contract}_before"] = _column(name, was, wide=wide)
        found[f"{contract}_after"] = _column(name, now, wide=wide) if now != was else b""
    return found


def _sides(lines: Sequence[AdjustedLine]) -> tuple[list[LineValues], list[LineValues]]:
    return [line.before for line in lines], [line.after for line in lines]


def _column(name: str, values: list[int], *, wide: bool) -> bytes:
    if name == "traits":
        return bytes(values)
    if wide and name in _AMOUNTS:
        return packed_texts(texts(list(map(str, values)))).data
    return _ints(values, signed=name == "fee")


def _ints(values: Sequence[int], *, signed: bool = False) -> bytes:
    return packed(column(values), signed=signed).data


def _lines(message: events_pb2.FeeAdjusted) -> list[AdjustedLine]:
    count = len(message.traits_before)
    venues = unpacked(message.venue_indexes, count).tolist() if message.venue_indexes else [0] * count
    sides = [_read_side(message, side, count) for side in ("before", "after")]
    return list(
        map(
            AdjustedLine,
            [message.position_min + offset for offset in unpacked(message.position_offsets, count).tolist()],
            unpacked(message.line_numbers, count).tolist(),
            [message.venues[at] for at in venues],
            [name.decode() for name in text_column(message.exec_ids, count).tolist()],
            [
                message.envelope.effective_time_ns + offset
                for offset in unpacked(message.time_offsets_ns, count).tolist()
            ],
            *sides,
        )
    )


def _read_side(message: events_pb2.FeeAdjusted, side: str, count: int) -> list[LineValues]:
    """Return what the lines are on one side; a column that is empty after is as before."""
    columns = []
    for name, contract in _PACKED.items():
        data = getattr(message, f"{contract}_{side}") or getattr(message, f"{contract}_before")
        columns.append(_read_column(name, data, count, wide=message.wide_amounts))
    return list(map(LineValues, *columns))


def _read_column(name: str, data: bytes, count: int, *, wide: bool) -> list[int]:
    if name == "traits":
        return list(data)
    if wide and name in _AMOUNTS:
        return [int(text) for text in text_column(data, count).tolist()]
    values: list[int] = unpacked(data, count, signed=name == "fee").tolist()
    return values


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
