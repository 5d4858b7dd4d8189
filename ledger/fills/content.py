"""Whether fills that come are the same as lines of the log, compared column by column."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from ledger.arrays.columns import Ints, text_column
from ledger.arrays.columns import column as as_column
from ledger.arrays.decimal_columns import rescaled
from ledger.domain.events import TRAIT_BANNED, TRAIT_SELF_TRADE, Basis, VolumeRecorded
from ledger.fills.batch import CARRIED, FillBatch
from ledger.fills.lines import ints, line_times_ns, texts

_SAID: Final = ~(TRAIT_SELF_TRADE | TRAIT_BANNED) & 0xFF  # of the traits of a line, those that a fill says
_NUMBERED: Final = {"trade_id": "trade_number", "order_id": "order_number"}
_NOTHING: Final = np.bytes_(b"")


def same_content(batch: FillBatch, places: Ints, run: VolumeRecorded, lines: Ints) -> Ints:
    """Return for each fill at `places` of a batch whether the line at its place in `lines` of a run says the same.

    All but its name and its number is compared, amounts by their value. A fill that leaves the product to its symbol
    is the same as one that says it.
    """
    symbol = ints(run, "symbol_index")[lines]
    codes = {name: code for code, name in enumerate(batch.symbols)}
    same: Ints = np.array([codes.get(terms.symbol, -1) for terms in run.symbols])[symbol] == batch.symbol[places]
    product = batch.product[places]
    same &= (product == 0) | (product == np.array([terms.product for terms in run.symbols])[symbol])
    same &= np.frombuffer(run.columns.traits, dtype=np.uint8)[lines] & _SAID == batch.traits[places]
    same &= line_times_ns(run)[lines] == batch.transact_time_ns[places]
    for name in ("price", "quantity"):
        scales = np.array([getattr(terms, f"{name}_scale") for terms in run.symbols])[symbol]
        sent, finer = rescaled(getattr(batch, name)[places], getattr(batch, f"{name}_decimals")[places], scales)
        same &= ~finer & (sent == _amounts(run, name, lines)).astype(bool)
    for name in CARRIED:
        same &= _carried_alike(batch, name, places, run, lines)
    return same


def fees_at(run: VolumeRecorded, lines: Ints) -> list[tuple[int, Basis]]:
    """Return (fee, what it rests on) of some lines as they were recorded."""
    bases = [run.bases[code] for code in ints(run, "basis_index")[lines].tolist()]
    return list(zip(_amounts(run, "fee", lines).tolist(), bases, strict=True))


def _amounts(run: VolumeRecorded, name: str, lines: Ints) -> Ints:
    if run.columns.wide:
        return as_column(list(map(int, texts(run, name, lines))))
    return ints(run, name, signed=name == "fee")[lines].astype(np.int64)


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
    """The values of a column of the log at some lines; None if no line says anything."""
    numbers = "order_time_ns" if name == "order_time_ns" else _NUMBERED.get(name, "")
    if numbers and getattr(run.columns, numbers):
        return ints(run, numbers)[lines].astype(np.int64)
    data = getattr(run.columns, name)
    return text_column(data, len(run))[lines] if data else None


def _as_texts(values: Any) -> Any:
    """Texts as they are; numbers are as good as the texts they are printed as."""
    if values is None:
        return _NOTHING
    return values if values.dtype.kind == "S" else values.astype(bytes)
