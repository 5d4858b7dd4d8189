"""Sums of some fills of a fill run, by volume cell: over its columns, not line by line."""

from __future__ import annotations

import numpy as np

from ledger.arrays.columns import INT64_ROOM, Ints, in_order, starts_of, sums, wide
from ledger.domain.events import VolumeRecorded
from ledger.domain.state.volume_cells import FEE_SCALE, NOTIONAL_SCALE, CellSum, CellSums, cell_key
from ledger.domain.traits import CELL_TRAITS, TRAITS_END
from ledger.fills.lines import amounts, ints, line_times_ns


def add_run(sums_: CellSums, run: VolumeRecorded, until_ns: int) -> None:
    """Add the fills of a run that traded before an instant, with the fees that it recorded."""
    places = np.flatnonzero(line_times_ns(run) < until_ns)
    if not len(places):
        return
    order, codes = in_order(_codes(run)[places])
    places, starts = places[order], starts_of(codes)
    notional, fee = _notional(run, places), amounts(run, "fee", places)
    charge = np.maximum(fee, 0)
    counts = np.diff(starts, append=len(codes)).tolist()
    columns = (sums(values, starts) for values in (notional, charge, fee - charge))
    for code, lines, *added in zip(codes[starts].tolist(), counts, *columns, strict=True):
        _add(sums_, run, code, lines, *added)


def _codes(run: VolumeRecorded) -> Ints:
    """Return a number for each fill that stands for its symbol, its basis and the cell in which it counts."""
    symbol, basis = (ints(run, name).astype(np.int64) for name in ("symbol_index", "basis_index"))
    traits = np.frombuffer(run.columns.traits, dtype=np.uint8) & CELL_TRAITS
    return (symbol * len(run.bases) + basis) * TRAITS_END + traits


def _add(
    sums_: CellSums, run: VolumeRecorded, code: int, lines: int, notional: int, charges: int, rebates: int
) -> None:
    """Add the sums of the fills of one code; amounts are at the scales of their symbol and basis."""
    rest, traits = divmod(code, TRAITS_END)
    symbol, place = divmod(rest, len(run.bases))
    terms, basis = run.symbols[symbol], run.bases[place]
    cell = sums_.setdefault(cell_key(terms, traits, basis), CellSum())
    notional *= 10 ** (NOTIONAL_SCALE - terms.price_scale - terms.quantity_scale)
    fee_up = 10 ** (FEE_SCALE - basis.fee_decimals)
    cell.count(lines, notional, basis.fee_currency, charges * fee_up, rebates * fee_up)


def _notional(run: VolumeRecorded, places: Ints) -> Ints:
    """Return price x quantity, exact: in Python's own integers where int64 might not hold it."""
    price, quantity = (amounts(run, name, places) for name in ("price", "quantity"))
    if int(price.max()) * int(quantity.max()) >= INT64_ROOM:
        price = wide(price)
    return price * quantity
