"""Reads the lines of a fill run out of its packed columns. Only what is asked for is unpacked."""

from __future__ import annotations

from typing import Final

import numpy as np

from ledger.arrays.columns import Ints, column, text_column, unpacked
from ledger.domain.events import KnownLine, Line, VolumeRecorded

NUMBERED: Final = {"trade_id": "trade_number", "order_id": "order_number"}  # columns of ids that are all numbers


def lines_of(run: VolumeRecorded) -> list[Line]:
    """Return the fills of a run, in its order."""
    return lines_at(run, slice(None))


def lines_at(run: VolumeRecorded, places: Ints | slice) -> list[Line]:
    """Return the fills at some places of a run (0 is its first fill), in the order of `places`."""
    columns, count = run.columns, len(range(len(run))[places] if isinstance(places, slice) else places)

    def numbers(name: str) -> list[int]:
        values: list[int] = ints(run, name)[places].tolist() if getattr(columns, name) else []
        return values

    def words(name: str) -> list[str]:
        return texts(run, name, places) if getattr(columns, name) else [""] * count

    source_index, offsets = (numbers(name) or [0] * count for name in ("source_index", "sequence_offset"))
    return list(
        map(
            Line,
            words("exec_id"),
            [run.time_min_ns + offset for offset in numbers("time_offset_ns")],
            numbers("symbol_index"),
            columns.traits[places] if isinstance(places, slice) else [columns.traits[place] for place in places],
            *(amounts(run, name, places).tolist() for name in ("price", "quantity", "fee")),
            numbers("basis_index"),
            source_index,
            [run.sources[at].first_sequence + offset for at, offset in zip(source_index, offsets, strict=True)],
            list(map(str, numbers("trade_number"))) or words("trade_id"),
            list(map(str, numbers("order_number"))) or words("order_id"),
            words("cl_ord_id"),
            numbers("order_time_ns") or [0] * count,
            *map(words, Line._fields[Line._fields.index("owner_id") :]),
        )
    )


def known_lines(run: VolumeRecorded) -> list[KnownLine]:
    """Return each fill of a run with what is needed to read it alone: its symbol's terms and its basis."""
    return [KnownLine(line, run.symbols[line.symbol_index], run.bases[line.basis_index]) for line in lines_of(run)]


def places_having(run: VolumeRecorded, traits: int) -> Ints:
    """Return the places of the fills that have all of these traits, ascending: every place for 0."""
    found: Ints = np.flatnonzero(np.frombuffer(run.columns.traits, dtype=np.uint8) & traits == traits)
    return found


def line_times_ns(run: VolumeRecorded) -> Ints:
    """Return the instant of each fill, as int64."""
    return ints(run, "time_offset_ns").astype(np.int64) + run.time_min_ns


def ints(run: VolumeRecorded, name: str, *, signed: bool = False) -> Ints:
    """Return a column of integers by its name in `Columns`; an empty array if no line says anything in it."""
    return unpacked(getattr(run.columns, name), len(run), signed=signed)


def amounts(run: VolumeRecorded, name: str, places: Ints | slice = slice(None)) -> Ints:
    """Return the column "price", "quantity" or "fee" as mantissas, or those at some places of it."""
    if run.columns.wide:
        return column(list(map(int, texts(run, name, places))))
    return ints(run, name, signed=name == "fee")[places].astype(np.int64)


def texts(run: VolumeRecorded, name: str, places: Ints | slice = slice(None)) -> list[str]:
    """Return a column of texts, or those at some places of it; empty texts if no line says anything in it."""
    data = getattr(run.columns, name)
    if not data:
        return [""] * len(run)
    return [text.decode() for text in text_column(data, len(run))[places].tolist()]
