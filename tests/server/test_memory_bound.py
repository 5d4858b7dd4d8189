"""The bound of memory, and the page that tells it."""

from __future__ import annotations

import re
from pathlib import Path

from ledger.config import Config
from ledger.server.memory_bound import memory_bound

PAGE = Path(__file__).parents[2] / "docs" / "limits.md"


def test_the_page_tells_the_bound_of_the_defaults_line_by_line() -> None:
    told = [int(mb) for mb in re.findall(r"\| ([0-9]+) MB \|$", PAGE.read_text(), re.MULTILINE)]

    assert told == [round(bytes_ / 1e7) * 10 for bytes_ in memory_bound(Config()).values()]


def test_the_defaults_take_one_and_a_half_gigabytes() -> None:
    assert round(sum(memory_bound(Config()).values()) / 1e9, 1) == 1.5


def test_a_larger_knob_raises_the_bound() -> None:
    assert sum(memory_bound(Config(request_bytes_max=2**30)).values()) > 2**31
