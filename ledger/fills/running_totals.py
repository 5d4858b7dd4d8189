"""Running totals of many account-days as columns: an entry for each fee cell of a day, all counted at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, NamedTuple

import numpy as np

from ledger.arrays.columns import Ints
from ledger.arrays.decimal_columns import Amounts, Limbs, grown, limbs_of, number_of
from ledger.arrays.lazy_sequence import LazySequence
from ledger.domain.events import CellKey, CellTotals, FeeSum
from ledger.domain.money import decimal_text
from ledger.domain.state.volume_cells import FEE_SCALE, NOTIONAL_SCALE, CellSum, CellSums, exact

_CAPACITY: Final = 1_024
_NONE: Final = -1
_SCALES: Final = (NOTIONAL_SCALE, FEE_SCALE, FEE_SCALE)  # of notional, charges and rebates


class FeeCell(NamedTuple):
    """The sums that a line is counted in: a volume cell, and in it one currency of fees."""

    cell: CellKey
    currency: str


class LineSums(NamedTuple):
    """The sums of a few lines: notional at NOTIONAL_SCALE, charges and rebates, without their sign, at FEE_SCALE."""

    lines: int
    notional: int
    charges: int
    rebates: int


NO_LINES: Final = LineSums(0, 0, 0, 0)


class GroupSums(NamedTuple):
    """The lines and amounts of some groups; rebates without their sign."""

    lines: Ints
    notional: Limbs
    charges: Limbs
    rebates: Limbs


@dataclass(frozen=True, slots=True)
class RunTotals(LazySequence[tuple[CellTotals, ...]]):
    """The totals after each of some fill runs, as they were when they were asked for.

    Entries of run n are bounds[n] up to bounds[n + 1], in the order of cells and currencies; `codes` are the
    places of their fee cells in `fee_cells`.
    """

    fee_cells: Sequence[FeeCell]
    bounds: Ints
    codes: Ints
    sums: GroupSums

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def of_runs(self, places: Ints) -> RunTotals:
        """Return the totals after some of the runs, in the order of `places`."""
        sizes = np.diff(self.bounds)[places]
        ends = np.cumsum(sizes)
        entries = np.arange(int(ends[-1])) + np.repeat(self.bounds[places] - ends + sizes, sizes)
        lines, *amounts = self.sums
        some = ({power: limb[entries] for power, limb in each.items()} for each in amounts)
        return RunTotals(self.fee_cells, np.append(0, ends), self.codes[entries], GroupSums(lines[entries], *some))

    def make(self, place: int) -> tuple[CellTotals, ...]:
        """Make the totals after a run."""
        entries = range(int(self.bounds[place]), int(self.bounds[place + 1]))
        cells = groupby(entries, key=lambda entry: self._fee_cell(entry).cell)
        return tuple([self._cell(key, list(of_cell)) for key, of_cell in cells])

    def _fee_cell(self, entry: int) -> FeeCell:
        return self.fee_cells[int(self.codes[entry])]

    def _cell(self, key: CellKey, entries: Sequence[int]) -> CellTotals:
        lines, notional, charges, rebates = self.sums
        volume = sum(number_of(notional, entry, NOTIONAL_SCALE) for entry in entries)
        fees = [
            FeeSum(
                self._fee_cell(entry).currency,
                decimal_text(number_of(charges, entry, FEE_SCALE), FEE_SCALE),
                decimal_text(-number_of(rebates, entry, FEE_SCALE), FEE_SCALE),
                int(lines[entry]),
            )
            for entry in entries
        ]
        return CellTotals(key, decimal_text(volume, NOTIONAL_SCALE), int(lines[entries].sum()), tuple(fees))


class CellTable:
    """The entries of account-days, which are known by their places; the entries of one day form a chain."""

    def __init__(self) -> None:
        self.fee_cells: list[FeeCell] = []
        self._code_of: dict[FeeCell, int] = {}
        self._rank = np.zeros(0, dtype=np.int64)  # the place of each fee cell, once they are sorted
        self._count = 0
        self._first = np.full(_CAPACITY, _NONE, dtype=np.int32)  # the head of the chain of each account-day
        self._next = np.full(_CAPACITY, _NONE, dtype=np.int32)
        self._codes = np.zeros(_CAPACITY, dtype=np.int32)
        self._lines = np.zeros(_CAPACITY, dtype=np.int64)
        self._amounts = [Amounts(_CAPACITY) for _ in GroupSums._fields[1:]]

    @property
    def nbytes(self) -> int:
        """The bytes of memory that the entries take."""
        own = (self._first, self._next, self._codes, self._lines)
        return int(sum(column.nbytes for column in own)) + sum(amounts.nbytes for amounts in self._amounts)

    def code(self, fee_cell: FeeCell) -> int:
        """Return the place of a fee cell in `fee_cells`, which gains a new one."""
        code = self._code_of.setdefault(fee_cell, len(self.fee_cells))
        if code == len(self.fee_cells):
            self.fee_cells.append(fee_cell)
            in_order = sorted(range(len(self.fee_cells)), key=self.fee_cells.__getitem__)
            self._rank = np.empty(len(in_order), dtype=np.int64)
            self._rank[in_order] = np.arange(len(in_order))
        return code

    def count(self, days: Ints, codes: Ints, sums: GroupSums) -> None:
        """Count groups of lines by account-day and code of the fee cell; no two groups have both the same."""
        if not len(days):
            return
        entries = self._entries(days, codes)
        self._lines[entries] += sums.lines
        for amounts, more in zip(self._amounts, sums[1:], strict=True):
            amounts.add(entries, more)

    def enter(self, days: Sequence[int], totals: Sequence[Iterable[CellTotals]]) -> None:
        """Replace the totals of account-days by those that the log says."""
        self._room_for_days(max(days, default=0) + 1)
        self._first[np.array(days, dtype=np.int64)] = _NONE
        rows = [
            (day, self.code(FeeCell(cell.key, fee.currency)), fee, "0" if number else cell.notional)
            for day, cells in zip(days, totals, strict=True)
            for cell in cells
            for number, fee in enumerate(cell.fees)  # the notional of a cell stands in its first entry
        ]
        if not rows:
            return
        places, codes, fees, notionals = zip(*rows, strict=True)
        self.count(
            np.array(places),
            np.array(codes),
            GroupSums(
                np.array([fee.lines for fee in fees]),
                _limbs([exact(notional, NOTIONAL_SCALE) for notional in notionals], NOTIONAL_SCALE),
                _limbs([exact(fee.charges, FEE_SCALE) for fee in fees], FEE_SCALE),
                _limbs([-exact(fee.rebates, FEE_SCALE) for fee in fees], FEE_SCALE),
            ),
        )

    def totals(self, days: Ints) -> RunTotals:
        """Return the totals of some account-days, which are all different."""
        self._room_for_days(int(days.max()) + 1)
        run, entry = self._chains(self._first[days])
        order = np.argsort(run * len(self.fee_cells) + self._rank[self._codes[entry]])
        run, entry = run[order], entry[order]
        return RunTotals(
            list(self.fee_cells),
            np.searchsorted(run, np.arange(len(days) + 1)),
            self._codes[entry],
            GroupSums(self._lines[entry], *(amounts.at(entry) for amounts in self._amounts)),
        )

    def count_one(self, day: int, code: int, sums: LineSums) -> None:
        """Count one group of lines, as `count` does."""
        self._room_for_days(day + 1)
        entry = next((entry for entry in self._links(int(self._first[day])) if self._codes[entry] == code), _NONE)
        if entry == _NONE:
            self._room_for_entries(1)
            entry, self._count = self._count, self._count + 1
            self._codes[entry] = code
            self._next[entry], self._first[day] = self._first[day], entry
        self._lines[entry] += sums.lines
        for amounts, more, scale in zip(self._amounts, sums[1:], _SCALES, strict=True):
            if more:
                amounts.add_one(entry, more, scale)

    def sums(self, day: int) -> CellSums:
        """Return the totals of one account-day as sums, which the log holds by `to_totals`."""
        found: CellSums = {}
        notional, charges, rebates = self._amounts
        for entry in self._links(int(self._first[day])):
            cell, currency = self.fee_cells[int(self._codes[entry])]
            found.setdefault(cell, CellSum()).count(
                int(self._lines[entry]),
                notional.number(entry, NOTIONAL_SCALE),
                currency,
                charges.number(entry, FEE_SCALE),
                -rebates.number(entry, FEE_SCALE),
            )
        return found

    def keep(self, days: Ints) -> None:
        """Drop all account-days but some; from now on the place of a day is its place among these."""
        first = self._first[days]
        _, kept = self._chains(first)
        place_of = np.full(len(self._next) + 1, _NONE, dtype=np.int32)  # the last one stands for _NONE
        place_of[kept] = np.arange(len(kept))
        capacity = max(_CAPACITY, len(kept))
        self._first = np.full(max(_CAPACITY, len(days)), _NONE, dtype=np.int32)
        self._first[: len(days)] = place_of[first]
        self._next = np.append(place_of[self._next[kept]], np.full(capacity - len(kept), _NONE, dtype=np.int32))
        self._codes, self._lines = grown(self._codes[kept], capacity), grown(self._lines[kept], capacity)
        self._amounts = [amounts.only(kept, capacity) for amounts in self._amounts]
        self._count = len(kept)

    def _chains(self, heads: Ints) -> tuple[Ints, Ints]:
        """Return (place in `heads`, entry) of all entries of some chains.

        Heads [4, 1], where entry 4 is followed by 2 -> ([0, 1, 0], [4, 1, 2]).
        """
        if len(heads) == 1:  # links are followed one by one: arrays would take several times as long
            links = list(self._links(int(heads[0])))
            return np.zeros(len(links), dtype=np.int64), np.array(links, dtype=np.int64)
        chain, entry = np.arange(len(heads)), heads
        found = [(chain[:0], entry[:0])]
        while len(entry):
            there = entry != _NONE
            chain, entry = chain[there], entry[there]
            found.append((chain, entry))
            entry = self._next[entry]
        chains, entries = zip(*found, strict=True)
        return np.concatenate(chains), np.concatenate(entries)

    def _links(self, entry: int) -> Iterator[int]:
        while entry != _NONE:
            yield entry
            entry = int(self._next[entry])

    def _entries(self, days: Ints, codes: Ints) -> Ints:
        """Return the entries of groups, and make those that are missing."""
        self._room_for_days(int(days.max()) + 1)
        found = self._first[days]
        left = np.flatnonzero((found != _NONE) & (self._codes[found] != codes))
        while len(left):
            found[left] = self._next[found[left]]
            there = found[left]
            left = left[(there != _NONE) & (self._codes[there] != codes[left])]
        missing = np.flatnonzero(found == _NONE)
        if len(missing):
            found[missing] = self._made(days[missing], codes[missing])
        return found.astype(np.int64)

    def _made(self, days: Ints, codes: Ints) -> Ints:
        """Make entries at the heads of their chains; several of one account-day follow each other."""
        self._room_for_entries(len(days))
        made = np.arange(self._count, self._count + len(days))
        self._count += len(days)
        self._codes[made] = codes
        self._next[made] = self._first[days]
        order = np.argsort(days, kind="stable")
        same = days[order[1:]] == days[order[:-1]]  # the next in order is of the same account-day
        self._next[made[order[:-1][same]]] = made[order[1:][same]]
        firsts = order[np.append(True, ~same)]
        self._first[days[firsts]] = made[firsts]
        return made

    def _room_for_days(self, count: int) -> None:
        if count > len(self._first):
            longer = np.full(max(count, 2 * len(self._first)), _NONE, dtype=np.int32)
            longer[: len(self._first)] = self._first
            self._first = longer

    def _room_for_entries(self, more: int) -> None:
        if self._count + more <= len(self._next):
            return
        capacity = max(self._count + more, 2 * len(self._next))
        self._next, self._codes, self._lines = (
            grown(column, capacity) for column in (self._next, self._codes, self._lines)
        )
        for amounts in self._amounts:
            amounts.grow(capacity)


def _limbs(values: Sequence[int], scale: int) -> dict[int, Ints]:
    return limbs_of(np.array(values, dtype=object), np.full(len(values), scale))
