"""Reading the log: SQL beside the method that runs it, and the connections that it runs on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cached_property
from typing import Any, Final, Protocol, TypeAlias

from psycopg import Connection, ServerCursor
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row
from psycopg.sql import SQL, Composed, Identifier, Literal

from ledger.domain.events import Recorded, VolumeRecorded
from ledger.store.codec.compression import plain_rows
from ledger.store.codec.erasable import joined
from ledger.store.codec.events import decode
from ledger.store.codec.run_front import ADJUSTMENT_FRONT_BYTES, FRONT_BYTES
from ledger.store.leaf import Opening
from ledger.store.postgres.migrate import EVENTS

ROWS_AT_ONCE: Final = 1_000  # in memory, of rows that are read as they are taken
BYTES_AT_ONCE: Final = 4_000_000  # about so much of them, where rows may be large
_LINES_AT_ONCE: Final = 10_000  # of runs that are looked up in another table
ROW: Final = "notification_id, originator_id, originator_version, topic, state"  # as `decode` takes them
_FRONT: Final = (
    "CASE topic WHEN 'VolumeRecorded' THEN substring(state FROM 1 FOR {front})"
    " WHEN 'FeeAdjusted' THEN substring(state FROM 1 FOR {adjustment_front}) ELSE state END AS state"
)
# The keys of the log's indexes, in these very words, or PostgreSQL would not know them again. Streams other than those
# of fees lie in the order (originator_id, originator_version), fee streams in the order (day, account,
# originator_version): what trades now lies together, however old the log is.
KEYS: Final = {
    "not_fees": SQL("time_min_ns IS NULL"),
    "fees": SQL("time_min_ns IS NOT NULL"),
    "day": SQL("(time_min_ns / 86400000000000)::int"),  # the UTC day of a fee stream, as its number since 1970
    "account": SQL("split_part(originator_id, '/', 2)"),
    # At the end of what is looked up for each row of a list: with a LIMIT PostgreSQL uses the key for each of them,
    # where else it might read the whole log once.
    "one_by_one": SQL("LIMIT 1000000000"),
}
# Names of the streams in [first, end), other than fee streams, in order, by one index seek each: the next one after the
# last one.
STREAMS: Final = (
    "stream(name) AS ("
    "  (SELECT originator_id FROM {events} WHERE {not_fees} AND originator_id >= %(first)s AND originator_id < %(end)s"
    "     ORDER BY originator_id, originator_version LIMIT 1)"
    "  UNION ALL"
    "  SELECT (SELECT originator_id FROM {events} WHERE {not_fees}"
    "     AND originator_id > stream.name AND originator_id < %(end)s"
    "     ORDER BY originator_id, originator_version LIMIT 1)"
    "  FROM stream WHERE stream.name IS NOT NULL"
    ") "
)

Row: TypeAlias = tuple[Any, ...]
Parameters: TypeAlias = Sequence[Any] | Mapping[str, Any]


class Connections(Protocol):
    """The source of readers' connections: a pool, or one connection in whose transaction all is read."""

    schema: str

    def get_connection(self) -> AbstractContextManager[Connection[Any]]:
        """Give a connection until the block ends."""


class OneConnection:
    """The one connection in whose transaction all is read."""

    def __init__(self, schema: str, connection: Connection[Any]) -> None:
        self.schema = schema
        self._connection = connection

    @contextmanager
    def get_connection(self) -> Iterator[Connection[Any]]:
        """Give that connection."""
        yield self._connection


def statement(text: str) -> cached_property[bytes]:
    """Return an attribute of `Reads`: SQL for any schema, as bytes for that of its log.

    ROW stands for the columns of an event in the order that `decode` takes them, FRONT for the same with no more of a
    fill run or an adjustment than its front, of `{front}` or `{adjustment_front}` bytes; `{events}` and `{schema}` are
    names, and those in KEYS its keys. It is put together once for each log: to do so each time would cost a small read
    half as much again.
    """
    text = text.replace("FRONT", ROW.replace("state", _FRONT)).replace("ROW", ROW)

    def for_schema(reads: Reads) -> bytes:
        schema = reads.connections.schema
        names = {"events": Identifier(schema, EVENTS), "schema": Identifier(schema)}
        sizes = {"front": Literal(FRONT_BYTES), "adjustment_front": Literal(ADJUSTMENT_FRONT_BYTES)}
        return SQL(text).format(**names, **sizes, **KEYS).as_bytes()

    return cached_property(for_schema)


class Reads:
    """Reads committed rows of one ledger."""

    def __init__(self, connections: Connections) -> None:
        self.connections = connections

    _AT: Final = statement("SELECT ROW FROM {events} WHERE notification_id = %s")

    def at(self, position: int) -> Recorded:
        """Return the event at a position of the log. Raises IndexError if there is none."""
        return self._events(self._AT, (position,))[0]

    _ERASABLE: Final = statement(
        "SELECT position, nonce, content FROM {schema}.erasable_parts WHERE position = ANY(%s)"
    )

    def with_erasable(self, events: Iterable[Recorded]) -> Iterator[Recorded]:
        """Yield events with what may be erased of them, but for what was erased; few of them are in memory at once."""
        some: list[Recorded] = []
        lines = 0
        for recorded in events:
            some.append(recorded)
            lines += len(recorded.event) if isinstance(recorded.event, VolumeRecorded) else 1
            if lines >= _LINES_AT_ONCE:
                yield from self._joined(some)
                some, lines = [], 0
        yield from self._joined(some)

    def _joined(self, events: Sequence[Recorded]) -> Iterator[Recorded]:
        parts = self.erasable_parts(each.position for each in events if each.envelope.erasable_sha256)
        return (joined(each, parts[each.position].content) if each.position in parts else each for each in events)

    def erasable_parts(self, positions: Iterable[int]) -> dict[int, Opening]:
        """Return what may be erased of events by position, of those of which it is there."""
        asked = list(positions)
        rows = self._rows(self._ERASABLE, (asked,)) if asked else ()
        return {position: Opening(bytes(nonce), bytes(content)) for position, nonce, content in rows}

    def _events(self, statement: bytes, parameters: Parameters) -> list[Recorded]:
        return [decode(*row) for row in plain_rows(self._rows(statement, parameters))]

    def _rows(
        self, statement: bytes | Composed | SQL, parameters: Parameters, *, prepare: bool | None = None
    ) -> list[Row]:
        with (
            self.connections.get_connection() as connection,
            connection.cursor(binary=True, row_factory=tuple_row) as cursor,
        ):
            return cursor.execute(statement, parameters, prepare=prepare).fetchall()

    def _taken(self, name: str, statement: bytes, parameters: Sequence[Any]) -> Iterator[Row]:
        """Yield rows of events with the bytes that these had, read as they are taken, a few in memory at once."""
        with self._cursor(name) as cursor:
            cursor.execute(statement, parameters)
            size = 1
            while rows := cursor.fetchmany(size):
                yield from plain_rows(rows)
                size = min(max(BYTES_AT_ONCE // max(len(row[4]) for row in rows), 1), ROWS_AT_ONCE)

    @contextmanager
    def _cursor(self, name: str) -> Iterator[ServerCursor[Row]]:
        """Give a cursor whose rows stay in PostgreSQL until they are fetched."""
        with (
            self.connections.get_connection() as connection,
            _transaction(connection),
            connection.cursor(name, row_factory=tuple_row, binary=True) as cursor,
        ):
            yield cursor


def _transaction(connection: Connection[Any]) -> AbstractContextManager[object]:
    """Return the transaction that a connection is in, or else a new one."""
    within = connection.info.transaction_status == TransactionStatus.INTRANS
    return nullcontext() if within else connection.transaction()
