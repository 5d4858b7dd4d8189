"""SVG out of plain text: scales, axes and marks. Numbers become floats here and only here: they are pixels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from html import escape
from math import ceil, floor, log10
from typing import Final

from ledger.domain.instants import DAY_NS, SECOND_NS

WIDE: Final = 1080
NARROW: Final = 360
_EPOCH: Final = date(1970, 1, 1)
_LABEL_WIDTH: Final = 56  # pixels that the label of a time needs
_MONTH_DAYS: Final = 30
_ROOM_BELOW: Final = 25  # parts of the height below the lowest value
_STEPS: Final = (1, 2, 7, 14)  # days between ticks
_MONTHS: Final = (1, 2, 3, 6, 12, 24, 60)


@dataclass(frozen=True, slots=True)
class Frame:
    """The place of a chart: time from left to right in [from_ns, until_ns), margins in pixels."""

    width: int
    height: int
    from_ns: int
    until_ns: int
    left: int = 72
    right: int = 12
    top: int = 12
    bottom: int = 40

    def x(self, at_ns: int) -> float:
        """Where an instant lies; those outside lie on the edge."""
        at_ns = min(max(at_ns, self.from_ns), self.until_ns)
        room = self.width - self.left - self.right
        return self.left + room * (at_ns - self.from_ns) / (self.until_ns - self.from_ns)

    @property
    def floor(self) -> int:
        """The lower edge of the plot."""
        return self.height - self.bottom

    @property
    def end(self) -> int:
        """The right edge of the plot."""
        return self.width - self.right


@dataclass(frozen=True, slots=True)
class Scale:
    """Values from `low` at the lower edge of a frame to `high` at the upper one."""

    frame: Frame
    low: float
    high: float

    def y(self, value: float) -> float:
        """Where a value lies."""
        room = self.frame.floor - self.frame.top
        return self.frame.floor - room * (value - self.low) / (self.high - self.low)


def svg(frame: Frame, title: str, parts: Iterable[str]) -> str:
    """A chart; its title is what a screen reader says."""
    body = "".join(parts)
    return (
        f'<svg viewBox="0 0 {frame.width} {frame.height}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{body}</svg>"
    )


def text(x: float, y: float, words: str, *, css: str = "", anchor: str = "start") -> str:
    """Words at a point."""
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{css}" text-anchor="{anchor}">{escape(words)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, css: str) -> str:
    """A straight line."""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{css}"/>'


def box(x: float, y: float, width: float, height: float, css: str, tip: str = "", round_px: int = 0) -> str:
    """A rectangle, at least a hair wide; the tip is shown where the pointer rests on it."""
    corners = f' rx="{round_px}"' if round_px else ""
    said = f"<title>{escape(tip)}</title>" if tip else ""
    size = f'width="{max(width, 0.75):.1f}" height="{max(height, 0):.1f}"'
    return f'<rect x="{x:.1f}" y="{y:.1f}" {size}{corners} class="{css}">{said}</rect>'


def dot(x: float, y: float, css: str, tip: str) -> str:
    """A small circle."""
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" class="{css}"><title>{escape(tip)}</title></circle>'


def step_path(frame: Frame, steps: Sequence[tuple[int, float | None]], css: str, *, to_floor: bool = False) -> str:
    """A line that stays at y from each (UTC day, y) to the next day; None interrupts it. Or the area below it."""
    commands: list[str] = []
    drawn = False
    for day, y in steps:
        left, right = frame.x(day * DAY_NS), frame.x((day + 1) * DAY_NS)
        if y is None:
            drawn = False
            continue
        start = f"L{left:.1f} {y:.1f}" if drawn else f"M{left:.1f} {y:.1f}"
        commands.append(f"{start}L{right:.1f} {y:.1f}")
        drawn = True
    if to_floor and commands:
        first, last = frame.x(steps[0][0] * DAY_NS), frame.x((steps[-1][0] + 1) * DAY_NS)
        commands.append(f"L{last:.1f} {frame.floor}L{first:.1f} {frame.floor}Z")
    return f'<path d="{"".join(commands)}" class="{css}"/>' if commands else ""


def time_axis(frame: Frame) -> Iterator[str]:
    """The lower edge, and where days, weeks or months begin."""
    yield line(frame.left, frame.floor, frame.end, frame.floor, "axis")
    ticks = _time_ticks(frame)
    for day, words, year in ticks:
        x = frame.x((day - _EPOCH).days * DAY_NS)
        yield line(x, frame.top, x, frame.floor, "grid")
        at_start, at_end = x < frame.left + _LABEL_WIDTH / 3, x > frame.end - _LABEL_WIDTH / 3
        anchor = "start" if at_start else "end" if at_end else "middle"
        yield text(x, frame.floor + 17, words, css="tick", anchor=anchor)
        yield text(x, frame.floor + 32, year, css="unit", anchor=anchor) if year else ""


def fitted(frame: Frame, values: Iterable[float]) -> tuple[Scale, list[tuple[float, str]]]:
    """A scale for values and zero, with its ticks; little below zero takes little room."""
    found = [0.0, *values]
    low, high = min(found), max(found)
    ticks = round_ticks(low, high, 4)
    bottom = max(ticks[0], low - (ticks[-1] - low) / _ROOM_BELOW)
    return Scale(frame, bottom, ticks[-1]), [(tick, short(tick)) for tick in ticks if tick >= bottom]


def value_axis(scale: Scale, ticks: Iterable[tuple[float, str]], unit: str) -> Iterator[str]:
    """Values on the left with lines across, and their unit above."""
    frame = scale.frame
    for value, words in ticks:
        y = scale.y(value)
        yield line(frame.left, y, frame.end, y, "zero" if value == 0 else "grid")
        yield text(frame.left - 8, y + 4, words, css="tick", anchor="end")
    yield text(4, frame.top - 12, unit, css="unit")


def round_ticks(low: float, high: float, count: int) -> list[float]:
    """Round values, 1, 2 or 5 times a power of ten apart, from the last at or below `low` to the first above `high`."""
    least = ((high - low) or 1.0) / count
    power = 10.0 ** floor(log10(least))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least)
    first, last = floor(low / step), ceil(high / step)
    return [place * step for place in range(first, max(last, first + 1) + 1)]


def short(value: float) -> str:
    """A number in few characters: 1.5M, 20K, 0.0025."""
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "K")):
        if abs(value) >= size:
            return f"{value / size:.4g}{letter}"
    return f"{value:.10f}".rstrip("0").rstrip(".") if abs(value) < 1 else f"{value:.4g}"


def utc(at_ns: int) -> datetime:
    """An instant to the second."""
    return datetime.fromtimestamp(at_ns // SECOND_NS, UTC)


def moment(at_ns: int) -> str:
    """An instant as people write it: without midnight, to the second."""
    time = utc(at_ns)
    return f"{time:%Y-%m-%d}" if at_ns % DAY_NS == 0 else f"{time:%Y-%m-%d %H:%M:%S}"


def _time_ticks(frame: Frame) -> list[tuple[date, str, str]]:
    """(day, words, year where another one begins), as many as have room."""
    first, end = -(-frame.from_ns // DAY_NS), frame.until_ns // DAY_NS
    begin, days = _EPOCH + timedelta(days=first), max(1, end - first)
    most = max(2, (frame.width - frame.left - frame.right) // _LABEL_WIDTH)
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
