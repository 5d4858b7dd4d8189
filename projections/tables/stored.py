"""Tables as PostgreSQL has them: columns and keys out of its catalogue, rows in the order of their keys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from psycopg import Connection
from psycopg.rows import tuple_row
from psycopg.sql import SQL, Composed, Identifier

from projections.tables.rows import Row

_ROWS_PER_READ: Final = 2_000

_COLUMNS: Final = """
SELECT a.attname, format_type(a.atttypid, a.atttypmod), array_position(i.indkey::int2[], a.attnum)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
WHERE n.nspname = %s AND c.relname = %s ORDER BY a.attnum
"""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table; `key` is its place in the primary key, or None."""

    name: str
    type: str
    key: int | None


@dataclass(frozen=True, slots=True)
class StoredTable:
    """A table with a primary key. Values of rows: dates are texts, bytea is bytes, numerics are Decimal."""

    schema: str
    name: str
    columns: tuple[Column, ...]

    @property
    def key(self) -> tuple[int, ...]:
        """Return places of the primary key's columns in a row, in the order of the key."""
        places = [(column.key, place) for place, column in enumerate(self.columns) if column.key is not None]
        return tuple(place for _, place in sorted(places))

    def rows(
        self, connection: Connection[Any], *, order: Sequence[str] = (), at_once: int = _ROWS_PER_READ
    ) -> Iterator[Row]:
        """Yield all rows in the order of the key, or of some columns; in a transaction, read as they are taken.

        So many are in memory at once.
        """
        cursor_name = f"{self.schema}.{self.name}"
        with connection.cursor(cursor_name, row_factory=tuple_row, binary=True) as cursor:
            cursor.execute(self._select(order))
            while rows := cursor.fetchmany(at_once):
                yield from map(tuple, rows)

    def count(self, connection: Connection[Any]) -> int:
        """Return the number of rows."""
        found = connection.execute(SQL("SELECT count(*) FROM {}").format(self._identifier)).fetchone()
        assert found is not None
        return int(found[0])

    def digest(self, connection: Connection[Any]) -> str:
        """Return 16 hexadecimal digits that are the same for the same rows in any order; for use on one server."""
        statement = SQL("SELECT coalesce(sum(hashtextextended(row::text, 0)), 0) FROM {} AS row")
        found = connection.execute(statement.format(self._identifier)).fetchone()
        assert found is not None
        return f"{int(found[0]) % 2**64:016x}"

    def normal(self, row: Row) -> Row:
        """Return a row of ours with its values as those of stored rows are."""
        return tuple(
            Decimal(value) if column.type == "numeric" and value is not None else value
            for column, value in zip(self.columns, row, strict=True)
        )

    @property
    def _identifier(self) -> Identifier:
        return Identifier(self.schema, self.name)

    def _select(self, order: Sequence[str]) -> Composed:
        by = order or [self.columns[place].name for place in self.key]
        types = {column.name: column.type for column in self.columns}
        return SQL("SELECT {} FROM {} ORDER BY {}").format(
            SQL(", ").join(map(_selected, self.columns)),
            self._identifier,
            SQL(", ").join(_ordered(name, types[name]) for name in by),
        )


def stored_table(connection: Connection[Any], schema: str, name: str) -> StoredTable | None:
    """Return a table as it is; None: there is no such table, or it has no key."""
    with connection.cursor(row_factory=tuple_row) as cursor:
        columns = tuple(Column(*row) for row in cursor.execute(_COLUMNS, (schema, name)).fetchall())
    return StoredTable(schema, name, columns) if any(column.key is not None for column in columns) else None


def _selected(column: Column) -> Composed:
    cast = SQL("::text") if column.type == "date" else SQL("")
    return SQL("{}{}").format(Identifier(column.name), cast)


def _ordered(name: str, kind: str) -> Composed:
    """Order by a column as Python does, whatever the language of the database."""
    return SQL('{} COLLATE "C"' if kind == "text" else "{}").format(Identifier(name))
