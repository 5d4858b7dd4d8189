"""Account-days counted through many runs at once give what counting run after run gives."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from ledger.arrays.decimal_columns import limbs_of
from ledger.domain.events import CellKey, CellTotals
from ledger.domain.state.volume_cells import FEE_SCALE, NOTIONAL_SCALE, CellSum, CellSums, add_totals, to_totals
from ledger.fills.account_day import AccountDay
from ledger.fills.days import DayTable
from ledger.fills.running_totals import FeeCell, GroupSums
from ledger.replay.days_again import DaysAgain, RunSums

CELLS = [
    FeeCell(CellKey(quote, 1, 1, self_trade, False, False), currency)
    for quote in ("USDT", "BTC")
    for self_trade in (False, True)
    for currency in ("USDT", "BMX")
]


class Runs:
    """Runs at random of a few days that have been traded on before, as columns and one by one."""

    def __init__(self, seed: int, count: int) -> None:
        random = Random(seed)
        keys = [(f"account{number}", 20_000) for number in range(random.randint(1, 6))]
        self.days = {key: self._day(random) for key in keys}
        self.table = DayTable.holding(self.days)
        self.key = [random.choice(keys) for _ in range(count)]
        self.latest_ns = [random.randrange(1, 10**18) for _ in range(count)]
        self.position = sorted(random.sample(range(100, 10_000), count))
        self.counted = [
            (
                run,
                cell,
                random.randint(1, 9),
                random.randrange(10**12),
                random.randrange(10**9),
                random.randrange(10**9),
            )
            for run in range(count)
            for cell in random.sample(CELLS, random.randint(1, 3))
        ]

    def _day(self, random: Random) -> AccountDay:
        day = AccountDay()
        day.time_max_so_far_ns, day.last_position = random.choice(((0, 0), (10**17, random.randint(1, 99))))
        for cell in random.sample(CELLS, random.randint(0, 3)) if day.last_position else ():
            day.sums.setdefault(cell.cell, CellSum()).count(3, 10**30 + random.randrange(10**30), cell.currency, 7, -5)
        return day

    def again(self) -> DaysAgain:
        run, cells, lines, *amounts = zip(*self.counted, strict=True)
        codes = np.array([self.table.code(cell) for cell in cells])
        scales = (NOTIONAL_SCALE, FEE_SCALE, FEE_SCALE)
        limbs = (
            limbs_of(np.array(each, dtype=object), np.full(len(each), scale))
            for each, scale in zip(amounts, scales, strict=True)
        )
        sums = RunSums(np.array(run), codes, GroupSums(np.array(lines), *limbs))
        half = len(run) // 2
        parts = [sums.only(np.arange(len(run)) < half), sums.only(np.arange(len(run)) >= half)]
        joined = RunSums.joined([part for part in parts if len(part.run)])
        return DaysAgain(
            self.table, self.table.places(self.key), np.array(self.latest_ns), np.array(self.position), joined
        )

    def one_by_one(self, until: int) -> list[tuple[tuple[CellTotals, ...], int, int]]:
        """(totals, latest time so far, position of the event before) of each of the first runs."""
        sums: dict[object, CellSums] = {}
        for key, day in self.days.items():
            add_totals(sums.setdefault(key, {}), to_totals(day.sums))
        latest = {key: day.time_max_so_far_ns for key, day in self.days.items()}
        last = {key: day.last_position for key, day in self.days.items()}
        found = []
        for run in range(until):
            key = self.key[run]
            for at, cell, lines, notional, charges, rebates in self.counted:
                if at == run:
                    sums[key].setdefault(cell.cell, CellSum()).count(lines, notional, cell.currency, charges, -rebates)
            latest[key] = max(latest[key], self.latest_ns[run])
            found.append((to_totals(sums[key]), latest[key], last[key]))
            last[key] = self.position[run]
        return found


@pytest.mark.parametrize("seed", range(20))
def test_what_follows_from_each_run_is_what_counting_one_by_one_gives(seed: int) -> None:
    runs = Runs(seed, count=1 + 3 * seed)
    again = runs.again()
    found = zip(again.totals(), again.latest_so_far_ns().tolist(), again.previous_positions().tolist(), strict=True)
    assert list(found) == runs.one_by_one(len(runs.key))


@pytest.mark.parametrize("seed", range(10))
def test_days_move_on_by_the_runs_that_are_wanted(seed: int) -> None:
    runs = Runs(seed, count=20)
    again, until = runs.again(), 2 * seed
    again.move_on(np.arange(20) < until, again.latest_so_far_ns())
    expected = {key: (to_totals(day.sums), day.time_max_so_far_ns, day.last_position) for key, day in runs.days.items()}
    for run, (totals, latest_ns, _) in enumerate(runs.one_by_one(until)):
        expected[runs.key[run]] = (totals, latest_ns, runs.position[run])
    for key, of_day in expected.items():
        day = runs.table.day(key)
        assert (to_totals(day.sums), day.time_max_so_far_ns, day.last_position) == of_day
