"""`python -m projections --dsn ...`: the materialised tables kept by a process of their own."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Sequence

import psycopg
from eventsourcing.persistence import PersistenceError

from ledger.cli.errors import UnusableError, ended, tell
from ledger.config import KNOBS, Config
from ledger.knobs.flags import add_flags
from ledger.knobs.settings import settings_of
from ledger.log_lines import log_on_stderr
from ledger.store.log import Log
from ledger.store.postgres.database import connect, open_datastore
from ledger.store.postgres.dsn import VARIABLE
from ledger.store.postgres.session import Limits
from ledger.visible import visible_output
from projections.tables.runner import Runner
from projections.tables.tables import read_schema

_KNOBS = ("dsn", "dsn_file", "schema", "stop_grace_ms")
_EPILOG = """\
example:
  python -m ledger serve --dsn postgresql://me@db/ledger --no-projections
  python -m projections --dsn postgresql://me@db/ledger

Of several processes on one ledger one works, the others wait for it to end. Exit code 0: stopped as asked. 2: it could
not start; one line says why.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return ended(lambda: _run(arguments), "projections", unusable=(psycopg.Error, PersistenceError))


def _run(arguments: Sequence[str] | None) -> int:
    log_on_stderr()
    with visible_output():
        return _follow(arguments)


def _follow(arguments: Sequence[str] | None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m projections",
        description="Keep the materialised tables of a ledger up with its log.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_flags(parser, [KNOBS[name] for name in _KNOBS])
    settings = settings_of(parser.parse_args(arguments), _KNOBS)
    config = settings.config
    tell(0, *(f"projections: {line}" for line in settings.remarks))
    if not config.dsn:
        parser.error(f"say where the ledger's PostgreSQL is, in {VARIABLE} or by --dsn")
    try:
        connect(config.dsn, "projections").close()
    except psycopg.Error as error:
        raise UnusableError(f"PostgreSQL cannot be used: {error}") from error
    return follow(config)


def follow(config: Config) -> int:
    """Follow the log until SIGINT or SIGTERM."""
    dsn, schema = config.dsn, config.schema
    stop = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stop.set())
    limits = Limits()
    with open_datastore(dsn, schema, connections=2, limits=limits) as datastore:
        runner = Runner(Log(datastore), schema, lambda: connect(dsn, "projections", limits))
        runner.start()
        print(f"the tables in {read_schema(schema)} follow the log of {schema}. Ctrl-C stops this.", flush=True)
        stop.wait()
        limits.patience.end_within(config.stop_grace_ms / 1000)
        runner.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
