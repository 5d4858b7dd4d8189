"""Fills of both sides and breaks day by day, as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

_WIDTH: Final = 1160
_HEIGHT: Final = 200
_LEFT, _TOP, _BOTTOM = 70, 22, 24
_LABELS_MAX: Final = 12
_SLOT_MAX: Final = 120


class Day(NamedTuple):
    """A UTC day (YYYY-MM-DD)."""

    day: str
    engine_fills: int
    ledger_fills: int
    breaks: int


def days_chart(days: Sequence[Day]) -> str:
    """A pair of bars for each day, and above it how many breaks there are. Days without any fill have no bar."""
    most = max(max(day.engine_fills, day.ledger_fills) for day in days) or 1
    slot = min(_SLOT_MAX, (_WIDTH - _LEFT) / len(days))
    bar, floor = 0.36 * slot, _HEIGHT - _BOTTOM
    parts = [f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="fills and breaks by day">']
    for share in (0, 0.5, 1):
        y = floor - share * (floor - _TOP)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(
            f'<text class="tick" x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{round(share * most):,}</text>'
        )
    step = -(-len(days) // _LABELS_MAX)
    for place, day in enumerate(days):
        x = _LEFT + (place + 0.5) * slot
        parts.append(f"<g><title>{_told(day)}</title>")
        for fills, side, at in ((day.engine_fills, "engine", x - bar - 1), (day.ledger_fills, "ledger", x + 1)):
            height = fills / most * (floor - _TOP)
            parts.append(
                f'<rect class="{side}" x="{at:.1f}" y="{floor - height:.1f}" width="{bar:.1f}"'
                f' height="{height:.1f}" rx="2"/>'
            )
        top = floor - max(day.engine_fills, day.ledger_fills) / most * (floor - _TOP)
        if day.breaks and slot >= 40:
            parts.append(
                f'<text class="count" x="{x:.1f}" y="{top - 6:.1f}" text-anchor="middle">{day.breaks:,}</text>'
            )
        elif day.breaks:
            parts.append(f'<circle class="breaks" cx="{x:.1f}" cy="{top - 7:.1f}" r="{min(4, slot / 3):.1f}"/>')
        parts.append("</g>")
        if place % step == 0:
            parts.append(f'<text class="tick" x="{x:.1f}" y="{_HEIGHT - 6}" text-anchor="middle">{day.day}</text>')
    return "".join((*parts, "</svg>"))


def _told(day: Day) -> str:
    return f"{day.day}: engine {day.engine_fills:,}, ledger {day.ledger_fills:,}, breaks {day.breaks:,}"
