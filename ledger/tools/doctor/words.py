"""Figures in words: bytes, spans of time, lists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ledger.cli.screens import many
from ledger.domain.instants import DAY_NS, SECOND_NS

MINUTE_NS: Final = 60 * SECOND_NS
HOUR_NS: Final = 60 * MINUTE_NS
_SPANS: Final = ((DAY_NS, "day"), (HOUR_NS, "hour"), (MINUTE_NS, "minute"), (SECOND_NS, "second"))
_SIZES: Final = ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB"))
_LISTED: Final = 5


def size(count: int) -> str:
    """Return bytes with a unit: 1.5 GB."""
    for unit, name in _SIZES:
        if count >= unit:
            return f"{count // unit:,}.{count * 10 // unit % 10} {name}"
    return many(count, "byte")


def span(ns: int) -> str:
    """Return a span of time in the largest unit that is in it twice, 47 hours; a short one in ms, or us."""
    for unit, name in _SPANS:
        if ns >= 2 * unit:
            return many(ns // unit, name)
    return f"{ns // 10**6}.{ns // 10**5 % 10} ms" if ns >= 10**6 else f"{ns // 1_000} us"


def listed(names: Sequence[str]) -> str:
    """Return the first few of some names, and how many more there are."""
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more:,} more" if more > 0 else "")
