"""How the demo prints tables, days and instants."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

LABEL: Final = 10  # columns before the timeline
WIDTH: Final = 100  # of sentences


def columns(rows: Sequence[tuple[str, ...]], left: int = 2) -> Iterator[str]:
    """A table; so many columns are of text, the others of numbers."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        texts = [cell.ljust(width) for cell, width in zip(row[:left], widths, strict=False)]
        numbers = [cell.rjust(width) for cell, width in zip(row[left:], widths[left:], strict=True)]
        yield "  ".join(texts + numbers).rstrip()


def utc(time_ns: int) -> datetime:
    """A date and time."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time_ns // 1_000)


def day_text(time_ns: int) -> str:
    """A day."""
    return f"{utc(time_ns):%Y-%m-%d}"


def minute(time_ns: int) -> str:
    """An instant, to the minute."""
    return f"{utc(time_ns):%Y-%m-%d %H:%M}"


def second(time: Any) -> str:
    """An instant on the wire, to the second."""
    return f"{utc(time.ToNanoseconds()):%Y-%m-%d %H:%M:%S}"


def percent(rate: str) -> str:
    """A rate."""
    return f"{(Decimal(rate) * 100).normalize():f} %"
