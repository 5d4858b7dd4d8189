"""The page of metrics: what people wrote of it, as it is, and the tables anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ledger.metrics.table import TABLES, TOPICS, Metric

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "operations" / "metrics.md"

_BEGINS: Final = "<!-- what follows is made from ledger/metrics/table.py: .venv/bin/python -m scripts.metrics -->\n"
_HEADS: Final = ("metric", "kind", "labels", "unit", "what it says", "told by")


def page() -> str:
    """Return its text."""
    written, begins, _ = PAGE.read_text(encoding="utf-8").partition(_BEGINS)
    return f"{written}{begins}\n" + "\n".join(_lines())


def _lines() -> Iterator[str]:
    for topic in TOPICS:
        yield f"## {topic.heading}\n"
        yield f"| {' | '.join(_HEADS)} |"
        yield f"|{'---|' * len(_HEADS)}"
        yield from map(_row, topic.metrics)
        yield ""


def _row(metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    told_by = "service, tables" if TABLES in metric.told_by else "service"
    return f"| `{metric.name}` | {metric.kind} | {labels} | {metric.unit} | {metric.says} | {told_by} |"
