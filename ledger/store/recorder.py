"""The library's Postgres recorder with the insert replaced: positions in commit order, binary COPY, no pipeline.

The stock insert hangs for ever on large statements (it pipelines through a full socket buffer) and takes a table lock
that waits for VACUUM. Here order is held by an advisory transaction lock, and the writer assigns the positions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Final

from eventsourcing.persistence import StoredEvent, Tracking
from eventsourcing.postgres import PostgresDatastore, PostgresProcessRecorder
from psycopg import Connection
from psycopg.sql import SQL, Composed, Identifier

from ledger.store.migration import migrate
from ledger.store.postgres.migrate import ERASABLE, EVENTS, TRACKING, channel_of
from ledger.store.rows import COLUMNS, COPY_BEGINS, COPY_ENDS, LogRows, Row, erasable_copied

_ROWS_AT_ONCE: Final = 256  # that are sent in one piece


class LedgerRecorder(PostgresProcessRecorder):
    """Stores events; reading, subscriptions and tracking are the library's own."""

    def __init__(
        self, datastore: PostgresDatastore, *, events_table_name: str = EVENTS, tracking_table_name: str = TRACKING
    ) -> None:
        super().__init__(datastore, events_table_name=events_table_name, tracking_table_name=tracking_table_name)
        self.sql_create_statements.clear()  # our migrations create the tables
        self.channel_name = channel_of(datastore.schema, events_table_name)
        table = SQL("{}.{}").format(Identifier(datastore.schema), Identifier(events_table_name))
        self._copy = SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(
            table, SQL(", ").join(map(Identifier, COLUMNS))
        )
        self._copy_erasable = SQL("COPY {} FROM STDIN (FORMAT BINARY)").format(Identifier(datastore.schema, ERASABLE))
        self._next_position = SQL("SELECT coalesce(max(notification_id), 0) + 1 FROM {}").format(table)
        self.commit_order = SQL("SELECT pg_advisory_xact_lock(hashtextextended({}, 0))").format(
            f"{datastore.schema}:commit"
        )

    def create_table(self) -> None:
        """Bring the schema up to date."""
        with self.datastore.get_connection() as connection:
            migrate(
                connection,
                self.datastore.schema,
                events=self.events_table_name,
                tracking=self.tracking_table_name,
            )

    def insert_events(
        self, stored_events: Sequence[StoredEvent], *, tracking: Tracking | None = None, **_: Any
    ) -> Sequence[int]:
        """Store events of whoever calls, at the next positions, and return these. The ledger's writer calls `append`.

        Raises IntegrityError if a (stream, version) is taken or the tracking has been recorded; then nothing is stored.
        """
        with self.datastore.get_connection() as connection, connection.transaction(), connection.cursor() as cursor:
            if tracking is not None:
                self._insert_tracking(cursor, tracking)
            if not stored_events:
                return []
            cursor.execute(self.commit_order)
            found = cursor.execute(self._next_position).fetchone()
            assert found is not None
            first: int = next(iter(found.values()))
            self.append(
                connection,
                LogRows(
                    Row(str(event.originator_id), event.originator_version, event.topic, event.state, position)
                    for position, event in enumerate(stored_events, first)
                ),
            )
            self._notify_channel(cursor)
            return list(range(first, first + len(stored_events)))

    def begin(self, connection: Connection[Any]) -> None:
        """Open a transaction that commits after all begun before it: followers never see a gap that fills later."""
        connection.execute(SQL("BEGIN; {}").format(self.commit_order))

    def append(self, connection: Connection[Any], rows: LogRows) -> None:
        """Store rows at the positions they carry, with what may be erased of them, in the open transaction.

        IntegrityError: a position is taken.
        """
        _copy_in(connection, self._copy, rows.copied())
        if erasable := rows.erasable():
            _copy_in(connection, self._copy_erasable, map(erasable_copied, erasable))


def _copy_in(connection: Connection[Any], statement: Composed, copied: Iterator[bytes]) -> None:
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(COPY_BEGINS)
        while some := b"".join(islice(copied, _ROWS_AT_ONCE)):
            copy.write(some)
        copy.write(COPY_ENDS)
