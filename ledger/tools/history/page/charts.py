"""The charts by day: volume against the tiers' bands, fees, and rates."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from ledger.domain.instants import DAY_NS, day_text
from ledger.domain.money import decimal_text
from ledger.domain.state.programme import Programme
from ledger.domain.state.volume_cells import FEE_SCALE, NOTIONAL_SCALE
from ledger.tools.history.page.days import MAKER, TAKER, ByDay
from ledger.tools.pages.drawing import (
    WIDE,
    Chart,
    Frame,
    Mark,
    Scale,
    box,
    dot,
    fitted,
    line,
    rooted,
    short,
    step_path,
    text,
    value_axis,
)
from ledger.tools.pages.time_axis import time_axis

_NOTIONAL = 10.0**NOTIONAL_SCALE
_FEE = 10.0**FEE_SCALE
_SEEN = 2  # pixels that a bar of a fee has at least


class VolumePoint(NamedTuple):
    """An evaluation's volume, with 36 decimals, at its instant."""

    at_ns: int
    volume: int
    tip: str


class Period(NamedTuple):
    """UTC days [first, end) that the charts show."""

    first: int
    end: int

    def frame(self, width: int, height: int, **margins: int) -> Frame:
        """Return the frame of a chart of these days."""
        return Frame(width, height, self.first * DAY_NS, self.end * DAY_NS, **margins)

    def holds(self, at_ns: int) -> bool:
        """Return True for an instant that lies in them."""
        return self.first <= at_ns // DAY_NS < self.end

    @property
    def days(self) -> range:
        """Every day."""
        return range(self.first, self.end)


class BandScale:
    """Every band of volume as high as the next one, so that the way to the next tier is seen at any size."""

    def __init__(self, programme: Programme, most: int, frame: Frame) -> None:
        bands = [("", 0), *sorted(programme.volume_bands, key=lambda band: band[1])]
        last = bands[-1][1]
        top = max(programme.volume_top or 0, 2 * last, most, 1)
        shown = sum(least <= most for _, least in bands) + 1  # and the one to be reached next
        self.bands = bands[:shown]
        self._edges = [*(least for _, least in bands), top][: len(self.bands) + 1]
        self._frame = frame

    def y(self, volume: int) -> float:
        """Return where a volume lies."""
        volume = min(max(volume, 0), self._edges[-1])
        place = min(bisect_right(self._edges, volume), len(self._edges) - 1) - 1
        low, high = self._edges[place], self._edges[place + 1]
        part = place + (volume - low) / (high - low)
        return self._frame.floor - (self._frame.floor - self._frame.top) * part / (len(self._edges) - 1)


def volume_chart(
    period: Period, programme: Programme, rolled: Mapping[int, int], evaluated: Sequence[VolumePoint], width: int
) -> Chart:
    """Draw the volume of the past 30 days at each day's end, against what each tier takes."""
    most = max([*rolled.values(), *(one.volume for one in evaluated)], default=0)
    frame = period.frame(width, 300 if width == WIDE else 260)
    scale = BandScale(programme, most, frame)
    currency, days = programme.volume_currency, programme.window_days
    marks = [*_bands(frame, scale, programme), *time_axis(frame), text(4, 12, currency, "unit")]
    steps = [(day * DAY_NS, scale.y(amount)) for day, amount in rolled.items()]
    marks += [step_path(frame, steps, DAY_NS, css, filled=css == "area") for css in ("area", "volume")]
    marks += [
        box(left, frame.top, right - left, frame.floor - frame.top, "hover",
            f"{day_text(day)}: {volume_text(amount)} {currency} in {days} days")
        for day, amount in rolled.items() for left, right in [_edges(frame, day)]
    ]  # fmt: skip
    marks += [dot(frame.x(one.at_ns), scale.y(one.volume), "evaluated", one.tip) for one in evaluated]
    marks += _names(frame, scale)
    return frame.chart(f"Volume of the past {days} days by day, in {currency}, and the tiers' bands", marks)


def _edges(frame: Frame, day: int) -> tuple[float, float]:
    return frame.x(day * DAY_NS), frame.x((day + 1) * DAY_NS)


def _bands(frame: Frame, scale: BandScale, programme: Programme) -> Iterator[Mark]:
    for place, (tier, least) in enumerate(scale.bands):
        low, high = scale.y(least), scale.y(scale.bands[place + 1][1]) if place + 1 < len(scale.bands) else frame.top
        yield box(frame.left, high, frame.room, low - high, f"band {tier_css(programme, tier)}")
        yield line(frame.left, low, frame.edge, low, "grid")
        yield text(frame.left - 8, low + 4, short(least / _NOTIONAL), "tick", "end")


def _names(frame: Frame, scale: BandScale) -> Iterator[Mark]:
    edges = [*(scale.y(least) for _, least in scale.bands), frame.top]
    for (tier, _), low, high in zip(scale.bands, edges, edges[1:], strict=False):
        yield text(frame.left + 8, (low + high) / 2 + 4, tier or "no tier", "bandname")


def fee_chart(period: Period, currency: str, fees: ByDay, width: int) -> Chart:
    """Draw what was charged, upwards, and paid back, downwards, on each day; small days are seen beside large ones."""
    frame = period.frame(width, 240)
    scale, ticks = rooted(frame, (amount / _FEE for sums in fees.values() for amount in sums))
    marks = [*time_axis(frame), *value_axis(scale, ticks, f"{currency} per day")]
    for day, (up, down) in sorted(fees.items()):
        marks += _bars(frame, scale, day, (up, down), currency)
    return frame.chart(f"Fees charged and paid back by day, in {currency}, on a square-root scale", marks)


def _bars(frame: Frame, scale: Scale, day: int, sums: tuple[int, int], currency: str) -> Iterator[Mark]:
    left, right = _edges(frame, day)
    gap = (right - left) * 0.15
    up, down = (decimal_text(amount, FEE_SCALE) for amount in sums)
    tip = f"{day_text(day)}: {up} {currency} charged, {down} paid back"
    for amount, css in zip(sums, ("charge", "rebate"), strict=True):
        if amount:
            zero = scale.y(0)
            height = max(_SEEN, abs(scale.y(amount / _FEE) - zero))
            yield box(left + gap, zero - height * (amount > 0), right - left - 2 * gap, height, css, tip)


def rate_chart(period: Period, currency: str, rates: Mapping[str, ByDay], width: int) -> Chart:
    """Draw what makers and takers paid of the notional on each day, in percent; days without fills are left out."""
    frame = period.frame(width, 220)
    percents = {role: {day: 100 * _rate(sums) for day, sums in rates.get(role, {}).items() if sums[0]}
                for role in (MAKER, TAKER)}  # fmt: skip
    scale, ticks = fitted(frame, (value for each in percents.values() for value in each.values()))
    marks = [*time_axis(frame), *value_axis(scale, ticks, f"% of the notional in {currency}")]
    for role, by_day in percents.items():
        steps = [(day * DAY_NS, scale.y(by_day[day]) if day in by_day else None) for day in period.days]
        marks.append(step_path(frame, steps, DAY_NS, f"rate {role}", filled=False))
        for day, value in sorted(by_day.items()):
            tip = f"{day_text(day)}: {role}s paid {short(value)} %"
            marks.append(dot(sum(_edges(frame, day)) / 2, scale.y(value), f"hover {role}", tip))
    return frame.chart(f"Rates paid by day, in percent of the notional in {currency}", marks)


def _rate(sums: Sequence[int]) -> float:
    notional, fee = sums
    return float(fee * 10 ** (NOTIONAL_SCALE - FEE_SCALE) / notional)


def volume_text(amount: int) -> str:
    """Return a volume with 36 decimals, to the unit."""
    return f"{amount // 10**NOTIONAL_SCALE:,}"


def tier_css(programme: Programme, tier: str) -> str:
    """Return the class of a tier's colour: the first to the last of six."""
    rank, tiers = programme.rank(tier), len(programme.tiers)
    return f"tier{1 + 5 * (rank - 1) // max(1, tiers - 1)}" if rank else "tier0"
