"""Instants and days. An instant is an int: nanoseconds since 1970-01-01 UTC. Intervals are half-open [from, until)."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

SECOND_NS: Final = 1_000_000_000
DAY_NS: Final = 86_400 * SECOND_NS  # a day is 86,400 s, always (A29)

BEGINNING_NS: Final = 0  # "the beginning of time" of registers and programmes: before any accepted fill
EARLIEST_NS: Final = 14_245 * DAY_NS  # 2009-01-01: nothing was traded before
LATEST_NS: Final = 84_006 * DAY_NS  # 2200-01-01: fits int64 with room to add
CLOCK_LEAP_NS: Final = 60 * SECOND_NS  # clocks that differ by more are not both right
LONG_NS: Final = 7 * DAY_NS  # a ledger in use does not stand still for so long: then a clock may have leapt
NEVER_NS: Final = 2**63 - 1  # the instant of what has not happened, and the end of what has none

_EPOCH: Final = date(1970, 1, 1)
_EPOCH_UTC: Final = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=65_536)
def day_text(day: int) -> str:
    """Write a UTC day: 1 -> "1970-01-02"."""
    return (_EPOCH + timedelta(days=day)).isoformat()


def day_number(text: str) -> int:
    """Read a UTC day: "1970-01-02" -> 1. Raises ValueError for anything else."""
    day = date.fromisoformat(text)
    if day.isoformat() != text:  # it takes other forms of ISO 8601 too
        raise ValueError(text)
    return (day - _EPOCH).days


def utc_day(at_ns: int) -> int:
    """Return the UTC day in which an instant lies, as its number since 1970; of one before that, the first day: 0."""
    return max(at_ns, 0) // DAY_NS


def instant_text(at_ns: int) -> str:
    """Write an instant as YYYY-MM-DDTHH:MM:SSZ in UTC, with nanoseconds if it has any."""
    seconds, nanos = divmod(at_ns, SECOND_NS)
    text = (_EPOCH_UTC + timedelta(seconds=seconds)).isoformat().removesuffix("+00:00")
    return f"{text}.{nanos:09}Z" if nanos else f"{text}Z"


def instant_of_text(text: str) -> int:
    """Read an instant that `instant_text` wrote. Raises ValueError for anything else."""
    seconds, _, nanos = text.removesuffix("Z").partition(".")
    at = datetime.fromisoformat(seconds).replace(tzinfo=UTC)
    found = (at - _EPOCH_UTC) // timedelta(seconds=1) * SECOND_NS + int(nanos or 0)
    if instant_text(found) != text:  # there are other forms of ISO 8601
        raise ValueError(text)
    return found


def local_day(at_ns: int, timezone: str) -> date:
    """Return the calendar day of an instant in an IANA zone."""
    return (_EPOCH_UTC + timedelta(seconds=at_ns // SECOND_NS)).astimezone(ZoneInfo(timezone)).date()


def day_start_ns(day: date, timezone: str) -> int:
    """Return the first instant of a calendar day in an IANA zone: midnight, or the end of a gap that swallows it."""
    midnight = datetime.combine(day, time(), ZoneInfo(timezone))
    return (midnight - _EPOCH_UTC) // timedelta(seconds=1) * SECOND_NS


def given_or(given_ns: int | None, now_ns: int) -> int:
    """Return the instant that a command names, or now."""
    return now_ns if given_ns is None else given_ns
