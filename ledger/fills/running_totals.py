"""Running totals of many account-days as columns: a cell and a currency of fees to an entry, all moved on at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, NamedTuple

import numpy as np

from ledger.arrays.columns import Ints
from ledger.arrays.decimal_columns import Amounts, Limbs, grown, limbs_of, number_of
from ledger.arrays.lazy_sequence import Made
from ledger.domain.events import CellKey, CellTotals, FeeSum
from ledger.domain.money import decimal_text
from ledger.domain.state.volume_cells import FEE_SCALE, NOTIONAL_SCALE, exact

_CAPACITY: Final = 1_024
_NONE: Final = -1


class Where(NamedTuple):
    """Where lines are counted: a cell, and in it the sums of one currency of fees."""

    cell: CellKey
    currency: str


class Sums(NamedTuple):
    """Lines and amounts of some groups; rebates without their sign."""

    lines: Ints
    notional: Limbs
    charges: Limbs
    rebates: Limbs


@dataclass(frozen=True, slots=True)
class RunTotals(Made[tuple[CellTotals, ...]]):
    """The totals behind each of some runs, as they were when they were asked for.

    Entries of run n are bounds[n] up to bounds[n + 1], in the order of cells and currencies; `where` is a place in
    `wheres`.
    """

    wheres: Sequence[Where]
    bounds: Ints
    where: Ints
    sums: Sums

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def made(self, place: int) -> tuple[CellTotals, ...]:
        """The totals behind a run."""
        entries = range(int(self.bounds[place]), int(self.bounds[place + 1]))
        cells = groupby(entries, key=lambda entry: self._where(entry).cell)
        return tuple([self._cell(key, list(of_cell)) for key, of_cell in cells])

    def _where(self, entry: int) -> Where:
        return self.wheres[int(self.where[entry])]

    def _cell(self, key: CellKey, entries: Sequence[int]) -> CellTotals:
        lines, notional, charges, rebates = self.sums
        volume = sum(number_of(notional, entry, NOTIONAL_SCALE) for entry in entries)
        fees = [
            FeeSum(
                self._where(entry).currency,
                decimal_text(number_of(charges, entry, FEE_SCALE), FEE_SCALE),
                decimal_text(-number_of(rebates, entry, FEE_SCALE), FEE_SCALE),
                int(lines[entry]),
            )
            for entry in entries
        ]
        return CellTotals(key, decimal_text(volume, NOTIONAL_SCALE), int(lines[entries].sum()), tuple(fees))


class CellTable:
    """Entries of account-days, which are known by their places; those of one follow each other as a chain."""

    def __init__(self) -> None:
        self.wheres: list[Where] = []
        self._code_of: dict[Where, int] = {}
        self._rank = np.zeros(0, dtype=np.int64)  # of each of `wheres`, where they are put in order
        self._count = 0
        self._first = np.full(_CAPACITY, _NONE, dtype=np.int32)  # of each account-day the head of its chain
        self._next = np.full(_CAPACITY, _NONE, dtype=np.int32)
        self._where = np.zeros(_CAPACITY, dtype=np.int32)
        self._lines = np.zeros(_CAPACITY, dtype=np.int64)
        self._amounts = [Amounts(_CAPACITY) for _ in Sums._fields[1:]]

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        own = (self._first, self._next, self._where, self._lines)
        return int(sum(column.nbytes for column in own)) + sum(amounts.nbytes for amounts in self._amounts)

    def code(self, where: Where) -> int:
        """A place in `wheres`."""
        code = self._code_of.setdefault(where, len(self.wheres))
        if code == len(self.wheres):
            self.wheres.append(where)
            in_order = sorted(range(len(self.wheres)), key=self.wheres.__getitem__)
            self._rank = np.empty(len(in_order), dtype=np.int64)
            self._rank[in_order] = np.arange(len(in_order))
        return code

    def count(self, days: Ints, where: Ints, sums: Sums) -> None:
        """Count groups of lines: of each its account-day and its code; no two have both the same."""
        if not len(days):
            return
        entries = self._entries(days, where)
        self._lines[entries] += sums.lines
        for amounts, more in zip(self._amounts, sums[1:], strict=True):
            amounts.add(entries, more)

    def enter(self, days: Sequence[int], totals: Sequence[Iterable[CellTotals]]) -> None:
        """Let the totals of account-days be those that the log says."""
        self._room_for_days(max(days, default=0) + 1)
        self._first[np.array(days, dtype=np.int64)] = _NONE
        rows = [
            (day, self.code(Where(cell.key, fee.currency)), fee, "0" if number else cell.notional)
            for day, cells in zip(days, totals, strict=True)
            for cell in cells
            for number, fee in enumerate(cell.fees)  # the notional of a cell stands in one of its entries
        ]
        if not rows:
            return
        places, codes, fees, notionals = zip(*rows, strict=True)
        self.count(
            np.array(places),
            np.array(codes),
            Sums(
                np.array([fee.lines for fee in fees]),
                _limbs([exact(notional, NOTIONAL_SCALE) for notional in notionals], NOTIONAL_SCALE),
                _limbs([exact(fee.charges, FEE_SCALE) for fee in fees], FEE_SCALE),
                _limbs([-exact(fee.rebates, FEE_SCALE) for fee in fees], FEE_SCALE),
            ),
        )

    def totals(self, days: Ints) -> RunTotals:
        """What is counted in some account-days, which are all different."""
        self._room_for_days(int(days.max()) + 1)
        run, entry = self._chains(self._first[days])
        order = np.argsort(run * len(self.wheres) + self._rank[self._where[entry]])
        run, entry = run[order], entry[order]
        return RunTotals(
            list(self.wheres),
            np.searchsorted(run, np.arange(len(days) + 1)),
            self._where[entry],
            Sums(self._lines[entry], *(amounts.at(entry) for amounts in self._amounts)),
        )

    def keep(self, days: Ints) -> None:
        """Forget all account-days but some; the place of each is its place among these from now on."""
        first = self._first[days]
        _, kept = self._chains(first)
        place_of = np.full(len(self._next) + 1, _NONE, dtype=np.int32)  # the last one is that of _NONE
        place_of[kept] = np.arange(len(kept))
        capacity = max(_CAPACITY, len(kept))
        self._first = np.full(max(_CAPACITY, len(days)), _NONE, dtype=np.int32)
        self._first[: len(days)] = place_of[first]
        self._next = np.append(place_of[self._next[kept]], np.full(capacity - len(kept), _NONE, dtype=np.int32))
        self._where, self._lines = grown(self._where[kept], capacity), grown(self._lines[kept], capacity)
        self._amounts = [amounts.only(kept, capacity) for amounts in self._amounts]
        self._count = len(kept)

    def _chains(self, heads: Ints) -> tuple[Ints, Ints]:
        """(which of the chains, entry) of all entries of some chains."""
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

    def _entries(self, days: Ints, where: Ints) -> Ints:
        """The entries of groups; those that are missing are made."""
        self._room_for_days(int(days.max()) + 1)
        found = self._first[days]
        left = np.flatnonzero((found != _NONE) & (self._where[found] != where))
        while len(left):
            found[left] = self._next[found[left]]
            there = found[left]
            left = left[(there != _NONE) & (self._where[there] != where[left])]
        missing = np.flatnonzero(found == _NONE)
        if len(missing):
            found[missing] = self._made(days[missing], where[missing])
        return found.astype(np.int64)

    def _made(self, days: Ints, where: Ints) -> Ints:
        """New entries, each the head of its chain; where several are of one account-day, one after the other."""
        self._room_for_entries(len(days))
        made = np.arange(self._count, self._count + len(days))
        self._count += len(days)
        self._where[made] = where
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
        self._next, self._where, self._lines = (
            grown(column, capacity) for column in (self._next, self._where, self._lines)
        )
        for amounts in self._amounts:
            amounts.grow(capacity)


def _limbs(values: Sequence[int], scale: int) -> dict[int, Ints]:
    return limbs_of(np.array(values, dtype=object), np.full(len(values), scale))
