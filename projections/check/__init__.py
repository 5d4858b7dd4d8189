"""Every table derived from the log again, and compared row by row with what is stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from psycopg import Connection
from psycopg.sql import SQL, Identifier

from ledger.store.log import Log
from projections.check.findings import Finding, Rows
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
        self.rows: Rows = Counter()  # looked at, by table

    def findings(self, names: Sequence[str] = TABLES) -> Iterator[Finding | Progress]:
        """What differs in some tables, as it is found."""
        with self._snapshot() as log:
            if set(names) & set(LOG_TABLES):
                yield from _of(names, check_log_tables(log, self._connection, self._schema, self.rows))
            if set(names) & set(READ_TABLES):
                yield from _of(names, check_read_tables(log, self._connection, self._schema, self.rows))

    @contextmanager
    def _snapshot(self) -> Iterator[Log]:
        """Tables are locked before the snapshot is taken, so that a rebuild replaces none while they are read."""
        places = [
            Identifier(schema, name)
            for schema in (self._schema, read_schema(self._schema))
            for (name,) in self._connection.execute(_THAT_EXIST, (schema,)).fetchall()
        ]
        with self._connection.transaction():
            self._connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            self._connection.execute(SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(SQL(", ").join(places)))
            yield Log(_OneConnection(self._schema, self._connection))


class _OneConnection:
    """In whose transaction all is read."""

    def __init__(self, schema: str, connection: Connection[Any]) -> None:
        self.schema = schema
        self._connection = connection

    @contextmanager
    def get_connection(self) -> Iterator[Connection[Any]]:
        """That one."""
        yield self._connection


def _of(names: Sequence[str], found: Iterator[Finding | Progress]) -> Iterator[Finding | Progress]:
    return (one for one in found if isinstance(one, Progress) or one.table in names)
