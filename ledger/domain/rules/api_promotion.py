"""R10: at least one API users' exclusive promotion each month."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ledger.domain.instants import DAY_NS, day_number, day_text

API_EXCLUSIVE: Final = "API_EXCLUSIVE"  # type of the promotions that count


def months_without_promotion(starts_ns: Iterable[int], from_ns: int, until_ns: int) -> list[str]:
    """Return the calendar months (YYYY-MM, UTC) from that of `from_ns` on, over at `until_ns`, in which none started.

    A promotion counts in the month it starts in: a long one does not stand for those to come.
    """
    with_one = {month_of(start_ns) for start_ns in starts_ns}
    found = []
    month = month_of(from_ns)
    while (after := _month_after(month)) and day_number(f"{after}-01") * DAY_NS <= until_ns:
        if month not in with_one:
            found.append(month)
        month = after
    return found


def month_of(at_ns: int) -> str:
    """Return the calendar month of an instant in UTC, as YYYY-MM."""
    return day_text(at_ns // DAY_NS)[:7]


def _month_after(month: str) -> str:
    year, number = int(month[:4]), int(month[5:])
    return f"{year + number // 12:04}-{number % 12 + 1:02}"
