"""Priced fills as events: one run per account-day, with the running totals of the day."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from ledger.domain.account_day import AccountDay, AccountDays
from ledger.domain.columns import (
    INT64_ROOM,
    Ints,
    Packed,
    Texts,
    in_order,
    is_wide,
    narrow,
    packed,
    packed_texts,
    starts_of,
    sums,
    texts,
)
from ledger.domain.events import CellKey, CellTotals
from ledger.domain.fill_batch import CARRIED
from ledger.domain.fill_prices import Priced
from ledger.domain.pricing import Share
from ledger.domain.runs import Referred, Runs
from ledger.domain.totals import CellSum, Sums, to_totals

_NUMBERED: Final = {"trade_id": "trade_number", "order_id": "order_number"}


def runs(priced: Priced, groups: AccountDays, days: Sequence[AccountDay]) -> Runs:
    """The events, in the order of account-days; the totals of the days, those of `groups.keys`, move on."""
    lines, batch = priced.lines, priced.lines.batch
    starts = starts_of(lines.group)
    run = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(lines)))
    with_lines = lines.group[starts].tolist()
    keys, touched = [groups.keys[group] for group in with_lines], [days[group] for group in with_lines]
    symbols = Referred(run, lines.market, [market.terms for market in lines.markets])
    bases = Referred(run, *_bases(priced))
    sources = Referred(run, batch.source[lines.place], batch.sources)
    columns = _columns(priced, symbols.index, bases.index)
    if len(batch.sources) > 1:
        columns["source_index"] = packed(sources.index)
    first: list[int] = []
    last: list[int] = []
    if any(batch.sources):
        numbers = batch.sequence[lines.place]
        least, first, last = _spans(numbers, sources)
        columns["sequence_offset"] = packed(numbers - least[sources.pair])
    times = batch.transact_time_ns[lines.place]
    earliest, latest = np.minimum.reduceat(times, starts), np.maximum.reduceat(times, starts)
    columns["time_offset_ns"] = packed(times - earliest[run])
    totals = _move_on(priced, run, touched, latest.tolist())
    return Runs(
        venue=batch.venue,
        keys=keys,
        starts=[*starts.tolist(), len(lines)],
        time_min_ns=earliest.tolist(),
        time_max_ns=latest.tolist(),
        time_max_so_far_ns=[day.time_max_so_far_ns for day in touched],
        symbols=symbols,
        bases=bases,
        sources=sources,
        first_sequences=first,
        last_sequences=last,
        columns=columns,
        wide=is_wide(*map(narrow, (lines.price, lines.quantity, priced.fee))),
        totals=totals,
    )


def _spans(numbers: Ints, sources: Referred[str]) -> tuple[Ints, list[int], list[int]]:
    """(lowest number of each source in each run, the same as a list, the highest ones)."""
    pairs = len(sources.codes)
    first, last = np.full(pairs, 2**64, dtype=object), np.zeros(pairs, dtype=object)
    if not is_wide(numbers):
        first, last = np.full(pairs, INT64_ROOM), np.zeros(pairs, dtype=np.int64)
    np.minimum.at(first, sources.pair, numbers)
    np.maximum.at(last, sources.pair, numbers)
    return first, first.tolist(), last.tolist()


def _bases(priced: Priced) -> tuple[Ints, list[Any]]:
    """What the fee of each line rests on: a place, and the different ones."""
    places: dict[Any, int] = {}
    codes = [places.setdefault(price.share.basis, len(places)) for price in priced.prices]
    return np.array(codes)[priced.kind], list(places)


class Counted(NamedTuple):
    """Where lines are summed up: a cell, the currency of their fees, and how far both are from the totals' scales."""

    cell: CellKey
    currency: str
    notional_up: int
    fee_up: int


def _move_on(
    priced: Priced, run: Ints, touched: Sequence[AccountDay], latest_ns: Sequence[int]
) -> list[tuple[CellTotals, ...]]:
    """Count the lines of each run in its account-day; the totals behind each."""
    for place, where, *amounts in counted_sums(priced, run):
        count_in(touched[place].sums, where, *amounts)
    for day, so_far_ns in zip(touched, latest_ns, strict=True):
        day.time_max_so_far_ns = max(day.time_max_so_far_ns, so_far_ns)
    return [to_totals(day.sums) for day in touched]


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


def _columns(priced: Priced, symbol_index: Ints, basis_index: Ints) -> dict[str, Packed]:
    """All lines as columns of the log, but for their times and their numbers at their sources."""
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
    for name in CARRIED:
        if len(values := getattr(batch, name)):
            columns[_NUMBERED.get(name, name) if values.dtype.kind == "i" else name] = _packed(values[lines.place])
    return columns


def _packed(values: Ints | Texts) -> Packed:
    return packed_texts(values) if values.dtype.kind == "S" else packed(values)
