"""A report as a table for a terminal, as CSV, and as one JSON document."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any, Final, TextIO

from ledger.cli.screens import many, table
from ledger.tools.csv_rows import csv_rows
from ledger.tools.reconcile.kinds import DIMENSIONS, KINDS
from ledger.tools.reconcile.report import COLUMNS, Report
from ledger.tools.reconcile.totals import MEASURES
from ledger.visible import as_it_is, visible

_TOTALS_SHOWN: Final = 10
_HEADS: Final = ("status", "venue account day exec_id", "engine", "ledger", "difference", "where")


def print_table(report: Report, shown: int, file: TextIO) -> None:
    """Facts, counts, the first breaks of each kind, and totals that differ."""
    for line in _table(report, shown):
        print(visible(line), file=file)


def print_csv(report: Report, file: TextIO, *, spreadsheet: bool) -> None:
    """Every break, a row each (RFC 4180); with `spreadsheet` no cell of it runs in one."""
    with as_it_is(), csv_rows(file, "the breaks", spreadsheet=spreadsheet) as rows:
        rows.write(COLUMNS)
        for found in report.rows():
            rows.write("" if value is None else str(value) for value in found.values())


def print_json(report: Report, file: TextIO) -> None:
    """One document; its breaks a line each, written as they are read."""
    totals = {dimension: report.totals_of(dimension) for dimension in DIMENSIONS}
    head = {"summary": report.summary(), "totals": totals, "resolved": report.resolved()}
    file.write(json.dumps(head, indent=1)[:-2] + ',\n "breaks": [')
    for number, row in enumerate(report.rows()):
        file.write((",\n  " if number else "\n  ") + json.dumps(row))
    file.write("\n ]\n}\n")


def _table(report: Report, shown: int) -> Iterator[str]:
    run = report.run
    for name, fills in zip(report.files.names, report.files.fills, strict=True):
        yield f"engine  {name}: {many(fills, 'fill')}"
    yield f"ledger  {run.ledger_id} as known at position {run.position}: {many(report.ledger_fills, 'fill')}"
    yield f"period  {report.period} (UTC)"
    for why, left_out in groupby(report.left_out(), key=itemgetter(1)):
        yield f"not compared: {', '.join(name for name, _ in left_out)}: {why}"
    if report.agrees and not report.not_compared():
        yield report.agreement
    for kind, count in report.counts.items():
        yield ""
        yield f"{kind}: {count:,} ({KINDS[kind]})"
        yield from table(_HEADS, [_row(row) for row in report.rows(kind, shown)], indent="  ")
        if count > shown:
            yield f"  ... and {count - shown:,} more: --out csv has them all"
    yield from _differing_totals(report)
    yield ""
    yield report.verdict


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    line = "" if row["ledger_position"] is None else f"log {row['ledger_position']}:{row['ledger_line']}"
    key = " ".join((row["venue"] or "", row["account_id"] or "", row["day"] or "", row["exec_id"] or ""))
    amounts = [row["engine"] or "-", row["ledger"] or "-", " ".join(filter(None, (row["difference"], row["currency"])))]
    return row["status"].lower(), key, *amounts, " ".join(filter(None, (row["engine_place"], line)))


def _differing_totals(report: Report) -> Iterator[str]:
    """Yield the sums that differ: of a key in a currency those of fills, volume and fees that do, and no other."""
    heads = ("", "currency", "", ".engine", ".ledger", ".difference")
    for dimension in DIMENSIONS:
        rows, differing = report.totals.get(dimension, (0, 0))
        if differing:
            yield ""
            yield f"totals by {dimension}: {differing:,} of {rows:,} differ"
            found = report.totals_of(dimension, differing=True, limit=_TOTALS_SHOWN)
            sums = [line for row in found for line in _sums(row)]
            yield from table(heads, sums, indent="  ")
            if differing > _TOTALS_SHOWN:
                yield f"  ... and {differing - _TOTALS_SHOWN:,} more: --out json has them all"


def _sums(row: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    for name in MEASURES:
        engine, ledger, difference = (str(row[f"{side}_{name}"]) for side in ("engine", "ledger", "difference"))
        if difference != "0":
            yield row["key"], row["currency"], name, engine, ledger, difference
