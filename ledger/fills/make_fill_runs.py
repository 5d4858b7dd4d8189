"""Makes events of priced fills: one fill run per account-day, with the running totals of the day."""

from __future__ import annotations

from typing import Any

import numpy as np

from ledger.arrays.columns import (
    INT64_ROOM,
    Ints,
    Packed,
    Texts,
    in_order,
    is_wide,
    narrow,
    packed,
    packed_texts,
    sizes_of,
    starts_of,
    texts,
)
from ledger.arrays.decimal_columns import Limbs, limbs_of
from ledger.domain.pricing.plan import Posting
from ledger.fills.batch import CARRIED, AccountDays
from ledger.fills.days import DayTable
from ledger.fills.fill_runs import FillRuns, Referred
from ledger.fills.lines import NUMBERED
from ledger.fills.prices import Priced
from ledger.fills.running_totals import FeeCell, GroupSums, RunTotals


def make_fill_runs(
    priced: Priced, groups: AccountDays, places: Ints, days: DayTable, next_position: int = 0
) -> FillRuns:
    """Make the events, in the order of account-days, and count them in `days`, where `groups.keys` lie at `places`.

    They will lie in the log from `next_position` on.
    """
    lines, batch = priced.lines, priced.lines.batch
    starts = starts_of(lines.group)
    run = np.repeat(np.arange(len(starts)), sizes_of(starts, len(lines)))
    with_lines = lines.group[starts]
    places = places[with_lines]
    symbols = Referred(run, lines.market, [market.terms for market in lines.markets])
    bases = Referred(run, *_distinct_bases(priced))
    sources = Referred(run, batch.source[lines.place], batch.sources)
    columns = _columns(priced, symbols.index, bases.index)
    if len(batch.sources) > 1:
        columns["source_index"] = packed(sources.index)
    first = last = np.zeros(0, dtype=np.int64)
    if any(batch.sources):
        numbers = batch.sequence[lines.place]
        first, last = first_and_last_numbers(numbers, sources)
        columns["sequence_offset"] = packed(numbers - first[sources.pair])
    times = batch.transact_time_ns[lines.place]
    earliest, latest = np.minimum.reduceat(times, starts), np.maximum.reduceat(times, starts)
    columns["time_offset_ns"] = packed(times - earliest[run])
    totals = _count_lines(priced, run, places, latest, days)
    return FillRuns(
        venue=batch.venue,
        keys=[groups.keys[group] for group in with_lines.tolist()],
        starts=[*starts.tolist(), len(lines)],
        time_min_ns=earliest,
        time_max_ns=latest,
        time_max_so_far_ns=days.latest_ns(places),
        symbols=symbols,
        bases=bases,
        sources=sources,
        first_sequences=first,
        last_sequences=last,
        columns=columns,
        wide=is_wide(*map(narrow, (lines.price, lines.quantity, priced.fee))),
        totals=totals,
        previous_positions=days.append(places, next_position),
    )


def first_and_last_numbers(numbers: Ints, sources: Referred[str]) -> tuple[Ints, Ints]:
    """Return (lowest number, highest number) of each source in each run, in the order of `sources.codes`."""
    if len(numbers) == 1:
        return numbers, numbers
    pairs = len(sources.codes)
    first, last = np.full(pairs, 2**64, dtype=object), np.zeros(pairs, dtype=object)
    if not is_wide(numbers):
        first, last = np.full(pairs, INT64_ROOM), np.zeros(pairs, dtype=np.int64)
    np.minimum.at(first, sources.pair, numbers)
    np.maximum.at(last, sources.pair, numbers)
    return first, last


def _distinct_bases(priced: Priced) -> tuple[Ints, list[Any]]:
    """Return the place of each line's basis, and the bases, each once."""
    places: dict[Any, int] = {}
    codes = [places.setdefault(price.posting.basis, len(places)) for price in priced.prices]
    return np.array(codes)[priced.kind], list(places)


def _count_lines(priced: Priced, run: Ints, places: Ints, latest_ns: Ints, days: DayTable) -> RunTotals:
    """Count the lines of each run in its account-day, and return the totals after each run."""
    of_run, cells, sums = sums_by_cell(priced, run)
    codes = np.array([days.code(each) for each in fee_cells(priced)])
    return days.move_on(places, latest_ns, places[of_run], codes[cells], sums)


def fee_cells(priced: Priced) -> list[FeeCell]:
    """Return the fee cells that these lines add to, each once."""
    return list(dict.fromkeys(_fee_cell(price.posting) for price in priced.prices))


def sums_by_cell(priced: Priced, run: Ints) -> tuple[Ints, Ints, GroupSums]:
    """Return (run, place in `fee_cells`, sums) of the lines of one run that count in one fee cell, ascending."""
    place_of = {fee_cell: place for place, fee_cell in enumerate(fee_cells(priced))}
    cells = np.array([place_of[_fee_cell(price.posting)] for price in priced.prices])
    order, codes = in_order(run * len(place_of) + cells[priced.kind])
    starts = starts_of(codes)

    def summed(limbs: Limbs) -> Limbs:
        return {power: np.add.reduceat(limb[order], starts) for power, limb in limbs.items()}

    decimals = np.array([price.posting.basis.fee_decimals for price in priced.prices])[priced.kind]
    charge = np.maximum(priced.fee, 0)
    rebate = charge - priced.fee
    sums = GroupSums(
        lines=sizes_of(starts, len(codes)),
        notional=summed(_notional(priced)),
        charges=summed(limbs_of(charge, decimals)),
        rebates=summed(limbs_of(rebate, decimals)) if rebate.any() else {},
    )
    return *np.divmod(codes[starts], len(place_of)), sums


def _fee_cell(posting: Posting) -> FeeCell:
    return FeeCell(posting.cell, posting.basis.fee_currency)


def _notional(priced: Priced) -> Limbs:
    """Return price x quantity of each line."""
    lines = priced.lines
    scales = np.array([each.terms.price_scale + each.terms.quantity_scale for each in lines.markets])[lines.market]
    parts = [(at, limbs_of(notional, scales[at])) for at, notional in priced.notionals]
    if len(parts) == 1:
        return parts[0][1]
    found: dict[int, Ints] = {}
    for at, limbs in parts:
        for power, limb in limbs.items():
            found.setdefault(power, np.zeros(len(priced.kind), dtype=np.int64))[at] = limb
    return found


def _columns(priced: Priced, symbol_index: Ints, basis_index: Ints) -> dict[str, Packed]:
    """Pack all columns of the lines but their times and the numbers of their sources."""
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
            columns[NUMBERED.get(name, name) if values.dtype.kind == "i" else name] = _packed(values[lines.place])
    return columns


def _packed(values: Ints | Texts) -> Packed:
    return packed_texts(values) if values.dtype.kind == "S" else packed(values)
