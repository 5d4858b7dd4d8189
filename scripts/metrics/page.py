"""The page of metrics: what people wrote of it, as it is, and the tables anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ledger.metrics.table import TABLES, TOPICS, Metric
from scripts.pages import made_anew, table

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "operations" / "metrics.md"

_BEGINS: Final = "<!-- what follows is made from ledger/metrics/table.py: .venv/bin/python -m scripts.metrics -->"
_HEADS: Final = ("metric", "kind", "labels", "unit", "what it says", "told by")


def page() -> str:
    """Return its text."""
    return made_anew(PAGE, _BEGINS, _lines())


def _lines() -> Iterator[str]:
    for topic in TOPICS:
        yield f"## {topic.heading}\n"
        yield from table(_HEADS, map(_cells, topic.metrics))
        yield ""


def _cells(metric: Metric) -> tuple[str, ...]:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    told_by = "service, tables" if TABLES in metric.told_by else "service"
    return (f"`{metric.name}`", metric.kind, labels, metric.unit, metric.says, told_by)
