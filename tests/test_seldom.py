"""A warning that would come with every call comes once, and says later how often it would have come."""

from __future__ import annotations

import logging
import time

import pytest

from ledger.seldom import Seldom


def test_what_is_left_out_is_counted_and_told_with_the_next(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_ns = 10**12
    monkeypatch.setattr(time, "monotonic_ns", lambda: now_ns)
    seldom = Seldom(logging.getLogger("seldom"), every_s=10)
    for number in range(4):
        seldom.warning("failed: %d", number)
    now_ns += 10 * 10**9 - 1
    seldom.warning("failed: %d", 4)
    now_ns += 1
    seldom.warning("failed: %d", 5)
    assert [record.getMessage() for record in caplog.records] == ["failed: 0", "failed: 5 (and 4 times more before)"]


def test_an_exception_comes_with_its_traceback_and_says_whether_it_was_logged(caplog: pytest.LogCaptureFixture) -> None:
    seldom = Seldom(logging.getLogger("seldom"))
    logged = []
    for number in range(3):
        try:
            raise KeyError(number)
        except KeyError:
            logged.append(seldom.exception("failed: %d", number))
    assert logged == [True, False, False]
    (told,) = caplog.records
    assert (told.levelname, told.getMessage()) == ("ERROR", "failed: 0")
    assert "KeyError: 0" in caplog.text
