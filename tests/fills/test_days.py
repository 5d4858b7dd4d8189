"""The table of account-days holds what was put into each of them, and forgets whole days at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ledger.arrays.columns import Ints, column
from ledger.arrays.decimal_columns import limbs_of
from ledger.domain.events import CellKey, CellTotals
from ledger.domain.state.volume_cells import FEE_SCALE, NOTIONAL_SCALE, CellSum, CellSums, to_totals
from ledger.domain.streams import DayKey
from ledger.fills.account_day import AccountDay
from ledger.fills.days import DayTable
from ledger.fills.running_totals import FeeCell, GroupSums

KEYS: Final[list[DayKey]] = [("alice", 20_000), ("alice", 20_001), ("bob", 20_000), ("c", 20_000)]
CELLS: Final = [CellKey(quote, 1, channel, False, False, False) for quote in ("USDT", "BTC") for channel in (0, 1)]
WHERES: Final = [FeeCell(cell, currency) for cell in CELLS for currency in ("USDT", "BMX")]

counted = st.tuples(
    st.sampled_from(range(len(KEYS))),
    st.sampled_from(range(len(WHERES))),
    st.integers(0, 5),
    st.integers(0, 10**30),
    st.integers(0, 10**20),
    st.integers(0, 10**20),
)
commits = st.lists(st.lists(counted, min_size=1, max_size=6, unique_by=lambda group: group[:2]), min_size=1, max_size=6)


def limbs(values: list[int], scale: int) -> Mapping[int, Ints]:
    return limbs_of(column(values), np.full(len(values), scale))


def put(sums: CellSums, where: FeeCell, lines: int, notional: int, charges: int, rebates: int) -> None:
    cell = sums.setdefault(where.cell, CellSum())
    cell.lines += lines
    cell.notional += notional
    cell.add_fees(where.currency, charges, -rebates, lines)


def missing(table: DayTable, keys: list[DayKey]) -> list[DayKey]:
    return [key for key, place in zip(keys, table.places(keys).tolist(), strict=True) if place < 0]


def totals(table: DayTable, key: DayKey) -> tuple[CellTotals, ...]:
    return to_totals(table.day(key).sums)


@given(commits, st.integers(0, 5))
def test_every_day_has_the_totals_of_what_was_counted_in_it(commits: list[list[tuple[int, ...]]], cut_at: int) -> None:
    table, expected = DayTable(), {key: CellSums() for key in KEYS}
    table.enter({key: AccountDay() for key in KEYS})
    for number, groups in enumerate(commits):
        days, where, lines, *amounts = (list(each) for each in zip(*groups, strict=True))
        places = table.places(KEYS)
        codes = np.array([table.code(WHERES[code]) for code in where])
        notional, charges, rebates = amounts
        sums = GroupSums(
            np.array(lines), limbs(notional, NOTIONAL_SCALE), limbs(charges, FEE_SCALE), limbs(rebates, FEE_SCALE)
        )
        touched = sorted(set(days))
        behind = table.move_on(places[touched], np.array([number] * len(touched)), places[days], codes, sums)
        for day, code, *more in groups:
            put(expected[KEYS[day]], WHERES[code], *more)
        assert list(behind) == [to_totals(expected[KEYS[day]]) for day in touched]
        if number == cut_at:  # some days are forgotten, and come again as the log tells them
            said = {key: table.day(key) for key in KEYS}
            table.shrink(4 * 300 + 100)
            table.enter({key: said[key] for key in missing(table, KEYS)})
    assert [totals(table, key) for key in KEYS] == [to_totals(expected[key]) for key in KEYS]


def test_an_id_is_that_of_one_day_and_known_again_until_the_day_is_forgotten() -> None:
    table = DayTable.holding({KEYS[0]: AccountDay(), KEYS[1]: AccountDay([7])})
    first, second = table.places(KEYS[:2]).tolist()
    ids = np.array([7, 8, 7], dtype=np.uint64)
    assert table.take_in(np.array([first, first, second]), ids).tolist() == [False, False, True]
    assert table.take_in(np.array([first, second]), ids[1:2].repeat(2)).tolist() == [True, False]
    table.shrink(0)
    assert missing(table, KEYS) == KEYS
    table.enter({key: AccountDay() for key in KEYS})
    assert not table.take_in(table.places(KEYS[:2]), ids[:2]).any()


def test_a_day_knows_the_position_of_its_last_event_among_however_many_days() -> None:
    keys = [(f"a{number}", 20_000) for number in range(3_000)]
    table = DayTable()
    table.enter({key: AccountDay() for key in keys})
    assert not table.append(table.places(keys), 5).any()
    table.shrink(table.nbytes)
    table.places(keys[2_000:])
    table.shrink(table.nbytes - 1)
    held = keys[2_900:]
    assert [table.day(key).last_position for key in held] == list(range(2_905, 3_005))
    assert table.append(table.places(held[:2]), 9_000).tolist() == [2_905, 2_906]
    table.enter({held[1]: AccountDay()})
    assert [table.day(key).last_position for key in held[:3]] == [9_000, 0, 2_907]


def test_the_days_used_last_are_those_that_stay() -> None:
    table = DayTable()
    table.enter({(f"a{number}", 20_000): AccountDay() for number in range(1_000)})
    table.shrink(table.nbytes)
    assert len(table) == 1_000
    recent = [(f"a{number}", 20_000) for number in range(900, 1_000)]
    table.places(recent)
    table.shrink(table.nbytes - 1)
    assert not missing(table, recent)
    assert 100 <= len(table) < 1_000


def test_days_are_dropped_now_and_then_not_with_every_commit() -> None:
    bytes_max, chance = 1 << 20, np.random.default_rng(5)
    table, drops, held = DayTable(), 0, 0
    for commit in range(200):
        table.shrink(bytes_max)
        drops += len(table) < held
        table.enter({(f"a{commit}", 20_000): AccountDay()})
        held = len(table)
        ids = chance.integers(1, 2**64, 500, dtype=np.uint64)
        table.take_in(np.full(500, table.places([(f"a{commit}", 20_000)])[0]), ids, commit)
        assert table.nbytes <= 2 * bytes_max
    assert 1 <= drops <= 20


def test_a_day_that_was_adjusted_goes_on_from_there_and_keeps_its_ids() -> None:
    table = DayTable.holding({KEYS[0]: AccountDay([7])})
    day = table.day(KEYS[0])
    put(day.sums, WHERES[0], 1, 5, 3, 0)
    day.time_max_so_far_ns = 9
    table.enter({KEYS[0]: day})
    assert (totals(table, KEYS[0]), table.day(KEYS[0]).time_max_so_far_ns) == (to_totals(day.sums), 9)
    assert table.take_in(table.places(KEYS[:1]), np.array([7], dtype=np.uint64)).all()
