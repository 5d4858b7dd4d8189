"""A report as a table for a terminal, as CSV, and as one JSON document."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from typing import Any, Final, TextIO

from ledger.cli.screens import table
from ledger.tools.reconcile.kinds import KINDS
from ledger.tools.reconcile.report import COLUMNS, Report
from ledger.tools.reconcile.totals import DIMENSIONS

_TOTALS_SHOWN: Final = 10
_HEADS: Final = ("status", "venue account day exec_id", "engine", "ledger", "difference", "where")


def print_table(report: Report, shown: int, file: TextIO) -> None:
    """Facts, counts, the first breaks of each kind, and totals that differ."""
    for line in _table(report, shown):
        print(line, file=file)


def print_csv(report: Report, file: TextIO) -> None:
    """Every break, a row each (RFC 4180)."""
    writer = csv.DictWriter(file, COLUMNS)
    writer.writeheader()
    writer.writerows(report.rows())


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
        yield f"engine  {name}: {fills:,} fills"
    yield f"ledger  {run.ledger_id} as known at position {run.position}: {report.ledger_fills:,} fills"
    yield f"period  {report.period} (UTC)"
    for line in report.not_compared():
        yield f"not compared: {line}"
    if report.agrees:
        yield f"all {report.engine_fills:,} fills agree"
    for kind, count in report.counts.items():
        yield ""
        yield f"{kind}: {count:,} ({KINDS[kind]})"
        yield from (f"  {line}" for line in table(_HEADS, [_row(row) for row in report.rows(kind, shown)]))
        if count > shown:
            yield f"  ... and {count - shown:,} more: --out csv has them all"
    yield from _differing_totals(report)
    yield ""
    yield _verdict(report)


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    line = "" if row["ledger_position"] is None else f"log {row['ledger_position']}:{row['ledger_line']}"
    key = " ".join((row["venue"] or "", row["account_id"] or "", row["day"] or "", row["exec_id"] or ""))
    amounts = [row["engine"] or "-", row["ledger"] or "-", " ".join(filter(None, (row["difference"], row["currency"])))]
    return row["status"].lower(), key, *amounts, " ".join(filter(None, (row["engine_place"], line)))


def _differing_totals(report: Report) -> Iterator[str]:
    heads = ("", "currency", ">engine fills", ">ledger fills", ".engine volume", ".ledger volume",
             ".engine fees", ".ledger fees", ".difference")  # fmt: skip
    for dimension in DIMENSIONS:
        rows, differing = report.totals.get(dimension, (0, 0))
        if differing:
            yield ""
            yield f"totals by {dimension}: {differing:,} of {rows:,} differ"
            found = report.totals_of(dimension, differing=True, limit=_TOTALS_SHOWN)
            yield from (f"  {line}" for line in table(heads, [_total(row) for row in found]))
            if differing > _TOTALS_SHOWN:
                yield f"  ... and {differing - _TOTALS_SHOWN:,} more: --out json has them all"


def _total(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        row["key"],
        row["currency"],
        f"{row['engine_fills']:,}",
        f"{row['ledger_fills']:,}",
        *(row[name] for name in ("engine_volume", "ledger_volume", "engine_fee", "ledger_fee", "difference_fee")),
    )


def _verdict(report: Report) -> str:
    if report.agrees:
        told = "engine and ledger agree"
    else:
        told = f"{report.breaks:,} {'break' if report.breaks == 1 else 'breaks'}"
    if report.run.state:
        status = report.status
        told += f": {status['NEW']:,} new, {status['KNOWN']:,} known, {status['RESOLVED']:,} resolved since"
    return told
