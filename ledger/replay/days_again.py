"""Counts account-days again through many runs at once, of which several may be of one day: what follows from each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ledger.arrays.columns import Ints, starts_of
from ledger.arrays.decimal_columns import Limbs, carried
from ledger.fills.days import DayTable
from ledger.fills.running_totals import GroupSums, RunTotals


@dataclass(frozen=True, slots=True)
class RunSums:
    """The lines of runs by where they count: of run `run[n]`, in the fee cell with the code `codes[n]`.

    No two have both the same.
    """

    run: Ints
    codes: Ints
    sums: GroupSums

    @classmethod
    def joined(cls, parts: Sequence[RunSums]) -> RunSums:
        """Return those of several as one."""
        run, codes = (
            np.concatenate(column) for column in zip(*((each.run, each.codes) for each in parts), strict=True)
        )
        return cls(run, codes, _joined([each.sums for each in parts]))

    def only(self, wanted: Ints) -> RunSums:
        """Return those where a boolean array is True."""
        return RunSums(self.run[wanted], self.codes[wanted], _mapped(lambda column: column[wanted], self.sums))


@dataclass(frozen=True, slots=True)
class DaysAgain:
    """Account-days as they were before some runs, and these runs, in the order of positions.

    `place` is the place of a run's day in the table, `latest_ns` when its latest line traded.
    """

    days: DayTable
    place: Ints
    latest_ns: Ints
    position: Ints
    sums: RunSums

    def latest_so_far_ns(self) -> Ints:
        """Return when the latest line of its day traded, after each run."""
        times_ns, rank = np.unique(self.latest_ns, return_inverse=True)
        order = np.argsort(self.place, kind="stable")
        day = np.cumsum(np.append(0, np.diff(self.place[order]) != 0))
        # Ranks of one day lie above those of the day before, so that the highest so far is one of its own.
        highest = np.maximum.accumulate(day * len(times_ns) + rank[order]) - day * len(times_ns)
        found = np.empty_like(self.latest_ns)
        found[order] = times_ns[highest]
        return np.maximum(found, self.days.latest_ns(self.place))

    def previous_positions(self) -> Ints:
        """Return the position of the event before each run in its day; 0: it is the first."""
        order = np.argsort(self.place, kind="stable")
        found = self.days.last_positions(self.place)
        again = np.flatnonzero(np.diff(self.place[order]) == 0) + 1
        found[order[again]] = self.position[order[again - 1]]
        return found

    def totals(self) -> RunTotals:
        """Return the totals of its day after each run."""
        places, day = np.unique(self.place, return_inverse=True)
        before = self.days.totals(places)
        width, rank = len(before.fee_cells), _ranks(before)
        turns = _Turns.of(day, len(places))
        day_before = np.repeat(np.arange(len(places)), np.diff(before.bounds))
        cells = np.append(day_before, day[self.sums.run]) * width
        cells += np.append(rank[before.codes], rank[self.sums.codes])
        rows = _Rows.of(cells, np.append(np.zeros_like(day_before), turns.turn[self.sums.run]), turns, width)
        sums = rows.along(_joined([before.sums, self.sums.sums]))
        run = turns.run(rows.row // width, rows.turn)
        order = np.argsort(run * width + rows.row % width, kind="stable")
        return RunTotals(
            before.fee_cells,
            np.append(0, np.cumsum(np.bincount(run, minlength=len(self.place)))),
            np.argsort(rank)[rows.row[order] % width],
            _mapped(lambda column: column[order], sums),
        )

    def move_on(self, wanted: Ints, latest_so_far_ns: Ints) -> None:
        """Count those runs in the table for which a boolean array is True: of each day the first ones, or all."""
        runs = np.flatnonzero(wanted)
        if not len(runs):
            return
        sums = self.sums.only(wanted[self.sums.run])
        width = int(sums.codes.max()) + 1
        cells = self.place[sums.run] * width + sums.codes
        order = np.argsort(cells, kind="stable")
        starts = starts_of(cells[order])
        cells = cells[order[starts]]
        of_cells = _mapped(lambda column: np.add.reduceat(column[order], starts), sums.sums)
        places, last = np.unique(self.place[runs][::-1], return_index=True)
        last = runs[len(runs) - 1 - last]  # of each day, its last run
        self.days.count(places, latest_so_far_ns[last], cells // width, cells % width, of_cells)
        self.days.end_at(places, self.position[last])


@dataclass(frozen=True, slots=True)
class _Turns:
    """Runs by their days: day n has the runs order[starts[n] : starts[n + 1]]; `turn` is the number of each in its day.

    Days [0, 1, 0] -> turn [0, 0, 1], order [0, 2, 1], starts [0, 2, 3].
    """

    turn: Ints
    order: Ints
    starts: Ints

    @classmethod
    def of(cls, day: Ints, days: int) -> _Turns:
        order = np.argsort(day, kind="stable")
        starts = np.searchsorted(day[order], np.arange(days + 1))
        turn = np.empty_like(order)
        turn[order] = np.arange(len(order)) - starts[day[order]]
        return cls(turn, order, starts)

    def run(self, day: Ints, turn: Ints) -> Ints:
        """Return the runs with some numbers within their days."""
        found: Ints = self.order[self.starts[day] + turn]
        return found


@dataclass(frozen=True, slots=True)
class _Rows:
    """A row for each cell of a day: an entry for each run of the day, from the first on that counts in it.

    `row` and `turn` are those of each entry, row by row. What is counted lies at the entries `at`.
    """

    row: Ints
    turn: Ints
    at: Ints
    starts: Ints

    @classmethod
    def of(cls, cells: Ints, turn: Ints, turns: _Turns, width: int) -> _Rows:
        """Make the rows of what is counted in `cells`, which are days * width + cells, with the runs of some turns."""
        found, row = np.unique(cells, return_inverse=True)
        first = np.full(len(found), len(turns.order))
        np.minimum.at(first, row, turn)
        sizes = np.diff(turns.starts)[found // width] - first
        starts = np.cumsum(sizes) - sizes
        row_of_each = np.repeat(np.arange(len(found)), sizes)
        turn_of_each = np.arange(len(row_of_each)) - (starts - first)[row_of_each]
        return cls(found[row_of_each], turn_of_each, (starts - first)[row] + turn, starts)

    def along(self, sums: GroupSums) -> GroupSums:
        """Return the sums of each row from its beginning up to each of its entries."""
        lines, *amounts = _mapped(self._along, sums)
        return GroupSums(lines, *map(carried, amounts))

    def _along(self, values: Ints) -> Ints:
        every = np.zeros(len(self.row), dtype=np.int64)
        np.add.at(every, self.at, values)
        found = np.cumsum(every)
        before = np.append(0, found)[self.starts]
        sums: Ints = found - np.repeat(before, np.diff(np.append(self.starts, len(found))))
        return sums


def _ranks(totals: RunTotals) -> Ints:
    """Return the place of each fee cell once they are in order."""
    in_order = sorted(range(len(totals.fee_cells)), key=totals.fee_cells.__getitem__)
    ranks = np.empty(len(in_order), dtype=np.int64)
    ranks[in_order] = np.arange(len(in_order))
    return ranks


def _mapped(change: Callable[[Ints], Ints], sums: GroupSums) -> GroupSums:
    """Return sums with each of their columns changed."""
    lines, *amounts = sums
    return GroupSums(change(lines), *({power: change(limb) for power, limb in each.items()} for each in amounts))


def _joined(parts: Sequence[GroupSums]) -> GroupSums:
    """Return sums one after the other; no limb is larger than it may be in a sum of many."""
    lines = [each.lines for each in parts]
    sizes = list(map(len, lines))
    amounts = (
        _joined_limbs(list(map(carried, column)), sizes) for column in zip(*(each[1:] for each in parts), strict=True)
    )
    return GroupSums(np.concatenate(lines), *amounts)


def _joined_limbs(parts: Sequence[Limbs], sizes: Sequence[int]) -> dict[int, Ints]:
    """Return columns of so many numbers each, one after the other."""

    def column(limbs: Limbs, power: int, size: int) -> Ints:
        limb = limbs.get(power)
        return np.zeros(size, dtype=np.int64) if limb is None else limb.astype(np.int64)

    powers = sorted({power for limbs in parts for power in limbs})
    return {
        power: np.concatenate([column(limbs, power, size) for limbs, size in zip(parts, sizes, strict=True)])
        for power in powers
    }
