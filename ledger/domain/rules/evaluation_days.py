"""R18: 30-day volume is calculated on certain days of each month, at midnight UTC (A8)."""

from __future__ import annotations

from datetime import date, timedelta

from ledger.domain.instants import DAY_NS, day_number, day_text
from ledger.domain.programme import Programme


def next_evaluation_ns(programme: Programme, after_ns: int) -> int:
    """The first evaluation strictly after an instant."""
    day = date.fromisoformat(day_text(after_ns // DAY_NS + 1))
    while day.day not in programme.evaluation_days:
        day += timedelta(days=1)
    return day_number(day.isoformat()) * DAY_NS


def evaluation_window(programme: Programme, at_ns: int) -> tuple[int, int]:
    """[from, until) of the volume an evaluation looks at (A29)."""
    return at_ns - programme.window_days * DAY_NS, at_ns
