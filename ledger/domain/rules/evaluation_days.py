"""R18: 30-day volume is calculated on certain days of each month, at midnight of the programme's zone (A8)."""

from __future__ import annotations

from datetime import timedelta

from ledger.domain.instants import DAY_NS, day_start_ns, local_day
from ledger.domain.state.programme import Programme


def next_evaluation_ns(programme: Programme, after_ns: int) -> int:
    """Return the instant of the first evaluation strictly after another one."""
    day = local_day(after_ns, programme.timezone)
    while day.day not in programme.evaluation_days or day_start_ns(day, programme.timezone) <= after_ns:
        day += timedelta(days=1)
    return day_start_ns(day, programme.timezone)


def last_evaluation_ns(programme: Programme, at_ns: int) -> int:
    """Return the instant of the last evaluation at or before another one."""
    day = local_day(at_ns, programme.timezone)
    while day.day not in programme.evaluation_days or day_start_ns(day, programme.timezone) > at_ns:
        day -= timedelta(days=1)
    return day_start_ns(day, programme.timezone)


def evaluation_window(programme: Programme, at_ns: int) -> tuple[int, int]:
    """Return the window [from, until) whose volume an evaluation looks at (A29)."""
    return at_ns - programme.window_days * DAY_NS, at_ns
