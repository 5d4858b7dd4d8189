"""Compares fills that come with lines of the log, column by column."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from ledger.arrays.columns import Ints, text_column
from ledger.arrays.decimal_columns import rescaled
from ledger.domain.events import Basis, VolumeRecorded
from ledger.domain.traits import DECIDED_TRAITS
from ledger.fills.batch import CARRIED, ERASABLE, FillBatch
from ledger.fills.lines import NUMBERED, amounts, ints, line_times_ns

_SENT_TRAITS: Final = ~DECIDED_TRAITS & 0xFF
_NOTHING: Final = np.bytes_(b"")


def same_content(batch: FillBatch, places: Ints, run: VolumeRecorded, lines: Ints, *, erased: bool = False) -> Ints:
    """Return a boolean array: True where the fill at `places[n]` of a batch says the same as line `lines[n]` of a run.

    All but its name and its number is compared, amounts by their value. A fill that leaves the product to its symbol
    is the same as one that says it. `erased`: what may be erased of the run is no longer known, and every fill says it.
    """
    symbol = ints(run, "symbol_index")[lines]
    codes = {name: code for code, name in enumerate(batch.symbols)}
    same: Ints = np.array([codes.get(terms.symbol, -1) for terms in run.symbols])[symbol] == batch.symbol[places]
    product = batch.product[places]
    same &= (product == 0) | (product == np.array([terms.product for terms in run.symbols])[symbol])
    same &= np.frombuffer(run.columns.traits, dtype=np.uint8)[lines] & _SENT_TRAITS == batch.traits[places]
    same &= line_times_ns(run)[lines] == batch.transact_time_ns[places]
    for name in ("price", "quantity"):
        scales = np.array([getattr(terms, f"{name}_scale") for terms in run.symbols])[symbol]
        sent, finer = rescaled(getattr(batch, name)[places], getattr(batch, f"{name}_decimals")[places], scales)
        same &= ~finer & (sent == amounts(run, name, lines)).astype(bool)
    for name in (each for each in CARRIED if not (erased and each in ERASABLE)):
        same &= _carried_alike(batch, name, places, run, lines)
    return same


def fees_at(run: VolumeRecorded, lines: Ints) -> list[tuple[int, Basis]]:
    """Return (fee, basis) of some lines as they were recorded."""
    bases = [run.bases[code] for code in ints(run, "basis_index")[lines].tolist()]
    return list(zip(amounts(run, "fee", lines).tolist(), bases, strict=True))


def _carried_alike(batch: FillBatch, name: str, places: Ints, run: VolumeRecorded, lines: Ints) -> Ints | bool:
    column, recorded = getattr(batch, name), _recorded(run, name, lines)
    sent = column[places] if len(column) else None
    if sent is None and recorded is None:
        return True
    alike: Ints
    if name == "order_time_ns":
        zeros = np.zeros(len(lines), dtype=np.int64)
        alike = (zeros if sent is None else sent) == (zeros if recorded is None else recorded)
    else:
        alike = _as_texts(sent) == _as_texts(recorded)
    return alike


def _recorded(run: VolumeRecorded, name: str, lines: Ints) -> Any:
    """Return the values of a column of the log at some lines; None if no line says anything."""
    numbers = "order_time_ns" if name == "order_time_ns" else NUMBERED.get(name, "")
    if numbers and getattr(run.columns, numbers):
        return ints(run, numbers)[lines].astype(np.int64)
    data = getattr(run.columns, name)
    return text_column(data, len(run))[lines] if data else None


def _as_texts(values: Any) -> Any:
    """Return texts as they are, numbers as the texts that they are printed as."""
    if values is None:
        return _NOTHING
    return values if values.dtype.kind == "S" else values.astype(bytes)
