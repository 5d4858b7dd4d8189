"""Sums of some fills of a run, by volume cell: over its columns, not line by line."""

from __future__ import annotations

from typing import Final

import numpy as np

from ledger.arrays.columns import INT64_ROOM, Ints, column, in_order, starts_of, sums, wide
from ledger.domain.events import VolumeRecorded
from ledger.domain.state.volume_cells import FEE_SCALE, NOTIONAL_SCALE, CellSum, Sums, cell_key
from ledger.fills.lines import ints, line_times_ns, texts

_TRAITS_END: Final = 256  # a byte
_OF_A_CELL: Final = 0xF0  # the traits that say in which cell a fill counts: channel, self-trade, banned


def add_run(sums_: Sums, run: VolumeRecorded, until_ns: int) -> None:
    """Add the fills of a run that were before an instant, with the fees that it recorded."""
    places = np.flatnonzero(line_times_ns(run) < until_ns)
    if not len(places):
        return
    order, codes = in_order(_codes(run)[places])
    places, starts = places[order], starts_of(codes)
    notional, fee = _notional(run, places), _amounts(run, "fee")[places]
    charge = np.maximum(fee, 0)
    counts = np.diff(starts, append=len(codes)).tolist()
    columns = (sums(values, starts) for values in (notional, charge, fee - charge))
    for code, lines, *amounts in zip(codes[starts].tolist(), counts, *columns, strict=True):
        _add(sums_, run, code, lines, *amounts)


def _codes(run: VolumeRecorded) -> Ints:
    """Of each fill a number that says which symbol and basis it has, and in which cell it counts."""
    symbol, basis = (ints(run, name).astype(np.int64) for name in ("symbol_index", "basis_index"))
    traits = np.frombuffer(run.columns.traits, dtype=np.uint8) & _OF_A_CELL
    return (symbol * len(run.bases) + basis) * _TRAITS_END + traits


def _add(sums_: Sums, run: VolumeRecorded, code: int, lines: int, notional: int, charges: int, rebates: int) -> None:
    """Add what the fills of one code come to; amounts are at the scales of their symbol and basis."""
    rest, traits = divmod(code, _TRAITS_END)
    symbol, place = divmod(rest, len(run.bases))
    terms, basis = run.symbols[symbol], run.bases[place]
    cell = sums_.setdefault(cell_key(terms, traits, basis), CellSum())
    cell.lines += lines
    cell.notional += notional * 10 ** (NOTIONAL_SCALE - terms.price_scale - terms.quantity_scale)
    fee_up = 10 ** (FEE_SCALE - basis.fee_decimals)
    cell.add_fees(basis.fee_currency, charges * fee_up, rebates * fee_up, lines)


def _notional(run: VolumeRecorded, places: Ints) -> Ints:
    """Price x quantity, exact: in Python's own integers where int64 might not hold it."""
    price, quantity = (_amounts(run, name)[places] for name in ("price", "quantity"))
    if int(price.max()) * int(quantity.max()) >= INT64_ROOM:
        price = wide(price)
    return price * quantity


def _amounts(run: VolumeRecorded, name: str) -> Ints:
    """A column of amounts; they are positive, but for fees."""
    if run.columns.wide:
        return column(list(map(int, texts(run, name))))
    return ints(run, name, signed=name == "fee").astype(np.int64)
