"""Brings a schema to the shape this release needs: numbered files, each applied once, forward only."""

from __future__ import annotations

import hashlib
from importlib import resources
from typing import Any, Final

from psycopg import Connection
from psycopg.sql import SQL, Identifier

EVENTS: Final = "events"
TRACKING: Final = "tracking"


class MigrationError(Exception):
    """The schema was made by another version of the same file, or by a newer release."""


def migrate(connection: Connection[Any], schema: str, *, events: str = EVENTS, tracking: str = TRACKING) -> list[str]:
    """Apply what is missing, one transaction per file, safe to run from many processes; returns the names applied."""
    names = {"schema": schema, "events": events, "tracking": tracking, "events_index": f"{events}_notification_id_idx"}
    identifiers = {name: Identifier(value) for name, value in names.items()}
    applied = []
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"{schema}:migrate"])
        connection.execute(SQL("CREATE SCHEMA IF NOT EXISTS {schema}").format(**identifiers))
        connection.execute(
            SQL("CREATE TABLE IF NOT EXISTS {schema}.migrations (name text PRIMARY KEY, sha256 bytea NOT NULL)").format(
                **identifiers
            )
        )
        rows = connection.execute(SQL("SELECT name, sha256 FROM {schema}.migrations").format(**identifiers)).fetchall()
        known = {_field(row, "name", 0): bytes(_field(row, "sha256", 1)) for row in rows}
        files = _files()
        if newer := sorted(known.keys() - files.keys()):
            raise MigrationError(
                f"schema {schema} was made by a newer release (it has {newer[-1]}): upgrade the ledger"
            )
        for name, text in sorted(files.items()):
            sha256 = _sha256(text)
            if name in known:
                if known[name] != sha256:
                    raise MigrationError(
                        f"schema {schema} was made by another {name}: restore the release that made it"
                    )
                continue
            connection.execute(SQL(text).format(**identifiers))
            connection.execute(
                SQL("INSERT INTO {schema}.migrations VALUES (%s, %s)").format(**identifiers), [name, sha256]
            )
            applied.append(name)
    return applied


def migrations() -> dict[str, bytes]:
    """SHA-256 of each file of this release by its name, as a schema that it made has them."""
    return {name: _sha256(text) for name, text in _files().items()}


def _sha256(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _files() -> dict[str, str]:
    folder = resources.files(__package__).joinpath("migrations")
    return {entry.name: entry.read_text() for entry in folder.iterdir() if entry.name.endswith(".sql")}


def _field(row: Any, name: str, index: int) -> Any:
    return row[name] if isinstance(row, dict) else row[index]
