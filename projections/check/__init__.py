"""Derives every table from the log again, and compares it row by row with the stored one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from psycopg import Connection
from psycopg.sql import SQL, Identifier

from ledger.store.log import Log
from ledger.store.reads import OneConnection
from projections.check.findings import Counts, Finding
from projections.check.log_tables import LOG_TABLES, check_log_tables
from projections.check.read_tables import READ_TABLES, check_read_tables
from projections.tables.progress import Progress
from projections.tables.tables import read_schema

TABLES: Final = (*LOG_TABLES, *READ_TABLES)

_THAT_EXIST: Final = "SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace(%s) AND relkind = 'r'"


class Check:
    """One check of a ledger. It sees one snapshot of the database, and changes nothing."""

    def __init__(self, connection: Connection[Any], schema: str) -> None:
        self._connection = connection
        self._schema = schema
        self.rows: Counts = Counter()  # looked at, by table

    def findings(self, names: Sequence[str] = TABLES) -> Iterator[Finding | Progress]:
        """Yield differences in some tables, as they are found."""
        with self._snapshot() as log:
            for tables, check in ((LOG_TABLES, check_log_tables), (READ_TABLES, check_read_tables)):
                if set(names) & set(tables):
                    yield from _of(names, check(log, self._connection, self._schema, self.rows))

    @contextmanager
    def _snapshot(self) -> Iterator[Log]:
        """Give the log in a snapshot. Tables are locked before it, so that a rebuild replaces none meanwhile."""
        places = [
            Identifier(schema, name)
            for schema in (self._schema, read_schema(self._schema))
            for (name,) in self._connection.execute(_THAT_EXIST, (schema,)).fetchall()
        ]
        with self._connection.transaction():
            self._connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            self._connection.execute(SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(SQL(", ").join(places)))
            yield Log(OneConnection(self._schema, self._connection))


def _of(names: Sequence[str], found: Iterator[Finding | Progress]) -> Iterator[Finding | Progress]:
    return (one for one in found if isinstance(one, Progress) or one.table in names)
