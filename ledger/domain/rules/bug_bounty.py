"""R9: bug-bounty bonus every week, for members who send bugs, feedback and improvements by one of three channels."""

from __future__ import annotations

from datetime import date
from typing import Final

from ledger.domain.instants import DAY_NS, day_number, day_text
from ledger.domain.programme import NO_TIER

# In the order of the enums FeedbackKind and FeedbackChannel, which count from 1.
KINDS: Final = ("BUG", "FEEDBACK", "IMPROVEMENT")
CHANNELS: Final = ("TELEGRAM", "DISCORD", "EMAIL")


def may_earn_bounty(tier: str, flagged: bool) -> bool:
    """Whether an account of this tier when it reported, flagged as fake or not, may get a bonus."""
    return tier != NO_TIER and not flagged


def round_of(at_ns: int) -> str:
    """The round an instant belongs to: its ISO 8601 week in UTC, as 2024-W40."""
    year, week, _ = date.fromisoformat(day_text(at_ns // DAY_NS)).isocalendar()
    return f"{year:04}-W{week:02}"


def round_ends_ns(week: str) -> int:
    """First instant after a round. Raises ValueError for text that is no ISO week as `round_of` writes it."""
    year, separator, number = week.partition("-W")
    if not separator or len(year) != 4 or len(number) != 2 or not (year + number).isascii():
        raise ValueError(week)
    monday = date.fromisocalendar(int(year), int(number), 1)
    return (day_number(monday.isoformat()) + 7) * DAY_NS
