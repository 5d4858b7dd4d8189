"""The wall clock beside the boot clock: which differences are a leap, and what is taken for now meanwhile."""

from __future__ import annotations

import pytest

from ledger.clock import ClockLeapError, Time, check_clock, check_other_clock, lines_at_start
from ledger.domain.instants import DAY_NS, SECOND_NS
from tests.conftest import NOON_NS, Clock

HOUR_NS = 3_600 * SECOND_NS


@pytest.mark.parametrize("by_s", [-59, -60, 59, 60])
def test_a_step_of_up_to_60_s_is_a_correction(by_s: int) -> None:
    clock = Clock()
    watched = clock.watched()
    clock.leap(by_s * SECOND_NS)
    assert watched.read() == Time(NOON_NS + by_s * SECOND_NS, 0)
    assert not watched.leaped


@pytest.mark.parametrize("by_s", [-400 * 86_400, -61, 61, 400 * 86_400])
def test_a_longer_one_is_a_leap_and_now_is_never_later_than_either_clock_says(by_s: int) -> None:
    clock = Clock()
    watched = clock.watched()
    clock.leap(by_s * SECOND_NS)
    assert watched.read() == Time(NOON_NS + min(by_s, 0) * SECOND_NS, by_s * SECOND_NS)
    clock.now_ns += HOUR_NS  # both go on
    assert watched.now_ns() == NOON_NS + HOUR_NS + min(by_s, 0) * SECOND_NS
    assert watched.leaped
    clock.leap(-by_s * SECOND_NS)
    assert watched.read() == Time(NOON_NS + HOUR_NS, 0)


def test_a_leap_does_not_wear_off() -> None:
    clock = Clock()
    watched = clock.watched()
    clock.leap(61 * SECOND_NS)
    for _ in range(1_000):
        clock.now_ns += DAY_NS
        assert watched.leaped


def test_small_steps_add_up_within_minutes_and_not_over_months() -> None:
    clock = Clock()
    watched = clock.watched()
    for _ in range(100):
        clock.leap(SECOND_NS)
        clock.now_ns += HOUR_NS  # of which the pair follows 3.6 s
        assert not watched.leaped
    clock.leap(59 * SECOND_NS)
    assert not watched.leaped
    clock.now_ns += 60 * SECOND_NS
    clock.leap(59 * SECOND_NS)
    assert watched.leaped


@pytest.mark.parametrize(("ahead_s", "accepted", "begins"), [(60, False, True), (61, False, False), (61, True, True)])
def test_a_term_begins_after_a_later_commit_only_if_somebody_accepts_it(
    ahead_s: int, accepted: bool, begins: bool
) -> None:
    recorded_ns, watched = NOON_NS + ahead_s * SECOND_NS, Clock().watched()
    if begins:
        check_clock(watched, recorded_ns, accepted=accepted)
        return
    with pytest.raises(ClockLeapError, match=r"2024-10-04T12:01:01Z, and the clock says 2024-10-04T12:00:00Z: set"):
        check_clock(watched, recorded_ns, accepted=accepted)


def test_no_term_begins_while_the_clock_leaps_whatever_is_accepted() -> None:
    clock = Clock()
    watched = clock.watched()
    clock.leap(DAY_NS)
    with pytest.raises(ClockLeapError, match="86400 s ahead"):
        check_clock(watched, NOON_NS, accepted=True)


@pytest.mark.parametrize("apart_s", [-61, 61])
def test_another_clock_that_says_otherwise_is_a_leap_either_way(apart_s: int) -> None:
    watched = Clock().watched()
    check_other_clock(watched, NOON_NS + apart_s // 61 * 60 * SECOND_NS)
    with pytest.raises(ClockLeapError, match="that of PostgreSQL"):
        check_other_clock(watched, NOON_NS + apart_s * SECOND_NS)


def test_a_start_tells_where_log_and_clock_are_far_apart() -> None:
    assert lines_at_start(NOON_NS - 7 * DAY_NS, NOON_NS) == ()
    assert lines_at_start(NOON_NS + 60 * SECOND_NS, NOON_NS) == ()
    (line,) = lines_at_start(NOON_NS - 8 * DAY_NS, NOON_NS)
    assert "2024-09-26T12:00:00Z, 8 days ago" in line
    (line,) = lines_at_start(NOON_NS + DAY_NS, NOON_NS)
    assert "2024-10-05T12:00:00Z, later than the clock, which is accepted" in line
    assert line.endswith("until 2024-10-05T12:01:26Z")
