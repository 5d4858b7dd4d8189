"""Where a script that reads the log itself finds it: the folder of an embedded PostgreSQL, or a DSN."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psycopg
from eventsourcing.persistence import PersistenceError

from ledger.config import Config
from ledger.store.postgres.database import connect
from ledger.store.postgres.embedded import EmbeddedError, default_folder, reading
from ledger.store.postgres.migrate import EVENTS

UNREADABLE: Final = (EmbeddedError, psycopg.Error, PersistenceError)  # see `why_not`


class NoLedger(Exception):
    """There is none: one line with the remedy."""


def add_store_arguments(parser: argparse.ArgumentParser) -> None:
    """--data, --dsn and --schema, as `fee-ledger serve` has them."""
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--data", type=Path, metavar="FOLDER", help="of the ledger's embedded PostgreSQL (default: that"
        " of `make run`); it is started where no service keeps it running")  # fmt: skip
    place.add_argument("--dsn", default="", help="the ledger's own PostgreSQL instead")
    default = Config().schema
    parser.add_argument("--schema", type=_schema, default=default, help=f"the ledger's schema (default {default})")


@contextmanager
def open_store(options: argparse.Namespace, guest: str) -> Iterator[str]:
    """The connection string of the ledger's PostgreSQL. Raises NoLedger and UNREADABLE."""
    if options.dsn:
        _check_ledger(options.dsn, options.schema)
        yield options.dsn
        return
    with reading(options.data or default_folder(Path.cwd()), f"{guest} with pid {os.getpid()}") as dsn:
        _check_ledger(dsn, options.schema)
        yield dsn


def why_not(error: Exception) -> str:
    """In one line why a store could not be read."""
    text = " ".join(str(error).split())
    return text if isinstance(error, EmbeddedError | NoLedger) else f"PostgreSQL cannot be used: {text}"


def _check_ledger(dsn: str, schema: str) -> None:
    with connect(dsn, "start") as connection:
        found: Any = connection.execute("SELECT to_regclass(%s)::text", (f"{schema}.{EVENTS}",)).fetchone()
    if found[0] is None:
        raise NoLedger(f"there is no ledger in the schema {schema}: start one there, or name another --schema")


def _schema(text: str) -> str:
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,40}", text):
        raise argparse.ArgumentTypeError(f"{text!a} does not match [a-z_][a-z0-9_]{{0,40}}")
    return text
