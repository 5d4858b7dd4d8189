"""A warning that would come with every call comes once, and says later how often it would have come."""

from __future__ import annotations

import logging
import time

import pytest

from ledger.seldom import Seldom


def test_what_is_left_out_is_counted_and_told_with_the_next(caplog: pytest.LogCaptureFixture) -> None:
    seldom = Seldom(logging.getLogger("seldom"), every_s=0.05)
    for number in range(4):
        seldom.warning("failed: %d", number)
    time.sleep(0.06)
    seldom.warning("failed: %d", 4)
    assert [record.getMessage() for record in caplog.records] == ["failed: 0", "failed: 4 (and 3 times more before)"]
