"""Sums of some lines of an account-day, by volume cell: over columns, not line by line."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ledger.arrays.columns import INT64_ROOM, Ints, in_order, is_wide, sizes_of, starts_of, sums, wide
from ledger.domain.events import Basis, FeeAdjusted, FeeEvent, SymbolTerms, VolumeRecorded
from ledger.domain.state.volume_cells import FEE_SCALE, NOTIONAL_SCALE, CellSum, CellSums, cell_key, count_credit
from ledger.domain.traits import CELL_TRAITS, TRAITS_END
from ledger.fills.adjusted_lines import AdjustedLines, ValueColumns
from ledger.fills.lines import amounts, ints, line_times_ns


def add_event(sums_: CellSums, event: FeeEvent, until_ns: int) -> None:
    """Add what an event changes before an instant; a credit lies where its day begins."""
    if isinstance(event, VolumeRecorded):
        add_run(sums_, event, until_ns)
    elif isinstance(event, FeeAdjusted):
        restate_lines(sums_, event, until_ns)
    elif event.time_min_ns < until_ns:
        count_credit(sums_, event)


def add_run(sums_: CellSums, run: VolumeRecorded, until_ns: int) -> None:
    """Add the fills of a run that traded before an instant, with the fees that it recorded."""
    places = np.flatnonzero(line_times_ns(run) < until_ns)
    if not len(places):
        return
    symbol, basis = (ints(run, name)[places] for name in ("symbol_index", "basis_index"))
    traits = np.frombuffer(run.columns.traits, dtype=np.uint8)[places]
    price, quantity, fee = (amounts(run, name, places) for name in ("price", "quantity", "fee"))
    count_lines(sums_, run.symbols, run.bases, ValueColumns(symbol, traits, price, quantity, fee, basis))


def restate_lines(sums_: CellSums, event: FeeAdjusted, until_ns: int) -> None:
    """Count the lines of an adjustment that traded before an instant as they are after it, not as before.

    A cell stays, though it may be empty now.
    """
    lines = AdjustedLines.of(event.lines)
    places = np.flatnonzero(lines.transact_time_ns < until_ns)
    for side, sign in ((lines.before, -1), (lines.after, 1)):
        count_lines(sums_, event.symbols, event.bases, side.at(places), sign)


def count_lines(
    sums_: CellSums, symbols: Sequence[SymbolTerms], bases: Sequence[Basis], values: ValueColumns, sign: int = 1
) -> None:
    """Count lines by their values, or with a sign of -1 no longer; indexes are places in `symbols` and `bases`."""
    if not len(values.traits):
        return
    # A code stands for the symbol of a line, its basis and the cell in which it counts.
    pairs = values.symbol_index.astype(np.int64) * len(bases) + values.basis_index.astype(np.int64)
    order, codes = in_order(pairs * TRAITS_END + (values.traits & CELL_TRAITS))
    starts = starts_of(codes)
    fee = _full(values.fee)[order]
    charge = np.maximum(fee, 0)
    columns = (sums(each, starts) for each in (_notional(values)[order], charge, fee - charge))
    counts = sizes_of(starts, len(codes)).tolist()
    for code, lines, notional, charges, rebates in zip(codes[starts].tolist(), counts, *columns, strict=True):
        pair, traits = divmod(code, TRAITS_END)
        terms, basis = symbols[pair // len(bases)], bases[pair % len(bases)]
        notional_up = sign * 10 ** (NOTIONAL_SCALE - terms.price_scale - terms.quantity_scale)
        fee_up = sign * 10 ** (FEE_SCALE - basis.fee_decimals)
        cell = sums_.setdefault(cell_key(terms, traits, basis), CellSum())
        cell.count(sign * lines, notional * notional_up, basis.fee_currency, charges * fee_up, rebates * fee_up)


def _notional(values: ValueColumns) -> Ints:
    """Return price x quantity, exact: in Python's own integers where int64 might not hold it."""
    price, quantity = _full(values.price), _full(values.quantity)
    if not is_wide(price, quantity) and int(price.max()) * int(quantity.max()) >= INT64_ROOM:
        price = wide(price)
    product: Ints = price * quantity
    return product


def _full(amounts: Ints) -> Ints:
    """Return amounts as int64, however narrow they were packed, unless they are Python's own integers."""
    return amounts if is_wide(amounts) else amounts.astype(np.int64)
