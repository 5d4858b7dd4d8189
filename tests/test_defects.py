"""Each defect is a line; its traceback comes with the first of its kind, and again after a while."""

from __future__ import annotations

import logging
import time
from typing import Any

import pytest

from ledger.defects import Defects


def tell(defects: Defects, kind: type[Exception] = KeyError) -> None:
    try:
        raise kind("k")
    except kind as error:
        defects.tell(error, "%s failed", "a call")


def test_each_is_a_line_and_the_traceback_of_a_kind_comes_seldom(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_ns = 10**12
    monkeypatch.setattr(time, "monotonic_ns", lambda: now_ns)
    defects = Defects(logging.getLogger("defects"))
    for _ in range(3):
        tell(defects)
    tell(defects, ValueError)
    now_ns += 10 * 10**9
    tell(defects)
    lines = [record.getMessage().rpartition(":")[0] for record in caplog.records]
    at = "at tests/test_defects.py"
    assert lines == [*3 * [f"a call failed: KeyError {at}"], f"a call failed: ValueError {at}", lines[0]]
    assert [bool(record.exc_info) for record in caplog.records] == [True, False, False, True, True]


def test_kinds_without_end_take_no_memory_without_end(caplog: pytest.LogCaptureFixture) -> None:
    defects: Any = Defects(logging.getLogger("defects"))
    for number in range(200):
        tell(defects, type(f"Made{number}", (Exception,), {}))
    assert len(defects._shown_ns) <= 64
    assert all(record.exc_info for record in caplog.records)
