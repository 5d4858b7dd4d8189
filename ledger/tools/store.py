"""Where a tool that reads the log itself finds it: in the folder of an embedded PostgreSQL, or by a DSN."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import psycopg
from eventsourcing.persistence import PersistenceError
from psycopg.errors import InsufficientPrivilege

from ledger.cli import Options, argument
from ledger.cli.arguments import Parser
from ledger.cli.errors import UnusableError, tell
from ledger.cli.subcommands import Argument
from ledger.config import Config
from ledger.store.postgres.database import connect
from ledger.store.postgres.dsn import HELP, chosen, exposed
from ledger.store.postgres.embedded import EmbeddedError, reading
from ledger.store.postgres.folders import default_folder
from ledger.store.postgres.migrate import EVENTS


def store_arguments() -> Parser:
    """Return what every tool takes that reads the log itself, as `fee-ledger serve` has it."""
    parser = Parser(add_help=False)
    add = parser.add_argument_group("where the log is").add_argument
    add("--data", type=Path, metavar="FOLDER", help="of the ledger's embedded PostgreSQL, which is started if no"
        " service keeps it running (default: that of `fee-ledger serve`)")  # fmt: skip
    add("--dsn", default="", help=f"the ledger's own PostgreSQL instead, for example postgresql://me@db/ledger {HELP}")
    names, settings = schema_argument()
    add(*names, **settings)
    return parser


def schema_argument() -> Argument:
    """Return the argument that names a ledger's schema."""
    default = Config().schema
    return argument("--schema", type=_schema, default=default, help=f"the ledger's schema (default {default})")


def own_dsn(said: str, data: Path | None = None) -> str:
    """Return the connection string of a PostgreSQL of one's own, as `chosen`, and warn of a password in --dsn."""
    dsn = chosen(said, data)
    if dsn and (warning := exposed(dsn)):
        tell(0, f"fee-ledger: {warning}")
    return dsn


@contextmanager
def open_store(options: Options, remedy: str = "") -> Iterator[str]:
    """Yield the connection string of the ledger's PostgreSQL, which stays up until the block ends.

    Raises UnusableError if there is no ledger, or if PostgreSQL fails within the block; then it ends with `remedy`.
    """
    if options.dsn and options.data:
        raise UnusableError("--data is for the embedded PostgreSQL, --dsn for your own: give one of them")
    try:
        with _postgres(options) as dsn:
            _check_ledger(dsn, options.schema)
            yield dsn
    except EmbeddedError as error:
        raise UnusableError(str(error)) from error
    except (psycopg.Error, PersistenceError) as error:
        fault = f"PostgreSQL cannot be used: {str(error).strip()}"
        if isinstance(error, InsufficientPrivilege) or isinstance(error.__cause__, InsufficientPrivilege):
            remedy = "give the --dsn of the role of the service"
        raise UnusableError("; ".join(filter(None, (fault, remedy)))) from error


def _postgres(options: Options) -> AbstractContextManager[str]:
    """Return a block in which a PostgreSQL runs; it gives the connection string."""
    if dsn := own_dsn(options.dsn, options.data):
        return nullcontext(dsn)
    folder = options.data or default_folder()
    return reading(folder, f"`fee-ledger {options.command}` with pid {os.getpid()}")


def _check_ledger(dsn: str, schema: str) -> None:
    with connect(dsn, "start") as connection:
        found: Any = connection.execute("SELECT to_regclass(%s)::text", (f"{schema}.{EVENTS}",)).fetchone()
    if found[0] is None:
        raise UnusableError(f"there is no ledger in the schema {schema}: start one there, or name another --schema")


def _schema(text: str) -> str:
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,40}", text):
        raise argparse.ArgumentTypeError(f"{text!a} does not match [a-z_][a-z0-9_]{{0,40}}")
    return text
