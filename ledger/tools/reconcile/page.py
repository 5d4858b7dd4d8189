"""A report as one HTML page that needs nothing else, to look at and to print."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

from ledger.cli.screens import many
from ledger.domain.money import decimal_text
from ledger.domain.state.volume_cells import NOTIONAL_SCALE, exact
from ledger.tools.pages.drawing import Chart, both
from ledger.tools.pages.environment import write_page
from ledger.tools.pages.parts import Card
from ledger.tools.pages.words import grouped
from ledger.tools.reconcile.chart import days_chart
from ledger.tools.reconcile.kinds import DIMENSIONS, KINDS
from ledger.tools.reconcile.report import Report
from ledger.tools.reconcile.totals import MEASURES

_BREAKS_SHOWN: Final = 100  # of a kind
_TOTALS_SHOWN: Final = 40  # of a dimension
_RESOLVED_SHOWN: Final = 100
_CURRENCIES_SHOWN: Final = 4

Row = dict[str, Any]


class Breaks(NamedTuple):
    """The first breaks of a kind; `sides` are those that say anything, `hidden` sums what is not shown by currency."""

    kind: str
    found: int
    rows: list[Row]  # each with `sides`: what both say, and where that begins to differ
    sides: list[str]
    hidden: list[tuple[str, str]]
    sums: list[tuple[str, str]]
    differs: bool


def write_report(report: Report, path: Path) -> None:
    """Write the page. Raises UnusableError."""
    write_page(path, "reconcile.html.j2", report=report, page=Page(report))


@dataclass(frozen=True)
class Page:
    """Gives the template what it asks for beside the report."""

    report: Report
    meanings = KINDS

    @property
    def title(self) -> str:
        """The verdict as a headline."""
        return self.report.verdict[:1].upper() + self.report.verdict[1:]

    @property
    def files(self) -> str:
        """The names of the engine's files, without their folders."""
        return ", ".join(os.path.basename(name) for name in self.report.files.names)

    def fills(self) -> Iterator[tuple[str, int]]:
        """The engine's files with the fills of each."""
        return zip(self.report.files.names, self.report.files.fills, strict=True)

    def cards(self) -> Iterator[Card]:
        """The numbers on top."""
        report = self.report
        yield Card("fills of the engine", f"{report.engine_fills:,}")
        yield Card("fills in the ledger", f"{report.ledger_fills:,}")
        status = report.status
        since = f"{status['NEW']:,} new, {status['KNOWN']:,} known, {status['RESOLVED']:,} resolved since"
        css = "good" if report.agrees else "bad" if report.breaks else ""
        yield Card("breaks", f"{report.breaks:,}", since if report.run.state else "", css)
        if report.run.terms.compares("fee") and (rows := report.totals_of("currency")):
            rows.sort(key=lambda row: row["difference_fee"] == "0")  # those that differ come first
            first, *more = [f"{grouped(row['difference_fee'])} {row['currency']}" for row in rows[:_CURRENCIES_SHOWN]]
            if len(rows) > _CURRENCIES_SHOWN:
                others = many(len(rows) - _CURRENCIES_SHOWN, "more currency", "more currencies")
                more.append(f"and {others}, below")
            css = "good" if all(row["difference_fee"] == "0" for row in rows) else "bad"
            yield Card("fees, engine less ledger", first, " · ".join(more), css)

    def days(self) -> tuple[Chart, Chart] | None:
        """Fills and breaks by day."""
        days = self.report.by_day()
        return both(partial(days_chart, days)) if days else None

    def breaks(self) -> Iterator[Breaks]:
        """The first breaks of each kind."""
        for kind, count in self.report.counts.items():
            rows = list(self.report.rows(kind, _BREAKS_SHOWN))
            sides = [side for side in ("engine", "ledger") if any(row[side] for row in rows)]
            sums = self.report.differences(kind)
            hidden = [(currency, _less(total, rows, currency)) for currency, total in sums] if count > len(rows) else []
            differs = any(row["difference"] for row in rows)
            rows = [{**row, "sides": _sides(row["engine"], row["ledger"])} for row in rows]
            yield Breaks(kind, count, rows, sides, hidden, sums, differs=differs)

    def totals(self) -> Iterator[tuple[str, int, int, list[Row], list[Row], list[Row]]]:
        """(dimension, rows, those that differ, the first rows, the sums of the others, the sums of all)."""
        for dimension in DIMENSIONS:
            rows, differing = self.report.totals.get(dimension, (0, 0))
            if rows:
                shown = self.report.totals_of(dimension, limit=_TOTALS_SHOWN)
                sums = self.report.sums_of(dimension) if dimension != "currency" else []
                yield dimension, rows, differing, shown, _others(shown, sums) if rows > len(shown) else [], sums

    def resolved(self) -> list[Row]:
        """The first breaks that are resolved since."""
        return self.report.resolved(_RESOLVED_SHOWN)


def _others(shown: list[Row], sums: list[Row]) -> list[Row]:
    """The sums of the rows that are not shown."""
    names = [f"{side}_{name}" for name in MEASURES for side in ("engine", "ledger", "difference")]
    others = []
    for total in sums:
        parts = [row for row in shown if row["currency"] == total["currency"]]
        left = {name: _exact(str(total[name])) - sum(_exact(str(row[name])) for row in parts) for name in names}
        texts = {name: decimal_text(amount, NOTIONAL_SCALE) for name, amount in left.items()}
        others.append({"key": "others", "currency": total["currency"], **texts})
    return others


def _less(total: str, rows: list[Row], currency: str) -> str:
    shown = sum(_exact(row["difference"]) for row in rows if row["difference"] and row["currency"] == currency)
    return decimal_text(_exact(total) - shown, NOTIONAL_SCALE)


def _exact(text: str) -> int:
    return exact(text, NOTIONAL_SCALE)


def _sides(engine: str | None, ledger: str | None) -> dict[str, tuple[str, str]]:
    """Return what each side says as (what both begin with, the rest); without the other side there is no rest."""
    if engine is None or ledger is None:
        return {"engine": (engine or "-", ""), "ledger": (ledger or "-", "")}
    pairs = enumerate(zip(engine, ledger, strict=False))
    same = next((place for place, (one, other) in pairs if one != other), min(len(engine), len(ledger)))
    return {"engine": (engine[:same], engine[same:]), "ledger": (ledger[:same], ledger[same:])}
