"""Running totals of account-days counted again, in Python's own integers: not by the code that recorded them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ledger.domain.columns import Ints, in_order, starts_of, sums
from ledger.domain.events import CellKey
from ledger.domain.fill_prices import Priced
from ledger.domain.pricing import Share
from ledger.domain.totals import CellSum, Sums


class Counted(NamedTuple):
    """Where lines are summed up: a cell, the currency of their fees, and how far both are from the totals' scales."""

    cell: CellKey
    currency: str
    notional_up: int
    fee_up: int


def counted_sums(priced: Priced, run: Ints) -> Iterator[tuple[int, Counted, int, int, int, int]]:
    """Of the lines of a run that are counted alike: (run, where, lines, notional, charges, rebates)."""
    places: dict[Counted, int] = {}
    counted_of = np.array([places.setdefault(_counted(price.share), len(places)) for price in priced.prices])
    counted = list(places)
    codes = run * len(counted) + counted_of[priced.kind]
    for at, notional in priced.notionals:
        for code, lines, volume, charges, rebates in _sums(codes[at], notional, priced.fee[at]):
            place, kind = divmod(code, len(counted))
            yield place, counted[kind], lines, volume, charges, rebates


def count_in(cells: Sums, where: Counted, lines: int, notional: int, charges: int, rebates: int) -> None:
    """Count lines, with their notional and fees, in the running totals of their account-day."""
    cell = cells.get(where.cell)
    if cell is None:
        cell = cells[where.cell] = CellSum()
    cell.lines += lines
    cell.notional += notional * where.notional_up
    cell.add_fees(where.currency, charges * where.fee_up, rebates * where.fee_up, lines)


def _counted(share: Share) -> Counted:
    return Counted(share.cell, share.basis.fee_currency, share.notional_up, share.fee_up)


def _sums(codes: Ints, notional: Ints, fee: Ints) -> Iterator[tuple[int, int, int, int, int]]:
    """Of each code: (code, lines, notional, charges, rebates)."""
    order, ordered = in_order(codes)
    starts = starts_of(ordered)
    charge = np.maximum(fee, 0)[order]
    counts = np.diff(starts, append=len(codes)).tolist()
    columns = (sums(values, starts) for values in (notional[order], charge, fee[order] - charge))
    return zip(ordered[starts].tolist(), counts, *columns, strict=True)
