"""Priced fills as events: one run per account-day, with the running totals of the day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from ledger.domain.account_day import AccountDay, AccountDays, DayKey
from ledger.domain.columns import Ints, distinct, in_order, starts_of, sums
from ledger.domain.events import Columns, VolumeRecorded
from ledger.domain.fill_batch import CARRIED
from ledger.domain.fill_prices import Lines, Priced
from ledger.domain.totals import CellSum, to_totals

T = TypeVar("T")


def runs(priced: Priced, groups: AccountDays, days: Mapping[DayKey, AccountDay]) -> list[tuple[DayKey, VolumeRecorded]]:
    """The events, in the order of account-days; the totals of the days move on."""
    lines = priced.lines
    spans = list(lines.spans())
    _add_sums(priced, groups, days)
    symbols = _Local(lines, lines.market, [market.terms for market in lines.markets])
    bases = _Local(lines, *_bases(priced))
    sources = _Local(lines, lines.batch.source[lines.place], lines.batch.sources)
    columns = _columns(priced, symbols.index, bases.index, sources.index)
    times = lines.batch.transact_time_ns[lines.place]
    starts = np.array([start for _, start, _ in spans])
    earliest, latest = np.minimum.reduceat(times, starts).tolist(), np.maximum.reduceat(times, starts).tolist()
    events: list[tuple[DayKey, VolumeRecorded]] = []
    for number, (group, start, end) in enumerate(spans):
        key = groups.keys[group]
        day = days[key]
        day.time_max_so_far_ns = max(day.time_max_so_far_ns, latest[number])
        event = VolumeRecorded(
            venue=lines.batch.venue,
            sources=sources.of(group),
            time_min_ns=earliest[number],
            time_max_ns=latest[number],
            time_max_so_far_ns=day.time_max_so_far_ns,
            symbols=symbols.of(group),
            bases=bases.of(group),
            columns=Columns(*[each[start:end] for each in columns]),
            totals=to_totals(day.sums),
        )
        events.append((key, event))
    return events


class _Local:
    """Values that lines refer to, numbered anew within each account-day."""

    def __init__(self, lines: Lines, codes: Ints, values: Sequence[Any]) -> None:
        """`codes` are places in `values`, one per line."""
        groups_end, codes_end = int(lines.group[-1]) + 1, len(values)
        pairs, place = distinct(lines.group * codes_end + codes, groups_end * codes_end)
        bounds = np.searchsorted(pairs, np.arange(groups_end + 1) * codes_end)
        self.index: Ints = place - bounds[lines.group]
        self._values = values
        self._codes = (pairs % codes_end).tolist()
        self._bounds = bounds.tolist()

    def of(self, group: int) -> tuple[Any, ...]:
        """What the indexes of a group point into."""
        return tuple(self._values[code] for code in self._codes[self._bounds[group] : self._bounds[group + 1]])


def _bases(priced: Priced) -> tuple[Ints, list[Any]]:
    """What the fee of each line rests on: a place, and the different ones."""
    places: dict[Any, int] = {}
    codes = [places.setdefault(price.share.basis, len(places)) for price in priced.prices]
    return np.array(codes)[priced.kind], list(places)


def _add_sums(priced: Priced, groups: AccountDays, days: Mapping[DayKey, AccountDay]) -> None:
    """Sum up each account-day's lines by where they are counted and what they rest on, and move its totals on."""
    places: dict[Any, int] = {}
    share_of = np.array([places.setdefault(price.share, len(places)) for price in priced.prices])
    shares = list(places)
    order, codes = in_order(priced.lines.group * len(shares) + share_of[priced.kind])
    starts = starts_of(codes)
    fee = priced.fee[order]
    charge = np.maximum(fee, 0)
    counts = np.diff(starts, append=len(codes)).tolist()
    columns = (counts, *(sums(values, starts) for values in (priced.notional[order], charge, fee - charge)))
    for code, count, notional, charges, rebates in zip(codes[starts].tolist(), *columns, strict=True):
        group, place = divmod(code, len(shares))
        share = shares[place]
        cells = days[groups.keys[group]].sums
        cell = cells.get(share.cell)
        if cell is None:
            cell = cells[share.cell] = CellSum()
        cell.lines += count
        cell.notional += notional * share.notional_up
        cell.add_fees(share.basis.fee_currency, charges * share.fee_up, rebates * share.fee_up, count)


def _columns(priced: Priced, symbol_index: Ints, basis_index: Ints, source_index: Ints) -> list[Any]:
    """All lines, in the order of `Columns`."""
    lines, batch = priced.lines, priced.lines.batch
    places = lines.place.tolist()
    sourced = any(batch.sources)
    return [
        [batch.exec_id[place] for place in places],
        batch.transact_time_ns[lines.place].tolist(),
        symbol_index.tolist(),
        priced.traits.astype(np.uint8).tobytes(),
        lines.price.tolist(),
        lines.quantity.tolist(),
        priced.fee.tolist(),
        basis_index.tolist(),
        source_index.tolist() if len(batch.sources) > 1 else (),
        batch.sequence[lines.place].tolist() if sourced else (),
        *(_carried(getattr(batch, name), lines.place, places) for name in CARRIED),
    ]


def _carried(values: Any, place: Ints, places: list[int]) -> Sequence[Any]:
    if not len(values):
        return ()
    return values[place].tolist() if isinstance(values, np.ndarray) else [values[at] for at in places]
