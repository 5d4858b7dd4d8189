"""A ledger with its live tables, for tests of what is made from the log and compared with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier

from projections.tables.rebuild import Compared, Rebuild
from projections.tables.rows import TABLES
from projections.tables.stored import stored_table
from projections.tables.tables import Tables, read_schema
from tests.write_side import Writing


@dataclass
class Site:
    """A ledger with its live tables at the log's head."""

    writing: Writing
    dsn: str
    connection: psycopg.Connection[Any]

    @property
    def schema(self) -> str:
        return self.writing.config.schema

    def rebuild(self, **settings: Any) -> Rebuild:
        return Rebuild(self.writing.log, self.schema, self.connection, **settings)

    def advance(self) -> None:
        """The live tables to the head, as the runner does it."""
        tables = Tables(self.writing.log, self.schema)
        assert tables.advance(self.connection, tables.position(self.connection), self.writing.log.head().position)

    def compare(self, rebuild: Rebuild) -> Compared:
        with psycopg.connect(self.dsn) as live:
            live.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            return rebuild.compare(live)

    def execute(self, text: str) -> None:
        self.connection.execute(SQL(text).format(read=Identifier(read_schema(self.schema))))  # type: ignore[arg-type]

    def rows(self, read: str = "") -> dict[str, list[Any]]:
        """All rows of all tables."""
        found = {}
        with self.connection.transaction():
            for name in (*TABLES, "position"):
                table = stored_table(self.connection, read or read_schema(self.schema), name)
                assert table is not None, name
                found[name] = list(table.rows(self.connection))
        return found

    def schemas(self) -> set[str]:
        statement = "SELECT nspname FROM pg_namespace WHERE starts_with(nspname, %s)"
        return {name for (name,) in self.connection.execute(statement, (f"{self.schema}_",)).fetchall()}
