"""Fills of both sides and breaks day by day."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from ledger.tools.pages.drawing import Chart, Frame, Mark, Scale, box, dot, fitted, text, value_axis

_LABEL_WIDTH: Final = 110  # pixels that a day needs, on paper too
_COUNT_WIDTH: Final = 40  # and a number of breaks
_SLOT_MAX: Final = 120


class Day(NamedTuple):
    """A UTC day (YYYY-MM-DD)."""

    day: str
    engine_fills: int
    ledger_fills: int
    breaks: int


def days_chart(days: Sequence[Day], width: int) -> Chart:
    """Draw a pair of bars for each day, and above it how many breaks there are. Days without any fill have no bar."""
    room = Frame(width, 0, 0, 1).room
    frame = Frame(width, 220, 0, max(len(days), room // _SLOT_MAX), bottom=24)
    slot = frame.room / frame.end
    scale, ticks = fitted(frame, (max(day.engine_fills, day.ledger_fills) for day in days))
    marks = list(value_axis(scale, ticks, "fills"))
    step = -(-_LABEL_WIDTH // slot)
    for place, day in enumerate(days):
        marks += _bars(scale, frame.x(place + 0.5), slot, day)
        if place % step == 0:
            middle = min(frame.x(place + 0.5), frame.width - _LABEL_WIDTH / 2)
            marks.append(text(middle, frame.height - 6, day.day, "tick", "middle"))
    return frame.chart("Fills and breaks by day", marks)


def _bars(scale: Scale, middle: float, slot: float, day: Day) -> Iterator[Mark]:
    tip = f"{day.day}: engine {day.engine_fills:,}, ledger {day.ledger_fills:,}, breaks {day.breaks:,}"
    bar = 0.36 * slot
    for fills, side, at in ((day.engine_fills, "engine", middle - bar), (day.ledger_fills, "ledger", middle)):
        yield box(at, scale.y(fills), bar, scale.y(0) - scale.y(fills), side, tip, round_px=2)
    top = scale.y(max(day.engine_fills, day.ledger_fills))
    if day.breaks and slot >= _COUNT_WIDTH:
        yield text(middle, top - 6, f"{day.breaks:,}", "count", "middle")
    elif day.breaks:
        yield dot(middle, top - 7, "breaks", tip, min(4, slot / 3))
