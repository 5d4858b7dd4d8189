"""How long the tables' thread rests: while the machine has time for it, so that the tables stay near; else longer."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from projections.tables.rest import LAG_S_MAX, FreeTime, processor_ticks, rest_s

NOTHING, HALF, ALL = 0.0, 0.5, 1.0


def test_where_nothing_is_free_a_rest_is_in_proportion_to_the_work() -> None:
    assert rest_s(0.002, 0.002, NOTHING) == pytest.approx(0.04)
    assert rest_s(0.05, 0.05, NOTHING) == pytest.approx(1.0)
    assert rest_s(0.4, 0.4, NOTHING) == 1.25
    assert rest_s(1.0, 1.0, NOTHING) == 3.0, "three times as long as it worked"
    assert rest_s(3.0, 3.0, NOTHING) == 5.0, "but not for ever"
    assert rest_s(9.0, 9.0, NOTHING) == 9.0, "and no shorter than it worked"


def test_where_nothing_is_free_no_lag_makes_a_rest_shorter() -> None:
    assert rest_s(1.0, 60.0, NOTHING) == rest_s(1.0, 1.0, NOTHING)


def test_where_all_is_free_the_tables_rest_until_they_would_lag_too_much_after_the_next_go() -> None:
    assert rest_s(0.2, 0.2, ALL) == pytest.approx(LAG_S_MAX - 0.2 - 0.2)
    assert rest_s(0.2, 0.7, ALL) == pytest.approx(LAG_S_MAX - 0.7 - 0.2)
    assert rest_s(0.2, 3.0, ALL) == 0, "they lag already"


def test_a_short_go_is_followed_by_a_short_rest_however_much_is_free() -> None:
    assert rest_s(0.002, 0.002, ALL) == pytest.approx(0.04)


def test_tables_that_lag_take_no_more_of_what_is_free_than_is_free() -> None:
    assert rest_s(0.6, 2.0, 0.9) == pytest.approx(0.6 * 0.19 / 0.81)
    assert rest_s(0.6, 2.0, 0.8) == pytest.approx(0.6 * 0.36 / 0.64)


def test_beside_others_that_take_half_of_the_time_they_rest_as_where_nothing_is_free() -> None:
    for worked_s in (0.45, 0.6, 1.0, 1.5):
        assert rest_s(worked_s, 2.0, HALF) == pytest.approx(rest_s(worked_s, 2.0, NOTHING))


@pytest.mark.parametrize("worked_s", [0.002, 0.05, 0.4, 1.0, 3.0, 9.0])
def test_the_less_is_free_the_longer_they_rest(worked_s: float) -> None:
    rests_s = [rest_s(worked_s, 10.0, free / 10) for free in range(11)]
    assert rests_s == sorted(rests_s, reverse=True)


STAT = """\
cpu  400 0 0 600 0 0 0 0 0 0
cpu0 100 20 30 800 50 0 0 0 9 9
cpu1 300 0 100 600 0 0 0 0 0 0
cpu10 1 1 1 1 1 1 1 1 1 1
intr 1 2 3
"""


def test_idle_time_and_that_of_processes_that_give_way_are_free() -> None:
    assert processor_ticks(STAT, {0}) == (1_000, 870)
    assert processor_ticks(STAT, {0, 1}) == (2_000, 1_470)


def test_the_share_that_is_free_is_that_of_the_processors_the_thread_may_run_on(tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    processors = sorted(os.sched_getaffinity(0))

    def write(busy: int, idle: int) -> None:
        stat.write_text("".join(f"cpu{number} {busy} 0 0 {idle} 0 0 0 0 0 0\n" for number in processors))

    write(100, 100)
    free = FreeTime(stat)
    write(190, 110)
    time.sleep(0.05)
    assert free.share() < HALF
    write(190, 1_110)
    time.sleep(0.05)
    assert free.share() > HALF
    write(190, 1_110)
    assert free.share() > HALF, "where nothing went by it is what it was"


def test_without_linux_all_is_free_that_this_process_leaves(tmp_path: Path) -> None:
    free = FreeTime(tmp_path / "none")
    time.sleep(0.05)
    assert free.share() > HALF
