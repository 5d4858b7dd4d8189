"""Many runs of fills to bytes at once: what `volume_codec.encode_volume` makes of each, field by field for all of them.

An object, a message and thirty attributes a run cost more than all its lines; here each field is a list with an entry
per run, and a run is what stands at its place in all lists.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise, repeat
from typing import Final, TypeVar

import numpy as np

from ledger.domain.columns import Ints
from ledger.domain.events import CellKey, CellTotals, FeeSum
from ledger.domain.runs import Referred, Runs
from ledger.store.protobuf_wire import Heads, number, varint, varints
from ledger.store.volume_codec import PACKED, basis_bytes, symbol_bytes
from ledger.v1 import events_pb2

_MESSAGE: Final = events_pb2.VolumeRecorded.DESCRIPTOR.fields_by_name
_CELL: Final = events_pb2.CellTotals.DESCRIPTOR.fields_by_name
_FEE: Final = events_pb2.FeeSum.DESCRIPTOR.fields_by_name
_HEADS: Final = {name: Heads(field.number) for name, field in _MESSAGE.items()}
_HEADS_OF: Final = {field.number: _HEADS[name] for name, field in _MESSAGE.items()}
_TOTALS: Final = _HEADS["totals"]
_NOTIONAL, _FEES = Heads(_CELL["notional"].number), Heads(_CELL["fees"].number)
_CHARGES, _REBATES = Heads(_FEE["charges"].number), Heads(_FEE["rebates"].number)
_EFFECTIVE: Final = number(events_pb2.Envelope.DESCRIPTOR.fields_by_name["effective_time_ns"].number)

T = TypeVar("T")


def encode_runs(rest: events_pb2.Envelope, runs: Runs) -> list[bytes]:
    """The bytes of all runs. `rest` is what their envelopes share: all but the effective time, which comes first."""
    fields: dict[int, Iterable[bytes]] = {}

    def put(name: str, values: Iterable[bytes]) -> None:
        fields[_MESSAGE[name].number] = values

    shared = rest.SerializeToString(deterministic=True)
    put("envelope", _HEADS["envelope"].each(_EFFECTIVE + at + shared for at in varints(runs.time_min_ns)))
    put("venue", repeat(_HEADS["venue"](runs.venue.encode())))
    put("source", _joined(runs.sources, lambda name: _HEADS["source"](name.encode())))
    if runs.first_sequences:
        ends = runs.last_sequences if "" in runs.sources.values else ()  # a source without a name has no numbers
        bare = [not any(each) for each in _cut(ends, runs.sources.bounds)] if ends else repeat(False)
        for name, numbers in (("first_sequence", runs.first_sequences), ("last_sequence", runs.last_sequences)):
            head, encoded = _HEADS[name], _of_runs(varints(numbers), runs.sources.bounds)
            put(name, [b"" if none else head(each) for each, none in zip(encoded, bare, strict=False)])
    for name in ("time_max_ns", "time_max_so_far_ns"):
        tag = number(_MESSAGE[name].number)
        put(name, [tag + at for at in varints(getattr(runs, name))])
    put("totals", [b"".join(map(_cell_bytes, totals)) for totals in runs.totals])
    put("traits", _columns(runs))
    in_order = [fields[field] for field in sorted(fields)]
    parts = zip(*in_order, _joined(runs.symbols, symbol_bytes), _joined(runs.bases, basis_bytes), strict=False)
    return list(map(b"".join, parts))


def _columns(runs: Runs) -> list[bytes]:
    """The columns of each run, and what says that amounts are texts, which follow each other in the order of fields.

    Runs of as many lines differ only in the lines: their bytes are the rows of one array.
    """
    wide = {_MESSAGE["wide_amounts"].number: number(_MESSAGE["wide_amounts"].number) + b"\x01"} if runs.wide else {}
    columns = {_MESSAGE[PACKED[name]].number: packed for name, packed in runs.columns.items()}
    starts = np.array(runs.starts)
    sizes = np.diff(starts)
    order = np.argsort(sizes, kind="stable")
    found: list[bytes] = [b""] * len(runs)
    for at in np.split(order, np.flatnonzero(np.diff(sizes[order])) + 1):
        lines = starts[at][:, None] + np.arange(sizes[at[0]])
        parts = []
        for field in sorted({*wide, *columns}):
            if field in wide:
                parts.append(_same(wide[field], len(at)))
                continue
            data, width = columns[field]
            rows = np.frombuffer(data, dtype=np.uint8).reshape(-1, width)[lines].reshape(len(at), -1)
            parts += [_same(_HEADS_OF[field][rows.shape[1]], len(at)), rows]
        together = np.concatenate(parts, axis=1)
        size, content = together.shape[1], together.tobytes()
        for place, run in enumerate(at.tolist()):
            found[run] = content[place * size : (place + 1) * size]
    return found


def _same(head: bytes, times: int) -> Ints:
    return np.broadcast_to(np.frombuffer(head, dtype=np.uint8), (times, len(head)))


def _joined(referred: Referred[T], encode: Callable[[T], bytes]) -> Sequence[bytes]:
    """Of each run what its lines refer to; each value is encoded once."""
    encoded = list(map(encode, referred.values))
    return _of_runs([encoded[code] for code in referred.codes], referred.bounds)


def _of_runs(parts: Sequence[bytes], bounds: Sequence[int]) -> Sequence[bytes]:
    """The parts of each run as one."""
    one_each = len(parts) == len(bounds) - 1
    return parts if one_each else list(map(b"".join, _cut(parts, bounds)))


def _cut(values: Sequence[T], bounds: Sequence[int]) -> Iterator[Sequence[T]]:
    return (values[start:end] for start, end in pairwise(bounds))


def _cell_bytes(totals: CellTotals) -> bytes:
    key, notional, lines, fees = totals
    text = notional.encode()
    parts = [_key_bytes(key), _NOTIONAL[len(text)], text, _lines_of_cell(lines), *map(_fee_bytes, fees)]
    content = b"".join(parts)
    return _TOTALS[len(content)] + content


def _fee_bytes(fee: FeeSum) -> bytes:
    charges, rebates = fee.charges.encode(), fee.rebates.encode()
    head = _CHARGES[len(charges)], charges, _REBATES[len(rebates)], rebates
    content = b"".join((_currency_bytes(fee.currency), *head, _lines_of_fee(fee.lines)))
    return _FEES[len(content)] + content


@lru_cache(maxsize=65_536)
def _lines_of_cell(lines: int) -> bytes:
    return number(_CELL["lines"].number) + varint(lines) if lines else b""


@lru_cache(maxsize=65_536)
def _lines_of_fee(lines: int) -> bytes:
    return number(_FEE["lines"].number) + varint(lines) if lines else b""


@lru_cache(maxsize=65_536)
def _currency_bytes(currency: str) -> bytes:
    return Heads(_FEE["currency"].number)(currency.encode())


@lru_cache(maxsize=65_536)
def _key_bytes(key: CellKey) -> bytes:
    return events_pb2.CellTotals(**key._asdict()).SerializeToString(deterministic=True)
