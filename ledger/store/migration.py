"""Brings the schema of a ledger to the shape this release needs, as its owner, and says so in the log."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Any, Final

from psycopg import Connection, Cursor
from psycopg.rows import tuple_row
from psycopg.sql import SQL, Identifier

from ledger.clock import WallClock
from ledger.domain.events import Envelope, MigrationApplied, MigrationFile, WriterStarted
from ledger.domain.streams import LEDGER
from ledger.store.codec.events import decode, encode
from ledger.store.commit_statement import CommitStatement
from ledger.store.dictionaries import dictionary_name, faulty_dictionaries, put_dictionaries
from ledger.store.digest import Show, events_digest
from ledger.store.postgres.migrate import EVENTS, TRACKING, apply, is_there, missing_files, sha256_of
from ledger.store.postgres.roles import grant_rights
from ledger.store.rows import Row

_MIGRATIONS: Final = "CREATE TABLE IF NOT EXISTS {schema}.migrations (name text PRIMARY KEY, sha256 bytea NOT NULL)"
# Nobody is in the middle of a commit then, and nobody begins one: so what is appended here comes in order, and a writer
# that is asked to commit after it finds its position taken.
_ALONE: Final = "LOCK TABLE {schema}.{events}, {schema}.commits, {schema}.requests IN SHARE ROW EXCLUSIVE MODE"
_ENDS: Final = """
SELECT coalesce(max(notification_id), 0), (SELECT coalesce(max(recorded_time_ns), 0) FROM {schema}.commits)
FROM {schema}.{events}
"""
_LEDGER: Final = """
SELECT notification_id, originator_id, originator_version, topic, state FROM {schema}.{events}
WHERE originator_id = %s ORDER BY originator_version
"""


def migrate(
    connection: Connection[Any],
    schema: str,
    *,
    events: str = EVENTS,
    tracking: str = TRACKING,
    clock_ns: Callable[[], int] | None = None,
    show: Show = lambda *_: None,
) -> list[str]:
    """Apply what is missing in one transaction, and return the names of it; safe to run from many processes.

    It is done as the owner of the schema, whom the role of the connection must be able to act for. A log that holds
    events already is digested before and after, which `show` is told of, and MigrationApplied is appended to it. A
    dictionary that is missing or damaged is put back.
    """
    with connection.transaction(), connection.cursor(row_factory=tuple_row) as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"{schema}:migrate",))
        become_owner(cursor, schema)
        files = missing_files(cursor, schema)
        if files:
            recorded = RecordedBefore(connection, cursor, schema, show, events=events)
            apply_files(cursor, schema, files, events=events, tracking=tracking, show=show)
            applied = [MigrationFile(name, sha256_of(text)) for name, text in files.items()]
            recorded.say(applied, (clock_ns or WallClock().now_ns)())
        _may_change(cursor, schema)
        put_back = put_dictionaries(cursor, schema)
    return list(files) or list(map(dictionary_name, put_back))


def apply_files(
    cursor: Cursor[tuple[Any, ...]],
    schema: str,
    files: Mapping[str, str],
    *,
    events: str = EVENTS,
    tracking: str = TRACKING,
    show: Show = lambda *_: None,
) -> None:
    """Run files in the open transaction, remember them, and give service and reader their rights.

    `show` is told of each before it is run: one that makes an index of a large log takes a while.
    """
    cursor.execute(SQL(_MIGRATIONS).format(schema=Identifier(schema)))
    _may_change(cursor, schema)
    for done, (name, text) in enumerate(files.items()):
        show("files of SQL", done, len(files))
        apply(cursor, schema, name, text, events=events, tracking=tracking)
    grant_rights(cursor, schema)


def _may_change(cursor: Cursor[tuple[Any, ...]], schema: str) -> None:
    """Let the owner of a schema change what is recorded, as its triggers ask, until the transaction ends."""
    cursor.execute("SELECT set_config('fee_ledger.migration', %s, true)", (schema,))


def missing_migrations(connection: Connection[Any], schema: str) -> list[str]:
    """Return the names of what a schema lacks, in order: files of SQL, or else dictionaries, which it may have damaged.

    Raises MigrationError where another release made it.
    """
    with connection.cursor(row_factory=tuple_row) as cursor:
        return list(missing_files(cursor, schema)) or list(map(dictionary_name, faulty_dictionaries(cursor, schema)))


def owner_of(connection: Connection[Any], schema: str) -> tuple[str, bool]:
    """Return (the role that owns a schema, whether that of the connection may act for it); ("", True): no schema."""
    statement = "SELECT pg_get_userbyid(nspowner), pg_has_role(nspowner, 'USAGE') FROM pg_namespace WHERE nspname = %s"
    found = connection.execute(statement, (schema,)).fetchone()
    return (found[0], found[1]) if found else ("", True)


def become_owner(cursor: Cursor[tuple[Any, ...]], schema: str) -> None:
    """Make the schema if there is none; otherwise have all that follows in the transaction belong to its owner."""
    cursor.execute("SELECT pg_get_userbyid(nspowner), current_user FROM pg_namespace WHERE nspname = %s", (schema,))
    found = cursor.fetchone()
    if found is None:
        cursor.execute(SQL("CREATE SCHEMA {}").format(Identifier(schema)))
    elif found[0] != found[1]:
        cursor.execute(SQL("SET LOCAL ROLE {}").format(Identifier(found[0])))


class RecordedBefore:
    """The log before its owner changes tables, if it holds anything; `say` appends its digests before and after."""

    def __init__(
        self,
        connection: Connection[Any],
        cursor: Cursor[tuple[Any, ...]],
        schema: str,
        show: Show = lambda *_: None,
        *,
        events: str = EVENTS,
    ) -> None:
        self._connection, self._cursor, self._schema, self._show = connection, cursor, schema, show
        self._names = {"schema": Identifier(schema), "events": Identifier(events)}
        self._until = self._time_ns = 0
        if is_there(cursor, schema, events):
            cursor.execute(SQL(_ALONE).format(**self._names))
            ((self._until, self._time_ns),) = self._query(_ENDS)
        ledger = [decode(*row) for row in self._query(_LEDGER, LEDGER)] if self._until else []
        self._version = len(ledger) + 1
        self._term = max((each.event.term for each in ledger if isinstance(each.event, WriterStarted)), default=0)
        self._before = self._digest() if self._until else b""

    def say(self, files: Sequence[MigrationFile], now_ns: int, *, touched: bool = True) -> None:
        """Append MigrationApplied, which names the files, if there were events before.

        `touched` says that the files may have changed them: then they are digested again.
        """
        if not self._until:
            return
        event = MigrationApplied(
            tuple(files),
            version("fee-ledger"),
            self._until,
            self._before,
            self._digest() if touched else self._before,
        )
        time_ns = max(now_ns, self._time_ns + 1)
        topic, state = encode(Envelope(now_ns, time_ns, self._term), event)
        position = self._until + 1
        row = Row(LEDGER, self._version, topic, state, position)
        statement = CommitStatement(self._schema, SQL("SELECT"))
        self._cursor.execute(*statement.of([row], (), (), (), (), (), (position, position, time_ns)))

    def _digest(self) -> bytes:
        stretch = {"after": 0, "until": self._until}
        return events_digest(self._schema).take(
            self._connection, stretch, lambda done: self._show("events", done, self._until)
        )

    def _query(self, text: str, *parameters: Any) -> list[tuple[Any, ...]]:
        return self._cursor.execute(SQL(text).format(**self._names), parameters).fetchall()
