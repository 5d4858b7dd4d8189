"""Priced fills as events: one run per account-day, with the running totals of the day."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from ledger.domain.account_day import AccountDay, AccountDays, DayKey
from ledger.domain.columns import (
    INT64_ROOM,
    Ints,
    Packed,
    Texts,
    distinct,
    in_order,
    is_wide,
    narrow,
    packed,
    packed_texts,
    starts_of,
    sums,
    texts,
)
from ledger.domain.events import Columns, SourceSpan, VolumeRecorded
from ledger.domain.fill_batch import CARRIED
from ledger.domain.fill_prices import Lines, Priced
from ledger.domain.pricing import Share
from ledger.domain.totals import CellSum, Sums, to_totals

_NUMBERED: Final = {"trade_id": "trade_number", "order_id": "order_number"}


def runs(priced: Priced, groups: AccountDays, days: Mapping[DayKey, AccountDay]) -> list[tuple[DayKey, VolumeRecorded]]:
    """The events, in the order of account-days; the totals of the days move on."""
    lines = priced.lines
    spans = list(lines.spans())
    for group, share, *amounts in share_sums(priced):
        add_share(days[groups.keys[group]].sums, share, *amounts)
    symbols = _Local(lines, lines.market, [market.terms for market in lines.markets])
    bases = _Local(lines, *_bases(priced))
    sources = _Local(lines, lines.batch.source[lines.place], lines.batch.sources)
    sequences = _Sequences(lines, sources)
    columns = _columns(priced, symbols.index, bases.index, sources, sequences)
    times = lines.batch.transact_time_ns[lines.place]
    starts = np.array([start for _, start, _ in spans])
    earliest, latest = np.minimum.reduceat(times, starts), np.maximum.reduceat(times, starts)
    columns["time_offset_ns"] = packed(times - np.repeat(earliest, np.diff(starts, append=len(lines))))
    wide_amounts = is_wide(*map(narrow, (lines.price, lines.quantity, priced.fee)))
    events: list[tuple[DayKey, VolumeRecorded]] = []
    for (group, start, end), earliest_ns, latest_ns in zip(spans, earliest.tolist(), latest.tolist(), strict=True):
        key = groups.keys[group]
        day = days[key]
        day.time_max_so_far_ns = max(day.time_max_so_far_ns, latest_ns)
        event = VolumeRecorded(
            venue=lines.batch.venue,
            sources=sequences.of(group),
            time_min_ns=earliest_ns,
            time_max_ns=latest_ns,
            time_max_so_far_ns=day.time_max_so_far_ns,
            symbols=symbols.of(group),
            bases=bases.of(group),
            columns=Columns(wide=wide_amounts, **{name: each.of(start, end) for name, each in columns.items()}),
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
        self.pair = place
        self.pairs = len(pairs)
        self.index: Ints = place - bounds[lines.group]
        self._values = values
        self._codes = (pairs % codes_end).tolist()
        self._bounds = bounds.tolist()

    def span(self, group: int) -> slice:
        """Where the pairs of a group lie."""
        return slice(self._bounds[group], self._bounds[group + 1])

    def of(self, group: int) -> tuple[Any, ...]:
        """What the indexes of a group point into."""
        return tuple([self._values[code] for code in self._codes[self.span(group)]])


class _Sequences:
    """The numbers of the lines at their sources, relative to the first of each source and account-day."""

    def __init__(self, lines: Lines, sources: _Local) -> None:
        numbers = lines.batch.sequence[lines.place]
        first, last = np.full(sources.pairs, 2**64, dtype=object), np.zeros(sources.pairs, dtype=object)
        if not is_wide(numbers):
            first, last = np.full(sources.pairs, INT64_ROOM), np.zeros(sources.pairs, dtype=np.int64)
        np.minimum.at(first, sources.pair, numbers)
        np.maximum.at(last, sources.pair, numbers)
        self.offset: Ints = numbers - first[sources.pair]
        self._first, self._last, self._sources = first.tolist(), last.tolist(), sources

    def of(self, group: int) -> tuple[SourceSpan, ...]:
        """The sources of a group."""
        span = self._sources.span(group)
        return tuple(map(SourceSpan, self._sources.of(group), self._first[span], self._last[span]))


def _bases(priced: Priced) -> tuple[Ints, list[Any]]:
    """What the fee of each line rests on: a place, and the different ones."""
    places: dict[Any, int] = {}
    codes = [places.setdefault(price.share.basis, len(places)) for price in priced.prices]
    return np.array(codes)[priced.kind], list(places)


def share_sums(priced: Priced) -> Iterator[tuple[int, Share, int, int, int, int]]:
    """Of lines of an account-day that are counted alike: (account-day, share, lines, notional, charges, rebates)."""
    alike: dict[Any, Share] = {}
    for price in priced.prices:
        alike.setdefault(price.share.counted_as, price.share)
    shares, places = list(alike.values()), {counted_as: place for place, counted_as in enumerate(alike)}
    share_of = np.array([places[price.share.counted_as] for price in priced.prices])
    codes = priced.lines.group * len(shares) + share_of[priced.kind]
    for at, notional in priced.notionals:
        for code, lines, volume, charges, rebates in _sums(codes[at], notional, priced.fee[at]):
            group, place = divmod(code, len(shares))
            yield group, shares[place], lines, volume, charges, rebates


def add_share(cells: Sums, share: Share, lines: int, notional: int, charges: int, rebates: int) -> None:
    """Count lines, with their notional and fees, in the running totals of their account-day."""
    cell = cells.get(share.cell)
    if cell is None:
        cell = cells[share.cell] = CellSum()
    cell.lines += lines
    cell.notional += notional * share.notional_up
    cell.add_fees(share.basis.fee_currency, charges * share.fee_up, rebates * share.fee_up, lines)


def _sums(codes: Ints, notional: Ints, fee: Ints) -> Iterator[tuple[int, int, int, int, int]]:
    """Of each code: (code, lines, notional, charges, rebates)."""
    order, ordered = in_order(codes)
    starts = starts_of(ordered)
    charge = np.maximum(fee, 0)[order]
    counts = np.diff(starts, append=len(codes)).tolist()
    columns = (sums(values, starts) for values in (notional[order], charge, fee[order] - charge))
    return zip(ordered[starts].tolist(), counts, *columns, strict=True)


def _columns(
    priced: Priced, symbol_index: Ints, basis_index: Ints, sources: _Local, sequences: _Sequences
) -> dict[str, Packed]:
    """All lines as columns of the log, but for their times."""
    lines, batch = priced.lines, priced.lines.batch
    amounts = {"price": narrow(lines.price), "quantity": narrow(lines.quantity), "fee": narrow(priced.fee)}
    if is_wide(*amounts.values()):
        columns = {name: packed_texts(texts(list(map(str, values)))) for name, values in amounts.items()}
    else:
        columns = {name: packed(values, signed=name == "fee") for name, values in amounts.items()}
    columns |= {
        "exec_id": packed_texts(batch.exec_id[lines.place]),
        "traits": packed(priced.traits),
        "symbol_index": packed(symbol_index),
        "basis_index": packed(basis_index),
    }
    if len(batch.sources) > 1:
        columns["source_index"] = packed(sources.index)
    if any(batch.sources):
        columns["sequence_offset"] = packed(sequences.offset)
    for name in CARRIED:
        if len(values := getattr(batch, name)):
            columns[_NUMBERED.get(name, name) if values.dtype.kind == "i" else name] = _packed(values[lines.place])
    return columns


def _packed(values: Ints | Texts) -> Packed:
    return packed_texts(values) if values.dtype.kind == "S" else packed(values)
