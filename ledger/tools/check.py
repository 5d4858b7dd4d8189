"""Derive every table of a ledger from its log again, and name each row that differs.

    .venv/bin/python ledger/tools/check.py [--data FOLDER | --dsn DSN] [--table NAME ...] [--json FILE]

Exit code 0: every table is as the log says. 1: findings. 2: no ledger, or unusable arguments. 130: interrupted.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

try:
    from ledger.cli.arguments import number
    from ledger.cli.screens import table
    from ledger.store.postgres.database import connect
    from ledger.tools.answers import Parser
    from ledger.tools.stages import Stages
    from ledger.tools.store import UNREADABLE, NoLedger, add_store_arguments, open_store, why_not
    from projections.check import TABLES, Check
    from projections.check.findings import Finding
except ImportError as error:
    print(f"check.py lacks packages ({error}): run `make run` once, or use .venv/bin/python", file=sys.stderr)
    sys.exit(2)

EPILOG: Final = f"""\
examples:
  %(prog)s                                   the ledger of `make run`, whether it runs or not
  %(prog)s --dsn postgresql://me@db/ledger   a ledger on your own PostgreSQL
  %(prog)s --table fee_days volume_days      only these
  %(prog)s --json findings.jsonl             every finding and the summary, a JSON document a line

tables: {", ".join(TABLES[:6])} (the log and what lies beside it),
  {", ".join(TABLES[6:-1])}
  and {TABLES[-1]} (the read side; it is checked at the position it holds, however far the log is)

A finding has a code, TABLE_MISSING, TABLE_EXTRA, TABLE_DIFFERS and so on, the key of its row, and for each column that
differs what is stored and what the log says. The bytes of the events are taken as they are: whether these are what was
decided is for `ledger/tools/audit/command.py`. What is wrong with the read side, `ledger/tools/rebuild.py` makes right.

exit code 0: every table is as the log says; 1: findings; 2: no ledger, or unusable arguments; 130: interrupted
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    options = _parser().parse_args(arguments)
    stages = Stages("check.py")
    try:
        with open_store(options, "ledger/tools/check.py") as dsn:
            return _check(dsn, options, stages)
    except NoLedger as error:
        _tell(stages, str(error))
        return 2
    except UNREADABLE as error:
        _tell(stages, why_not(error))
        return 2
    except OSError as error:
        _tell(stages, f"{options.json} cannot be written: {error.strerror}")
        return 2
    except KeyboardInterrupt:
        _tell(stages, "interrupted: a check keeps nothing, and changes nothing")
        return 130


def _check(dsn: str, options: argparse.Namespace, stages: Stages) -> int:
    found: Counter[str] = Counter()
    with ExitStack() as stack:
        write = _writer(stack, options.json)
        connection = stack.enter_context(connect(dsn, "check"))
        check = Check(connection, options.schema)
        names = options.table or TABLES
        for one in check.findings(names):
            if not isinstance(one, Finding):
                stages.show(*one)
                continue
            found[one.table] += 1
            write(_document(one))
            if found[one.table] <= options.rows:
                stages.clear()
                print(_line(one))
        stages.clear()
        _summarise(check, [name for name in TABLES if name in names], found, options.rows, write)
    return 1 if found else 0


def _summarise(
    check: Check, names: Sequence[str], found: Counter[str], shown_max: int, write: Callable[[dict[str, object]], None]
) -> None:
    """A line per table."""
    for name in names:
        if found[name] > shown_max:
            print(f"... {found[name] - shown_max:,} more findings in {name}: --rows N shows more, --json FILE has all")
        write({"table": name, "rows": check.rows[name], "findings": found[name]})
    rows = [(name, f"{check.rows[name]:,}", f"{found[name]:,}") for name in names]
    print("\n".join(table(("table", ".rows", ".findings"), rows)))
    total = found.total()
    print(f"{total:,} {'finding' if total == 1 else 'findings'}")


def _line(one: Finding) -> str:
    """A finding as a person reads it."""
    row = [f"{name}={value}" for name, value in one.key]
    said = [f"stored {one.stored}"] if one.stored else []
    said += [f"expected {one.expected}"] if one.expected else []
    return f"{' '.join([one.code, *row, one.column]).rstrip()}: {', '.join(said)}"


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
    """Writes documents to a file, if there is one."""
    if path is None:
        return lambda _: None
    file = stack.enter_context(path.open("w", encoding="utf-8"))
    return lambda document: print(json.dumps(document), file=file)


def _tell(stages: Stages, line: str) -> None:
    stages.clear()
    print(f"check.py: {line}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="check.py",
        description=__doc__.partition("\n")[0],
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_store_arguments(parser)
    add = parser.add_argument
    add("--table", nargs="+", choices=TABLES, metavar="NAME", help="only these tables (default: all)")
    add("--rows", type=number(1, 1_000_000), default=20, metavar="N", help="findings of a table that are printed"
        " (default %(default)s)")  # fmt: skip
    add("--json", type=Path, metavar="FILE", help="write every finding there, a JSON document a line")
    return parser


if __name__ == "__main__":
    sys.exit(main())
