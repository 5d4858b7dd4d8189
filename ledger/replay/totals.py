"""Counts running totals of account-days again, in Python's own integers: not by the table that recorded them."""

from __future__ import annotations

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
