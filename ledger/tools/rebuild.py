"""Make the read side's tables anew from the log, beside the live ones, compare both, and put them in their place.

    .venv/bin/python ledger/tools/rebuild.py [--data FOLDER | --dsn DSN] [--keep-old]

Exit code 0: the new tables are live, and equal the old ones. 1: they are live, and the old ones were wrong. 2: no
ledger, or another rebuild runs. 130: interrupted.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from typing import Any, Final

try:
    import psycopg

    from ledger.cli.arguments import number
    from ledger.cli.screens import table
    from ledger.store.log import Log
    from ledger.store.postgres.database import connect, open_datastore
    from ledger.store.postgres.embedded import EmbeddedError
    from ledger.tools.answers import Parser
    from ledger.tools.stages import Stages
    from ledger.tools.store import UNREADABLE, NoLedger, add_store_arguments, open_store, why_not
    from projections.tables.rebuild import (
        ROWS_PER_TRANSACTION,
        Compared,
        Rebuild,
        StillNeeded,
        old_schema,
        take_rebuild_lock,
    )
    from projections.tables.tables import read_schema
except ImportError as error:
    print(f"rebuild.py lacks packages ({error}): run `make run` once, or use .venv/bin/python", file=sys.stderr)
    sys.exit(2)

EPILOG: Final = """\
examples:
  %(prog)s                                   the ledger of `make run`, whether it runs or not
  %(prog)s --dsn postgresql://me@db/ledger   a ledger on your own PostgreSQL
  %(prog)s --keep-old                        leave the tables that were replaced in the schema ledger_read_old

The service, and whoever reads the tables with SQL, go on: they see the old tables, then the new ones. Press Ctrl-C
whenever you like, or let it be killed, and run the same command again: it goes on where it stopped.

exit code 0: the new tables are live, and equal the old ones; 1: they are live, and the old ones were wrong; 2: no
ledger, or another rebuild runs; 130: interrupted
"""


class Refused(Exception):
    """Why no rebuild can run: one line with the remedy."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    options = _parser().parse_args(arguments)
    stages = Stages("rebuild.py")
    try:
        with open_store(options, "ledger/tools/rebuild.py") as dsn:
            return _rebuild(dsn, options, stages)
    except (NoLedger, Refused, StillNeeded) as error:
        _tell(stages, str(error))
        return 2
    except UNREADABLE as error:
        kept = "" if isinstance(error, EmbeddedError) else "; run the same command again, and it goes on"
        _tell(stages, why_not(error) + kept)
        return 2
    except KeyboardInterrupt:
        _tell(stages, "interrupted: run the same command again, and it goes on")
        return 130


def _rebuild(dsn: str, options: argparse.Namespace, stages: Stages) -> int:
    began_s = time.monotonic()
    name = f"rebuild by pid {os.getpid()} on {platform.node()[:20]}"
    with connect(dsn, name) as connection, closing(open_datastore(dsn, options.schema, connections=2)) as datastore:
        _check(connection, options.schema)
        connection.execute("SET synchronous_commit = off")  # lost rows and their position are lost together
        log = Log(datastore)
        rebuild = Rebuild(log, options.schema, connection, rows_per_transaction=options.rows)
        if rebuild.begin(anew=options.anew):
            _tell(stages, f"going on with the tables in {rebuild.next}")
        for step in rebuild.fill():
            stages.show(*step)
        with connect(dsn, "rebuild compares") as live, live.transaction():
            live.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            compared = rebuild.compare(live)
        for step in rebuild.catch_up(log.head().position):
            stages.show(*step)
        kept = rebuild.switch(keep_old=options.keep_old, wait=lambda: _wait(stages))
        stages.clear()
        _report(compared)
        position = rebuild.position_live()
        print(f"the new tables are live at position {position:,}, after {time.monotonic() - began_s:.1f} s")
        if kept or options.keep_old:
            _tell(stages, f"the old tables stay in {old_schema(options.schema)}{': ' if kept else ''}{kept}")
    return 0 if all(one.same for one in compared.tables) else 1


def _check(connection: psycopg.Connection[Any], schema: str) -> None:
    """Refuse what could not end well."""
    owners = (
        "SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = %s AND nspowner <> current_user::regrole"
    )
    if owner := connection.execute(owners, (read_schema(schema),)).fetchone():
        raise Refused(f"the tables belong to the role {owner[0]}, who would lose them: rebuild as {owner[0]}")
    if first := take_rebuild_lock(connection, schema):
        raise Refused(f"another rebuild runs ({first}): wait for it, or end it")


def _wait(stages: Stages) -> None:
    stages.show("switches: readers do not let go of the live tables", 0, 1)
    time.sleep(0.2)


def _report(compared: Compared) -> None:
    """A line per table: what was wrong with the live one."""
    if compared.why_not:
        print(compared.why_not)
        return
    rows = [(one.table, f"{one.rows:,}", *_differs(one), one.digest) for one in compared.tables]
    print("\n".join(table(("table", ".rows", ".added", ".removed", ".changed", "digest"), rows)))
    wrong = sum(not one.same for one in compared.tables)
    said = f"{wrong} of them differed" if wrong else "the live ones were the same"
    print(f"compared at position {compared.position:,}: {said}")


def _differs(one: Any) -> tuple[str, str, str]:
    if not one.live_digest:
        return ("new", "", "")
    return (f"{one.added:,}", f"{one.removed:,}", f"{one.changed:,}")


def _tell(stages: Stages, line: str) -> None:
    stages.clear()
    print(f"rebuild.py: {line}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="rebuild.py",
        description=__doc__.partition("\n")[0],
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_store_arguments(parser)
    add = parser.add_argument
    add("--keep-old", action="store_true", help="leave the tables that were replaced in place until the next rebuild")
    add("--rows", type=number(1, 10_000_000), default=ROWS_PER_TRANSACTION, metavar="N", help="of one transaction"
        " (default %(default)s)")  # fmt: skip
    add("--anew", action="store_true", help="begin from the start, whatever an earlier rebuild has left")
    return parser


if __name__ == "__main__":
    sys.exit(main())
