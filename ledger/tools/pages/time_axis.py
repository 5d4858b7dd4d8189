"""The axis of time: where days, weeks or months begin, as many as have room."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Final

from ledger.domain.instants import DAY_NS
from ledger.tools.pages.drawing import Frame, Mark, line, text

_EPOCH: Final = date(1970, 1, 1)
_LABEL_WIDTH: Final = 56  # pixels that the label of a time needs
_MONTH_DAYS: Final = 30
_STEPS: Final = (1, 2, 7, 14)  # days between ticks
_MONTHS: Final = (1, 2, 3, 6, 12, 24, 60)


def time_axis(frame: Frame) -> Iterator[Mark]:
    """Yield the lower edge of a frame of nanoseconds, and where days, weeks or months begin."""
    yield line(frame.left, frame.floor, frame.edge, frame.floor, "axis")
    for day, words, year in _ticks(frame):
        x = frame.x((day - _EPOCH).days * DAY_NS)
        yield line(x, frame.top, x, frame.floor, "grid")
        anchor = "end" if x > frame.edge - _LABEL_WIDTH / 3 else "middle"
        yield text(x, frame.floor + 17, words, "tick", anchor)
        if year:
            yield text(x, frame.floor + 32, year, "unit", anchor)


def _ticks(frame: Frame) -> list[tuple[date, str, str]]:
    """(day, words, year where another one begins)."""
    first, end = -(-frame.begin // DAY_NS), frame.end // DAY_NS
    begin, days = _EPOCH + timedelta(days=first), max(1, end - first)
    most = max(2, frame.room // _LABEL_WIDTH)
    step = next((step for step in _STEPS if days / step <= most), 0)
    months = next((step for step in _MONTHS if days / _MONTH_DAYS / step <= most), _MONTHS[-1])
    if step:
        ticks = [begin + timedelta(days=place) for place in range(0, days + 1, step)]
    else:
        ticks = list(_months(begin, begin + timedelta(days=days), months))
    years = [0, *(day.year for day in ticks)]
    return [
        (day, f"{day.day} {day:%b}" if step else f"{day:%b}", "" if day.year == before else str(day.year))
        for day, before in zip(ticks, years, strict=False)
    ]


def _months(begin: date, end: date, step: int) -> Iterator[date]:
    """First days of every so many months, counted from a January."""
    number = begin.year * 12 + begin.month - 1 + (begin.day > 1)
    number += -number % step
    while (day := date(number // 12, number % 12 + 1, 1)) <= end:
        yield day
        number += step
