"""Files of SQL that bring a schema to the shape this release needs: numbered, each applied once, forward only.

`ledger.store.migration` applies what is missing, and says so in the log.
"""

from __future__ import annotations

import hashlib
from importlib import resources
from typing import Any, Final

from psycopg import Cursor
from psycopg.sql import SQL, Identifier

EVENTS: Final = "events"
TRACKING: Final = "tracking"


def channel_of(schema: str, events: str = EVENTS) -> str:
    """Return the channel of NOTIFY on which every commit is told."""
    return f"{schema}_{events}"


class MigrationError(Exception):
    """The schema was made by another version of the same file, or by a newer release."""


def missing_files(cursor: Cursor[tuple[Any, ...]], schema: str) -> dict[str, str]:
    """Return the files that a schema lacks, as text by name, in their order: all of them where there is no ledger yet.

    Raises MigrationError where another release made it.
    """
    cursor.execute("SELECT to_regclass(format('%%I.migrations', %s::text))::text", (schema,))
    known: dict[str, bytes] = {}
    if cursor.fetchone() != (None,):
        cursor.execute(SQL("SELECT name, sha256 FROM {}").format(Identifier(schema, "migrations")))
        known = {name: bytes(sha256) for name, sha256 in cursor}
    files = _files()
    if newer := sorted(known.keys() - files.keys()):
        raise MigrationError(f"schema {schema} was made by a newer release (it has {newer[-1]}): upgrade the ledger")
    for name, sha256 in known.items():
        if sha256 != sha256_of(files[name]):
            raise MigrationError(f"schema {schema} was made by another {name}: restore the release that made it")
    return {name: text for name, text in sorted(files.items()) if name not in known}


def apply(cursor: Cursor[Any], schema: str, name: str, text: str, *, events: str, tracking: str) -> None:
    """Run a file in the open transaction, and remember it. `events` and `tracking` are the names of these tables."""
    names = {"schema": schema, "events": events, "tracking": tracking, "events_index": f"{events}_notification_id_idx"}
    cursor.execute(SQL(text).format(**{name: Identifier(value) for name, value in names.items()}))
    remember = SQL("INSERT INTO {} VALUES (%s, %s)").format(Identifier(schema, "migrations"))
    cursor.execute(remember, (name, sha256_of(text)))


def migrations() -> dict[str, bytes]:
    """Return the SHA-256 of each file of this release by its name, as a schema that it made has them."""
    return {name: sha256_of(text) for name, text in _files().items()}


def sha256_of(text: str) -> bytes:
    """Return the SHA-256 of a file's text."""
    return hashlib.sha256(text.encode()).digest()


def _files() -> dict[str, str]:
    folder = resources.files(__package__).joinpath("migrations")
    return {entry.name: entry.read_text() for entry in folder.iterdir() if entry.name.endswith(".sql")}
