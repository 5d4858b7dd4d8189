"""Running totals of account-days counted again, in Python's own integers: not by the table that recorded them."""

from __future__ import annotations

from collections.abc import Iterator

from ledger.arrays.columns import Ints
from ledger.arrays.decimal_columns import numbers_of
from ledger.domain.events import CellTotals, FeeAdjusted, FeeEvent
from ledger.domain.state.volume_cells import (
    FEE_SCALE,
    NOTIONAL_SCALE,
    CellSum,
    Sums,
    add_totals,
    cell_key,
    restate,
    to_totals,
)
from ledger.fills.lines import known_lines
from ledger.fills.make_runs import counted, wheres
from ledger.fills.prices import Priced
from ledger.fills.running_totals import Where


def counted_sums(priced: Priced, run: Ints) -> Iterator[tuple[int, Where, int, int, int, int]]:
    """Of the lines of a run that are counted in one place: (run, where, lines, notional, charges, rebates)."""
    of_run, where, sums = counted(priced, run)
    places, count = wheres(priced), len(of_run)
    return zip(
        of_run.tolist(),
        [places[place] for place in where.tolist()],
        sums.lines.tolist(),
        numbers_of(sums.notional, count, NOTIONAL_SCALE),
        numbers_of(sums.charges, count, FEE_SCALE),
        [-rebates for rebates in numbers_of(sums.rebates, count, FEE_SCALE)],
        strict=True,
    )


def count_in(cells: Sums, where: Where, lines: int, notional: int, charges: int, rebates: int) -> None:
    """Count lines, with their notional and fees, in the running totals of their account-day."""
    cell = cells.get(where.cell)
    if cell is None:
        cell = cells[where.cell] = CellSum()
    cell.lines += lines
    cell.notional += notional
    cell.add_fees(where.currency, charges, rebates, lines)


def recounted(before: Sums, event: FeeEvent) -> tuple[CellTotals, ...]:
    """Totals of an account-day after an event, from those before it and its lines as they are recorded."""
    sums: Sums = {}
    add_totals(sums, to_totals(before))
    if isinstance(event, FeeAdjusted):
        for each in event.lines:
            restate(sums, event, each)
        return to_totals(sums)
    for line, terms, basis in known_lines(event):
        cell = sums.setdefault(cell_key(terms, line.traits, basis), CellSum())
        cell.notional += _at(NOTIONAL_SCALE, line.price * line.quantity, terms.price_scale + terms.quantity_scale)
        cell.lines += 1
        fee = _at(FEE_SCALE, line.fee, basis.fee_decimals)
        cell.add_fees(basis.fee_currency, max(fee, 0), min(fee, 0), 1)
    return to_totals(sums)


def _at(scale: int, units: int, decimals: int) -> int:
    """Units of so many decimals at a larger scale. Raises ValueError if it is not larger."""
    if not 0 <= decimals <= scale:
        raise ValueError(f"{decimals} decimals, where there are at most {scale}")
    return units * int(10 ** (scale - decimals))
