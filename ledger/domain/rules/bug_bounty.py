"""R9: bug-bounty bonus every week, for members who send bugs, feedback and improvements by one of three channels."""

from __future__ import annotations

import re
from datetime import date
from typing import Final

from ledger.domain.instants import DAY_NS, day_number, day_text
from ledger.domain.state.programme import NO_TIER

# In the order of the enums FeedbackKind and FeedbackChannel, which count from 1.
KINDS: Final = ("BUG", "FEEDBACK", "IMPROVEMENT")
CHANNELS: Final = ("TELEGRAM", "DISCORD", "EMAIL")

_WEEK: Final = re.compile("([0-9]{4})-W([0-9]{2})")


def may_earn_bounty(tier: str, flagged: bool) -> bool:
    """Return True if an account that had this tier when it reported, flagged as fake or not, may get a bonus."""
    return tier != NO_TIER and not flagged


def round_of(at_ns: int) -> str:
    """Return the round an instant belongs to: its ISO 8601 week in UTC, as 2024-W40."""
    year, week, _ = date.fromisoformat(day_text(at_ns // DAY_NS)).isocalendar()
    return f"{year:04}-W{week:02}"


def round_ends_ns(week: str) -> int:
    """Return the first instant after a round. Raises ValueError for text that `round_of` does not write."""
    found = _WEEK.fullmatch(week)
    if found is None:
        raise ValueError(f"{week!r} is no ISO week")
    monday = date.fromisocalendar(int(found[1]), int(found[2]), 1)
    return (day_number(monday.isoformat()) + 7) * DAY_NS
