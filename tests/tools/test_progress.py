"""How far long work has come: silent if it is short, a line now and then in a pipe, a bar on a terminal."""

from __future__ import annotations

import io
import logging
import sys

import pytest

from ledger.tools import progress
from ledger.tools.progress import ProgressBar, ProgressLines


class Screen(io.StringIO):
    """A stderr that is a terminal, or is none."""

    def __init__(self, *, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


@pytest.fixture
def time_s(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that the work believes it is, as the only entry of a list."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def shown(monkeypatch: pytest.MonkeyPatch, time_s: list[float], *, terminal: bool, seconds: int) -> str:
    """What somebody sees of work that does 100 events a second, of 10,000."""
    screen = Screen(terminal=terminal)
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("COLUMNS", "120")
    working = ProgressBar()
    for second in range(seconds + 1):
        time_s[0] = 100.0 + second
        working.show("events", second * 100, 10_000, ", 3 findings")
    working.clear()
    return screen.getvalue()


def test_short_work_in_a_pipe_says_nothing(monkeypatch: pytest.MonkeyPatch, time_s: list[float]) -> None:
    assert shown(monkeypatch, time_s, terminal=False, seconds=29) == ""


def test_long_work_in_a_pipe_says_a_line_each_30_s(monkeypatch: pytest.MonkeyPatch, time_s: list[float]) -> None:
    assert shown(monkeypatch, time_s, terminal=False, seconds=65).splitlines() == [
        "30 % 3,000 of 10,000 events, 100.00 events/s, 01:10 left, 3 findings",
        "60 % 6,000 of 10,000 events, 100.00 events/s, 00:40 left, 3 findings",
    ]


def test_a_terminal_has_a_bar_that_is_taken_away(monkeypatch: pytest.MonkeyPatch, time_s: list[float]) -> None:
    drawn = shown(monkeypatch, time_s, terminal=True, seconds=5).split("\r")
    assert not [line for line in drawn if " 0 of " in line]
    assert drawn[-3].startswith("  5 % # ")
    assert " 500 of 10,000 events, " in drawn[-3]
    assert drawn[-2].strip() == ""


def test_a_run_that_goes_on_counts_its_own_speed(monkeypatch: pytest.MonkeyPatch, time_s: list[float]) -> None:
    screen = Screen(terminal=False)
    monkeypatch.setattr(sys, "stderr", screen)
    working = ProgressBar(already=6_000)
    for second in (0, 30):
        time_s[0] = 100.0 + second
        working.show("events", 6_000 + second * 10, 10_000)
    assert screen.getvalue() == "63 % 6,300 of 10,000 events, 10.00 events/s, 06:10 left\n"


def test_another_unit_is_another_stage(monkeypatch: pytest.MonkeyPatch, time_s: list[float]) -> None:
    screen = Screen(terminal=False)
    monkeypatch.setattr(sys, "stderr", screen)
    working = ProgressBar()
    for second, unit in ((0, "accounts"), (20, "accounts"), (30, "positions"), (60, "positions")):
        time_s[0] = 100.0 + second
        working.show(unit, second * 10)
    assert screen.getvalue().splitlines() == [
        "300 positions, 30.00 positions/s, 00:10 so far",
        "600 positions, 15.00 positions/s, 00:40 so far",
    ]


def test_where_programs_read_the_log_a_line_each_30_s_says_it(
    time_s: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "progress")
    working = ProgressLines(logging.getLogger("progress"), "migration")
    for second in range(66):
        time_s[0] = 100.0 + second
        working.show("events", second * 100, 10_000, ", 3 findings")
    working.clear()
    assert [record.getMessage() for record in caplog.records] == [
        "migration: 3000 of 10000 events, 3 findings",
        "migration: 6000 of 10000 events, 3 findings",
    ]
