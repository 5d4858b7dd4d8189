"""Make the read side's tables anew from the log, beside the live ones, compare both, and put them in their place."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from itertools import count
from typing import Any, Final

import psycopg

from ledger.cli import Options, argument
from ledger.cli.arguments import number
from ledger.cli.errors import UnusableError
from ledger.cli.screens import table
from ledger.store.log import Log
from ledger.store.postgres.database import connect, open_datastore
from ledger.tools.group import TOOLS
from ledger.tools.progress import ProgressBar
from ledger.tools.store import open_store, store_arguments
from projections.tables.rebuild import (
    ROWS_PER_TRANSACTION,
    Compared,
    Rebuild,
    StillNeeded,
    TableCompared,
    old_schema,
    take_rebuild_lock,
)
from projections.tables.tables import read_schema

_ATTEMPT_S: Final = 0.2
_AGAIN: Final = "run the same command again, and it goes on"
_NOTES: Final = """\
The service, and whoever reads the tables with SQL, go on: they see the old tables, then the new
ones. Press Ctrl-C whenever you like, or let it be killed, and run the same command again: it goes
on where it stopped. With --keep-old the tables that were replaced stay in the schema
ledger_read_old, or what yours is called, until the next rebuild.

exit code 0: the new tables are live, and equal the old ones; 1: they are live, and the old ones
were wrong; 2: no ledger, or another rebuild runs; 130: interrupted"""


@TOOLS.add(
    "rebuild",
    "make the tables of the read side anew from the log, compare, and switch",
    "rebuild",
    "rebuild --dsn postgresql://me@db/ledger",
    "rebuild --keep-old",
    arguments=(
        argument("--keep-old", action="store_true",
                 help="leave the tables that were replaced in place until the next rebuild"),
        argument("--rows", type=number(1, 10_000_000), default=ROWS_PER_TRANSACTION, metavar="N",
                 help="of one transaction (default %(default)s)"),
        argument("--anew", action="store_true", help="begin from the start, whatever an earlier rebuild has left"),
    ),
    parents=(store_arguments,),
    notes=_NOTES,
    interrupted=_AGAIN,
    to_the_end=True,
)  # fmt: skip
def _rebuild(options: Options) -> int:
    name = f"rebuild by pid {os.getpid()} on {platform.node()[:20]}"
    with ExitStack() as stack:
        dsn = stack.enter_context(open_store(options, _AGAIN))
        connection = stack.enter_context(connect(dsn, name))
        log = Log(stack.enter_context(closing(open_datastore(dsn, options.schema, connections=2))))
        progress = ProgressBar()
        stack.callback(progress.clear)
        _check(connection, options.schema)
        connection.execute("SET synchronous_commit = off")  # lost rows and their position are lost together
        rebuild = Rebuild(log, options.schema, connection, rows_per_transaction=options.rows)
        try:
            compared = _replace(rebuild, log, dsn, options, progress)
        except StillNeeded as error:
            raise UnusableError(str(error)) from error
    return 0 if all(one.same for one in compared.tables) else 1


def _replace(rebuild: Rebuild, log: Log, dsn: str, options: Options, progress: ProgressBar) -> Compared:
    """Make the tables, compare them, put them in the place of the live ones, and say so."""
    if rebuild.begin(anew=options.anew):
        print(f"fee-ledger: going on with the tables in {rebuild.next}", file=sys.stderr)
    for step in rebuild.fill():
        progress.show(*step)
    with connect(dsn, "rebuild compares") as live, live.transaction():
        live.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        compared = rebuild.compare(live)
    for step in rebuild.catch_up(log.head().position):
        progress.show(*step)
    kept = rebuild.switch(keep_old=options.keep_old, wait=_waiting(progress))
    progress.clear()
    _report(compared)
    print(f"the new tables are live at position {rebuild.position_live()}, after {progress.seconds:.1f} s")
    if kept or options.keep_old:
        print(f"the old tables stay in {old_schema(options.schema)}{': ' if kept else ''}{kept}")
    return compared


def _check(connection: psycopg.Connection[Any], schema: str) -> None:
    """Refuse what could not end well."""
    owners = (
        "SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = %s AND nspowner <> current_user::regrole"
    )
    if owner := connection.execute(owners, (read_schema(schema),)).fetchone():
        raise UnusableError(f"the tables belong to the role {owner[0]}, who would lose them: rebuild as {owner[0]}")
    if first := take_rebuild_lock(connection, schema):
        raise UnusableError(f"another rebuild runs ({first}): wait for it, or end it")


def _waiting(progress: ProgressBar) -> Callable[[], None]:
    """Return what waits between two attempts to switch, and counts them."""
    attempts = count(1)

    def wait() -> None:
        progress.show("attempts to switch", next(attempts), more=", readers do not let go of the live tables")
        time.sleep(_ATTEMPT_S)

    return wait


def _report(compared: Compared) -> None:
    """Print a line per table: what was wrong with the live one."""
    if compared.why_not:
        print(compared.why_not)
        return
    rows = [(one.table, f"{one.rows:,}", *_differs(one), one.digest) for one in compared.tables]
    print("\n".join(table(("table", ".rows", ".added", ".removed", ".changed", "digest"), rows)))
    wrong = sum(not one.same for one in compared.tables)
    said = f"{wrong} of them differed" if wrong else "the live ones were the same"
    print(f"compared at position {compared.position}: {said}")


def _differs(one: TableCompared) -> tuple[str, str, str]:
    if not one.live_digest:
        return ("new", "", "")
    return (f"{one.added:,}", f"{one.removed:,}", f"{one.changed:,}")
