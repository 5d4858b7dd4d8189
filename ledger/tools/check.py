"""Derive every table of a ledger from its log again, and name each row that differs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from ledger.cli import Options, argument
from ledger.cli.arguments import number
from ledger.cli.screens import many, table
from ledger.store.postgres.database import connect
from ledger.tools.files import beside, output
from ledger.tools.group import TOOLS
from ledger.tools.progress import ProgressBar
from ledger.tools.store import open_store, store_arguments
from ledger.visible import visible
from projections.check import TABLES, Check
from projections.check.findings import Finding
from projections.check.log_tables import LOG_TABLES
from projections.check.read_tables import READ_TABLES

_NOTES: Final = f"""\
tables of the log:
  {", ".join(LOG_TABLES[:6])},
  {", ".join(LOG_TABLES[6:])}
tables of the read side, which is checked at the position it holds, however far the log is:
  {", ".join(READ_TABLES[:7])},
  {", ".join(READ_TABLES[7:])}

A finding has a code, TABLE_MISSING, TABLE_EXTRA, TABLE_DIFFERS and so on, the key of its row, and
for each column that differs what is stored and what the log says. The bytes of the events are taken
as they are: `fee-ledger audit` tells whether these are what was decided. What is wrong with the
read side, `fee-ledger rebuild` makes right.

exit code 0: every table is as the log says; 1: findings; 2: no ledger, or unusable arguments; 130:
interrupted"""


@TOOLS.add(
    "check",
    "derive every table from the log again, and name each row that differs",
    "check",
    "check --dsn postgresql://me@db/ledger",
    "check --table fee_days volume_days",
    "check --json findings.jsonl",
    arguments=(
        argument("--table", nargs="+", choices=TABLES, metavar="NAME", help="only these tables (default: all)"),
        argument("--rows", type=number(1, 1_000_000), default=20, metavar="N",
                 help="findings of a table that are printed (default %(default)s)"),
        argument("--json", type=output, metavar="FILE", help="write every finding there, and a summary of each table, "
                 "a JSON document a line"),
    ),
    parents=(store_arguments,),
    notes=_NOTES,
    interrupted="a check keeps nothing, and changes nothing",
    to_the_end=True,
)  # fmt: skip
def _check(options: Options) -> int:
    names = options.table or TABLES
    found: Counter[str] = Counter()
    with open_store(options) as dsn, ExitStack() as stack:
        write = _writer(stack, options.json)
        check = Check(stack.enter_context(connect(dsn, "check")), options.schema)
        progress = ProgressBar()
        stack.callback(progress.clear)
        for one in check.findings(names):
            if not isinstance(one, Finding):
                progress.show(*one)
                continue
            found[one.table] += 1
            write(_document(one))
            if found[one.table] <= options.rows:
                progress.clear()
                print(_line(one))
        progress.clear()
        _summarise(check, [name for name in TABLES if name in names], found, options.rows, write)
    return 1 if found else 0


def _summarise(
    check: Check, names: Sequence[str], found: Counter[str], shown_max: int, write: Callable[[dict[str, object]], None]
) -> None:
    """Print what was left out, and a line per table."""
    for name in names:
        if found[name] > shown_max:
            more = many(found[name] - shown_max, "more finding")
            print(f"... {more} in {name}: --rows N shows more, --json FILE has all")
        write({"table": name, "rows": check.rows[name], "findings": found[name]})
    rows = [(name, f"{check.rows[name]:,}", f"{found[name]:,}") for name in names]
    print("\n".join(table(("table", ".rows", ".findings"), rows)))
    print(many(found.total(), "finding"))


def _line(one: Finding) -> str:
    """Return a finding as a person reads it."""
    row = [f"{name}={value}" for name, value in one.key]
    said = [f"stored {one.stored}"] if one.stored else []
    said += [f"expected {one.expected}"] if one.expected else []
    return visible(f"{' '.join([one.code, *row, one.column]).rstrip()}: {', '.join(said)}")


def _document(one: Finding) -> dict[str, object]:
    return {
        "code": one.code,
        "table": one.table,
        "key": dict(one.key),
        "column": one.column,
        "stored": one.stored,
        "expected": one.expected,
    }


def _writer(stack: ExitStack, path: Path | None) -> Callable[[dict[str, object]], None]:
    """Return what writes a document to the file, if there is one."""
    if path is None:
        return lambda _: None
    file = stack.enter_context(stack.enter_context(beside(path)).open("w", encoding="utf-8"))
    return lambda document: print(json.dumps(document), file=file)
