"""The log as an owner finds it who means harm: without its triggers."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier


def unguard(connection: psycopg.Connection[Any], schema: str) -> None:
    """Disable what refuses to change the log of a schema."""
    for table in ("events", "commits", "requests", "erasable_parts", "dictionaries"):
        connection.execute(SQL("ALTER TABLE {} DISABLE TRIGGER refuse_change").format(Identifier(schema, table)))
