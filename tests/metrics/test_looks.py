"""What PostgreSQL is asked for the page is asked seldom, and no scrape waits for it for long."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ledger.caller import caller
from ledger.metrics import looks as under_test
from ledger.metrics.looks import Looks
from ledger.metrics.page import Readings
from tests.waiting import wait_for

UP = "fee_ledger_readings_up"
POSITION = "fee_ledger_log_position"


class Look:
    """A look that tells how often it was asked, waits as long as it is held, and may fail."""

    def __init__(self) -> None:
        self.asked = 0
        self.fails = False
        self.free = threading.Event()
        self.free.set()
        self.waited_s = 0.0

    def __call__(self) -> Readings:
        self.asked += 1
        began_s = time.monotonic()
        while not self.free.wait(0.01):
            if caller().hung_up:
                self.waited_s = time.monotonic() - began_s
                raise TimeoutError("cancelled")
        if self.fails:
            raise RuntimeError("permission denied\nfor table")
        return {POSITION: self.asked}


@contextmanager
def looking(look: Look) -> Iterator[Looks]:
    looks = Looks(look)
    looks.start()
    yield looks
    look.free.set()
    looks.stop()


def test_nothing_is_asked_before_somebody_scrapes_and_then_seldom() -> None:
    look = Look()
    with looking(look) as looks:
        assert look.asked == 0
        pages = [looks.readings() for _ in range(50)]
    assert look.asked == 1
    assert pages == [{POSITION: 1, UP: True}] * 50


def test_a_look_that_hangs_holds_a_scrape_for_little_and_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_test, "_WAIT_S_MAX", 0.05)
    monkeypatch.setattr(under_test, "_LOOK_S_MAX", 0.2)
    monkeypatch.setattr(under_test, "_EVERY_S", 0.0)
    monkeypatch.setattr(under_test, "_REST_S_MAX", 0.0)
    look = Look()
    with looking(look) as looks:
        assert looks.readings() == {POSITION: 1, UP: True}
        look.free.clear()
        assert looks.readings() == {POSITION: 1, UP: True}, "a little old"
        wait_for(lambda: looks.readings() == {UP: False})
        assert look.waited_s >= 0.2
        look.free.set()
        wait_for(lambda: looks.readings()[UP])


def test_a_look_that_fails_is_told_in_a_line_and_leaves_nothing_old_on_the_page(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(under_test, "_EVERY_S", 0.0)
    monkeypatch.setattr(under_test, "_REST_S_MAX", 0.0)
    look = Look()
    with looking(look) as looks:
        assert looks.readings()[UP]
        look.fails = True
        wait_for(lambda: looks.readings() == {UP: False})
    assert "metrics that PostgreSQL is asked for are missing: permission denied for table" in caplog.text
