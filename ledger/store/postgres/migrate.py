"""Files of SQL that bring a schema to the shape this release needs: numbered, each applied once, forward only.

`ledger.store.migration` applies what is missing, and says so in the log.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib import resources
from typing import Any, Final

from psycopg import Connection, Cursor
from psycopg.rows import tuple_row
from psycopg.sql import SQL, Identifier

EVENTS: Final = "events"
TRACKING: Final = "tracking"
SNAPSHOTS: Final = "account_snapshots"
ERASABLE: Final = "erasable_parts"
DICTIONARIES: Final = "dictionaries"
RESTORED: Final = "restored"  # is there while a ledger is being restored, and until that is finished


def channel_of(schema: str, events: str = EVENTS) -> str:
    """Return the channel of NOTIFY on which every commit is told."""
    return f"{schema}_{events}"


class MigrationError(Exception):
    """The schema was made by another version of the same file, or by a newer release."""


def missing_files(cursor: Cursor[tuple[Any, ...]], schema: str) -> dict[str, str]:
    """Return the files that a schema lacks, as text by name, in their order: all of them where there is no ledger yet.

    Raises MigrationError where another release made it, or where it is being restored.
    """
    if is_there(cursor, schema, RESTORED):
        raise MigrationError(
            f"the ledger in the schema {schema} is being restored: `fee-ledger restore finish` ends that, once"
            " `fee-ledger restore from` has brought all of it"
        )
    known = _stored(cursor, schema)
    files_of(schema, known)
    return {name: text for name, text in sorted(_files().items()) if name not in known}


def files_of(schema: str, known: Mapping[str, bytes]) -> dict[str, str]:
    """Return the files by which a schema was made, as text by name in their order, from the SHA-256 of each.

    Raises MigrationError where this release has no such file.
    """
    files = _files()
    if newer := sorted(known.keys() - files.keys()):
        raise MigrationError(f"schema {schema} was made by a newer release (it has {newer[-1]}): upgrade the ledger")
    for name, sha256 in known.items():
        if sha256 != sha256_of(files[name]):
            raise MigrationError(f"schema {schema} was made by another {name}: restore the release that made it")
    return {name: files[name] for name in sorted(known)}


def stored_migrations(connection: Connection[Any], schema: str) -> dict[str, bytes]:
    """Return the SHA-256 of each file that was applied to a schema, by its name."""
    with connection.cursor(row_factory=tuple_row) as cursor:
        return _stored(cursor, schema)


def is_there(cursor: Cursor[tuple[Any, ...]], schema: str, table: str) -> bool:
    """Return True if a schema has a table."""
    cursor.execute("SELECT to_regclass(format('%%I.%%I', %s::text, %s::text)) IS NOT NULL", (schema, table))
    return cursor.fetchone() == (True,)


def _stored(cursor: Cursor[tuple[Any, ...]], schema: str) -> dict[str, bytes]:
    if not is_there(cursor, schema, "migrations"):
        return {}
    cursor.execute(SQL("SELECT name, sha256 FROM {} ORDER BY name").format(Identifier(schema, "migrations")))
    return {name: bytes(sha256) for name, sha256 in cursor}


def apply(cursor: Cursor[Any], schema: str, name: str, text: str, *, events: str, tracking: str) -> None:
    """Run a file in the open transaction, and remember it. `events` and `tracking` are the names of these tables."""
    names = {
        "schema": schema,
        "events": events,
        "tracking": tracking,
        "events_index": f"{events}_notification_id_idx",
        "events_days": f"{events}_days",
        "events_streams": f"{events}_streams",
    }
    cursor.execute(SQL(text).format(**{name: Identifier(value) for name, value in names.items()}))
    remember = SQL("INSERT INTO {} VALUES (%s, %s)").format(Identifier(schema, "migrations"))
    cursor.execute(remember, (name, sha256_of(text)))


def migrations() -> dict[str, bytes]:
    """Return the SHA-256 of each file of this release by its name, as a schema that it made has them."""
    return {name: sha256_of(text) for name, text in _files().items()}


def migration_text(name: str) -> str:
    """Return a file of this release."""
    return _files()[name]


def sha256_of(text: str) -> bytes:
    """Return the SHA-256 of a file's text."""
    return hashlib.sha256(text.encode()).digest()


def _files() -> dict[str, str]:
    folder = resources.files(__package__).joinpath("migrations")
    return {entry.name: entry.read_text() for entry in folder.iterdir() if entry.name.endswith(".sql")}
