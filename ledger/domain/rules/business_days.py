"""R13: we will adjust your trading fee within 10 business days. Days are UTC days, as numbers since 1970."""

from __future__ import annotations

from typing import Final

from ledger.domain.state.programme import Programme

_FIRST_WEEKDAY: Final = 3  # 1970-01-01 was a Thursday; Monday is 0


def is_business_day(programme: Programme, day: int) -> bool:
    """Return True for Monday to Friday, but for the programme's holidays."""
    return (day + _FIRST_WEEKDAY) % 7 < 5 and day not in programme.holidays


def business_day_after(programme: Programme, day: int, days: int) -> int:
    """Return the n-th business day after a day; the day itself never counts (A23)."""
    while days:
        day += 1
        days -= is_business_day(programme, day)
    return day


def deadline_day(programme: Programme, received_day: int) -> int:
    """Return the last day in time for an application whose clock started on `received_day`."""
    return business_day_after(programme, received_day, programme.application_business_days)
