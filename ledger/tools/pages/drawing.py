"""Charts as marks that the template turns into SVG. Numbers become floats here and only here: they are pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, takewhile
from math import ceil, copysign, floor, log10, sqrt
from typing import Final, NamedTuple

WIDE: Final = 1080
NARROW: Final = 360
_ROOM_BELOW: Final = 25  # parts of the height below the lowest value
_TICK_GAP: Final = 20  # pixels between ticks of a square-root scale
_TINY: Final = 0.0001


class Mark(NamedTuple):
    """An SVG element: attributes are ours, `words` stand in it, `tip` is shown where the pointer rests on it."""

    tag: str
    attributes: dict[str, str]
    words: str = ""
    tip: str = ""


class Chart(NamedTuple):
    """A chart of a size in pixels; its title is what a screen reader says."""

    width: int
    height: int
    title: str
    marks: list[Mark]


def both(draw: Callable[[int], Chart]) -> tuple[Chart, Chart]:
    """Draw a chart for a desk and for paper, and one for a phone; the page shows the one that fits."""
    return draw(WIDE), draw(NARROW)


@dataclass(frozen=True, slots=True)
class Frame:
    """The place of a chart: [begin, end) from left to right, in any unit; margins in pixels."""

    width: int
    height: int
    begin: int
    end: int
    left: int = 72
    right: int = 12
    top: int = 26
    bottom: int = 40

    def x(self, value: float) -> float:
        """Return where a value lies; those outside lie on the edge."""
        value = min(max(value, self.begin), self.end)
        return self.left + self.room * (value - self.begin) / (self.end - self.begin)

    @property
    def room(self) -> int:
        """The width of the plot."""
        return self.width - self.left - self.right

    @property
    def floor(self) -> int:
        """The lower edge of the plot."""
        return self.height - self.bottom

    @property
    def edge(self) -> int:
        """The right edge of the plot."""
        return self.width - self.right

    def chart(self, title: str, marks: Iterable[Mark]) -> Chart:
        """Return the chart of marks in this place."""
        return Chart(self.width, self.height, title, list(marks))


@dataclass(frozen=True, slots=True)
class Scale:
    """Values from `low` at the lower edge of a frame to `high` at the upper one; `rooted`: by their square roots."""

    frame: Frame
    low: float
    high: float
    rooted: bool = False

    def y(self, value: float) -> float:
        """Return where a value lies."""
        low, high, value = map(_root, (self.low, self.high, value)) if self.rooted else (self.low, self.high, value)
        return self.frame.floor - (self.frame.floor - self.frame.top) * (value - low) / (high - low)


def _root(value: float) -> float:
    return copysign(sqrt(abs(value)), value)


def text(x: float, y: float, words: str, css: str, anchor: str = "start") -> Mark:
    """Return words at a point."""
    return Mark("text", {"x": f"{x:.1f}", "y": f"{y:.1f}", "class": css, "text-anchor": anchor}, words)


def line(x1: float, y1: float, x2: float, y2: float, css: str) -> Mark:
    """Return a straight line."""
    return Mark("line", {"x1": f"{x1:.1f}", "y1": f"{y1:.1f}", "x2": f"{x2:.1f}", "y2": f"{y2:.1f}", "class": css})


def box(x: float, y: float, width: float, height: float, css: str, tip: str = "", round_px: int = 0) -> Mark:
    """Return a rectangle, at least a hair wide."""
    size = {"width": f"{max(width, 0.75):.1f}", "height": f"{max(height, 0):.1f}"}
    corners = {"rx": str(round_px)} if round_px else {}
    return Mark("rect", {"x": f"{x:.1f}", "y": f"{y:.1f}", **size, **corners, "class": css}, tip=tip)


def dot(x: float, y: float, css: str, tip: str, radius: float = 4) -> Mark:
    """Return a small circle."""
    return Mark("circle", {"cx": f"{x:.1f}", "cy": f"{y:.1f}", "r": f"{radius:.1f}", "class": css}, tip=tip)


def step_path(frame: Frame, steps: Sequence[tuple[int, float | None]], step: int, css: str, *, filled: bool) -> Mark:
    """Return a line that stays at y from each (begin, y) for a `step`; None interrupts it. Or the area below it."""
    commands: list[str] = []
    drawn = False
    for begin, y in steps:
        if y is not None:
            start = f"{'L' if drawn else 'M'}{frame.x(begin):.1f} {y:.1f}"
            commands.append(f"{start}L{frame.x(begin + step):.1f} {y:.1f}")
        drawn = y is not None
    if filled and commands:
        first, last = frame.x(steps[0][0]), frame.x(steps[-1][0] + step)
        commands.append(f"L{last:.1f} {frame.floor}L{first:.1f} {frame.floor}Z")
    return Mark("path", {"d": "".join(commands), "class": css})


def fitted(frame: Frame, values: Iterable[float]) -> tuple[Scale, list[float]]:
    """Return a scale for values and zero, with its ticks; little below zero takes little room."""
    found = [0.0, *values]
    low, high = min(found), max(found)
    ticks = round_ticks(low, high, 4)
    bottom = max(ticks[0], low - (ticks[-1] - low) / _ROOM_BELOW)
    return Scale(frame, bottom, ticks[-1]), [tick for tick in ticks if tick >= bottom]


def rooted(frame: Frame, values: Iterable[float]) -> tuple[Scale, list[float]]:
    """Return a square-root scale for values and zero, with its ticks: beside large values small ones are seen."""
    found = [0.0, *values]
    low, high = min(found), max(found)
    edges = [copysign(next(_rounds(abs(one))), one) for one in (high, low) if one] or [1.0]
    scale = Scale(frame, min(0.0, *edges), max(0.0, *edges), rooted=True)
    return scale, [0.0, *(tick for edge in edges for tick in _apart(scale, edge))]


def _apart(scale: Scale, edge: float) -> Iterator[float]:
    """Round values from the edge towards zero, as many as have room."""
    last = scale.y(edge) + 2 * _TICK_GAP
    for size in takewhile(lambda size: abs(scale.y(size) - scale.y(0)) >= _TICK_GAP, _rounds(abs(edge))):
        y = scale.y(copysign(size, edge))
        if abs(y - last) >= _TICK_GAP:
            last = y
            yield copysign(size, edge)


def _rounds(value: float) -> Iterator[float]:
    """1, 2 and 5 times powers of ten, from the first that is not below `value` downwards, without an end."""
    power = floor(log10(value))
    first = next(factor * 10.0**power for factor in (1, 2, 5, 10) if factor * 10.0**power >= value)
    for lower in count(0):
        sizes = (factor * 10.0 ** (power - lower) for factor in (10, 5, 2))
        yield from (size for size in sizes if size <= first)


def value_axis(scale: Scale, ticks: Iterable[float], unit: str) -> Iterator[Mark]:
    """Yield values on the left with lines across, their unit above, and which scale it is if it is not linear."""
    frame = scale.frame
    for value in ticks:
        y = scale.y(value)
        yield line(frame.left, y, frame.edge, y, "grid" if value else "zero")
        yield text(frame.left - 8, y + 4, short(value), "tick", "end")
    yield text(4, frame.top - 12, unit, "unit")
    if scale.rooted:
        yield text(frame.edge, frame.top - 12, "square-root scale", "tick", "end")


def round_ticks(low: float, high: float, parts: int) -> list[float]:
    """Round values, 1, 2 or 5 times a power of ten apart, from the last at or below `low` to the first above `high`."""
    least = ((high - low) or 1.0) / parts
    power = 10.0 ** floor(log10(least))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least)
    first, last = floor(low / step), ceil(high / step)
    return [place * step for place in range(first, max(last, first + 1) + 1)]


def short(value: float) -> str:
    """Return a number in few characters: 1.5M, 20K, 0.0025, 5e-7."""
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "K")):
        if abs(value) >= size:
            return f"{value / size:.4g}{letter}"
    if 0 < abs(value) < _TINY:
        factor, _, power = f"{value:.2e}".partition("e-")
        return f"{float(factor):g}e-{int(power)}"
    return f"{value:.10f}".rstrip("0").rstrip(".") if abs(value) < 1 else f"{value:.4g}"
