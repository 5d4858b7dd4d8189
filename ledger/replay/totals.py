"""Counts running totals of account-days again, in Python's own integers: not by the table that recorded them."""

from __future__ import annotations

from collections.abc import Iterator

from ledger.arrays.columns import Ints
from ledger.arrays.decimal_columns import numbers_of
from ledger.domain.events import CellTotals, CreditEvent, FeeAdjusted, FeeEvent
from ledger.domain.state.volume_cells import (
    FEE_SCALE,
    NOTIONAL_SCALE,
    CellSum,
    CellSums,
    add_totals,
    cell_key,
    count_credit,
    restate,
    to_totals,
)
from ledger.fills.lines import known_lines
from ledger.fills.make_fill_runs import fee_cells, sums_by_cell
from ledger.fills.prices import Priced
from ledger.fills.running_totals import FeeCell


def counted_sums(priced: Priced, run: Ints) -> Iterator[tuple[int, FeeCell, int, int, int, int]]:
    """Yield (run, fee cell, lines, notional, charges, rebates) for the lines of a run that are counted in one place."""
    of_run, codes, sums = sums_by_cell(priced, run)
    places, count = fee_cells(priced), len(of_run)
    return zip(
        of_run.tolist(),
        [places[place] for place in codes.tolist()],
        sums.lines.tolist(),
        numbers_of(sums.notional, count, NOTIONAL_SCALE),
        numbers_of(sums.charges, count, FEE_SCALE),
        [-rebates for rebates in numbers_of(sums.rebates, count, FEE_SCALE)],
        strict=True,
    )


def count_in(cells: CellSums, fee_cell: FeeCell, lines: int, notional: int, charges: int, rebates: int) -> None:
    """Count lines, with their notional and fees, in the running totals of their account-day."""
    cell = cells.get(fee_cell.cell)
    if cell is None:
        cell = cells[fee_cell.cell] = CellSum()
    cell.count(lines, notional, fee_cell.currency, charges, rebates)


def recounted(before: CellSums, event: FeeEvent) -> tuple[CellTotals, ...]:
    """Return the totals of an account-day after an event, from those before it and its lines as they are recorded."""
    sums: CellSums = {}
    add_totals(sums, to_totals(before))
    if isinstance(event, FeeAdjusted):
        for each in event.lines:
            restate(sums, event, each)
        return to_totals(sums)
    if isinstance(event, CreditEvent):
        count_credit(sums, event)
        return to_totals(sums)
    for line, terms, basis in known_lines(event):
        cell = sums.setdefault(cell_key(terms, line.traits, basis), CellSum())
        notional = _at(NOTIONAL_SCALE, line.price * line.quantity, terms.price_scale + terms.quantity_scale)
        fee = _at(FEE_SCALE, line.fee, basis.fee_decimals)
        cell.count(1, notional, basis.fee_currency, max(fee, 0), min(fee, 0))
    return to_totals(sums)


def _at(scale: int, units: int, decimals: int) -> int:
    """Return units with some decimals at a larger scale. Raises ValueError if it is not larger."""
    if not 0 <= decimals <= scale:
        raise ValueError(f"{decimals} decimals, where there are at most {scale}")
    return units * int(10 ** (scale - decimals))
