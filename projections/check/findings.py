"""The findings of a check: rows that are not as the log says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from projections.tables.differences import RowDifference, differences
from projections.tables.rows import Row
from projections.tables.stored import StoredTable

MISSING: Final = "MISSING"  # the log has such a row, the table has not
EXTRA: Final = "EXTRA"  # the table has a row that the log knows nothing of
DIFFERS: Final = "DIFFERS"  # a column has another value than the log says
ABSENT: Final = "ABSENT"  # there is no such table, or it has no key
SHAPE: Final = "SHAPE_DIFFERS"  # it has other columns than this release
UNREADABLE: Final = "UNREADABLE"  # bytes that are no event of this release

Counts: TypeAlias = Counter[str]


@dataclass(frozen=True, slots=True)
class Finding:
    """A row that differs; `column` is empty where it is about a whole row, `key` where it is about a whole table."""

    table: str
    kind: str
    key: tuple[tuple[str, str], ...] = ()
    column: str = ""
    stored: str = ""
    expected: str = ""

    @property
    def code(self) -> str:
        """Return the stable name of a fault, for example VIP_INTERVALS_MISSING."""
        return f"{self.table.upper()}_{self.kind}"


def finding(table: str, kind: str, *, column: str = "", stored: Any = "", expected: Any = "", **key: object) -> Finding:
    """Return a finding about the row with a key."""
    named = tuple((name, shown(value)) for name, value in key.items())
    return Finding(table, kind, named, column, shown(stored), shown(expected))


def shown(value: object) -> str:
    """Return a value of a column as a person reads it."""
    if value is None:
        return "null"
    if value == "":
        return '""'
    return value.hex() if isinstance(value, bytes) else str(value)


def absent(table: str) -> Finding:
    """Return a finding about a table that cannot be read at all."""
    return Finding(table, ABSENT, stored="no such table, or none with a key")


class StoredRows:
    """The rows of a table in the order of their first column, taken stretch by stretch."""

    def __init__(self, name: str, rows: Iterable[Row], counted: Counts, *, place: int = 0) -> None:
        self._name = name
        self._rows = iter(rows)
        self._counted = counted
        self._place = place
        self._next = next(self._rows, None)

    def through(self, bound: Any) -> Iterator[Row]:
        """Yield rows up to a value of the column they are ordered by, included."""
        while self._next is not None and self._next[self._place] <= bound:
            yield self._take()

    def rest(self) -> Iterator[Row]:
        """Yield all rows that are left."""
        while self._next is not None:
            yield self._take()

    def _take(self) -> Row:
        row = self._next
        assert row is not None
        self._counted[self._name] += 1
        self._next = next(self._rows, None)
        return row


def compared(table: StoredTable, stored: Iterable[Row], expected: Iterable[Row]) -> Iterator[Finding]:
    """Yield findings of a stretch of a table; stored rows come in the order of the key, expected ones in any."""
    rows = sorted(map(table.normal, expected), key=lambda row: tuple(row[place] for place in table.key))
    for one in differences(stored, rows, table.key):
        yield from _of_row(table, one)


def _of_row(table: StoredTable, one: RowDifference) -> Iterator[Finding]:
    names = [column.name for column in table.columns]
    key = tuple((names[place], shown(value)) for place, value in zip(table.key, one.key, strict=True))
    if one.stored is None:
        yield Finding(table.name, MISSING, key, expected=_listed(names, one.expected))
    elif one.expected is None:
        yield Finding(table.name, EXTRA, key, stored=_listed(names, one.stored))
    else:
        for name, stored, expected in zip(names, one.stored, one.expected, strict=True):
            if stored != expected:
                yield Finding(table.name, DIFFERS, key, name, shown(stored), shown(expected))


def _listed(names: Iterable[str], row: Row | None) -> str:
    return ", ".join(f"{name} {shown(value)}" for name, value in zip(names, row or (), strict=True))
