"""Makes a ledger from a backup: all of it in one transaction, looked at before that ends, and served after `finish`.

    begin    the table `restored`, by which `serve` and migrations know that the schema is no ledger yet
    load     tables, rows, rights, and what was erased as far as the backup knows; nothing of it is seen until all is
    finish   what was erased since, and the restore itself in the log: MigrationApplied, which names the last part

Whoever is killed leaves a schema that is as it was after the step before, and does the step again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from itertools import chain, takewhile
from typing import Any, Final, NamedTuple

import psycopg
from psycopg import Connection, Cursor
from psycopg.rows import tuple_row
from psycopg.sql import SQL, Composed, Identifier

from ledger.domain.events import LedgerCreated, MigrationFile, SourceAdvanced
from ledger.domain.streams import SOURCE_PREFIX, subject_of
from ledger.release import is_newer
from ledger.store.backup.copied import CopiedRow, dictionaries_of, pieces, rows
from ledger.store.backup.parts import BackupError, DamagedError, Part, part_name
from ledger.store.backup.until import Until
from ledger.store.codec.compression import learn
from ledger.store.codec.events import decode
from ledger.store.digest import Show
from ledger.store.log import Log
from ledger.store.migration import RecordedBefore, apply_files, become_owner
from ledger.store.postgres.migrate import ERASABLE, EVENTS, RESTORED, TRACKING, files_of, is_there
from ledger.store.postgres.roles import read_schemas
from ledger.store.reads import OneConnection
from ledger.store.rows import COLUMNS, COPY_BEGINS, COPY_ENDS

_POSITION: Final = COLUMNS.index("notification_id")
_COLUMNS: Final = {
    "events": COLUMNS,
    "commits": ("last_position", "first_position", "recorded_time_ns"),
    "requests": ("request_id", "sha256", "position"),
    "erasable": ("position", "nonce", "content"),
    "texts": ("sha256", "salt", "text"),
    "dictionaries": ("version", "sha256", "content"),
}
# Of the position by which rows are ordered.
_PLACES: Final = {"events": _POSITION, "commits": 0, "requests": 2, "erasable": 0}
_STORED_IN: Final = {"events": EVENTS, "erasable": ERASABLE, "texts": "erasable_text"}

_BEGIN: Final = "CREATE TABLE {} (is_loaded boolean NOT NULL, part text NOT NULL, sha256 bytea NOT NULL)"
_NOT_WHOLE: Final = """
SELECT (SELECT count(*) <> %(until)s OR min(notification_id) <> 1 OR max(notification_id) <> %(until)s FROM {events}),
    (SELECT max(last_position) <> %(until)s OR count(*) FILTER (
        WHERE first_position <> before + 1 OR last_position < first_position OR recorded_time_ns <= time_before
    ) > 0 FROM (SELECT *, lag(last_position, 1, 0::int8) OVER later AS before,
        lag(recorded_time_ns, 1, 0::int8) OVER later AS time_before
        FROM {schema}.commits WINDOW later AS (ORDER BY last_position)) AS stretch),
    EXISTS (SELECT FROM {schema}.requests WHERE position > %(until)s)
"""
# Asked of the catalogue: the owner of a log may not look into the schemas of its service.
_TABLES: Final = """
SELECT nspname FROM pg_class JOIN pg_namespace AS n ON n.oid = relnamespace
WHERE nspname = ANY(%s) AND relname = 'position' LIMIT 1
"""
# They would go on from their own position, and answer with what the restored log never had.
_LEFT: Final = (
    'the schema {0} has tables of a ledger that was here before: DROP SCHEMA "{0}" CASCADE removes them, and the'
    " service makes those of the restored one; or restore into another --schema"
)


class Restored(NamedTuple):
    """A ledger that was made from a backup."""

    ledger_id: str
    until: Until
    erased: int  # texts and parts that the backup has, and that had been erased when a part of it was written


class Finished(NamedTuple):
    """A restored ledger that may be served."""

    position: int  # of the event that says so
    erased: int  # texts and parts that were erased again


def restore(connection: Connection[Any], schema: str, parts: Sequence[Part], until: Until, show: Show) -> Restored:
    """Make the ledger of a backup in a schema that holds none. Raises BackupError or MigrationError.

    The connection is that of whoever owns the ledger, or may act for its owner, or may make its schema.
    """
    _check_release(until.parts[-1])
    files = files_of(schema, {name: bytes.fromhex(each) for name, each in until.parts[-1].manifest.migrations.items()})
    with _as_owner(connection, schema) as cursor:
        _begin(cursor, schema, until)
    with _as_owner(connection, schema) as cursor:
        _begin(cursor, schema, until)  # nobody has finished another one since
        apply_files(cursor, schema, files)
        loading = _Loading(connection, cursor, schema, until, show)
        for version, content in (each for part in until.parts for each in dictionaries_of(part).items()):
            learn(version, content)
        for part in until.parts:
            loading.load(part)
        manifests = [part.manifest for part in parts]
        erased = _erase(
            cursor,
            schema,
            {sha256 for each in manifests for sha256 in each.erased_texts},
            {position for each in manifests for position in each.erased_positions},
        )
        loading.check()
        loading.derive_tracking()
        cursor.execute(SQL("UPDATE {} SET is_loaded = true").format(Identifier(schema, RESTORED)))
        cursor.execute(SQL("ANALYZE {}").format(Identifier(schema, EVENTS)))
    return Restored(until.parts[-1].manifest.ledger_id, until, erased)


def _check_release(part: Part) -> None:
    """Raise BackupError if a newer release wrote a part: it may have events that this one does not know."""
    wrote = part.manifest.release
    if is_newer(wrote):
        ours = version("fee-ledger")
        raise BackupError(
            f"{part.folder} was written by a newer release ({wrote}) than this one, {ours}: use that release"
        )


def finish(
    connection: Connection[Any],
    schema: str,
    texts: Iterable[bytes],
    positions: Iterable[int],
    now_ns: int,
    show: Show = lambda *_: None,
) -> Finished:
    """Erase texts by their SHA-256 and parts of events by position, and say in the log that it was restored.

    Raises BackupError.
    """
    with _as_owner(connection, schema) as cursor:
        found = _restored(cursor, schema)
        if found is None:
            raise BackupError(f"no restore into the schema {schema} is to be finished: nothing was changed")
        if not found[0]:
            message = (
                f"the restore into the schema {schema} has brought nothing yet: run `fee-ledger restore from` again"
            )
            raise BackupError(message)
        recorded = RecordedBefore(connection, cursor, schema, show)
        count = _erase(cursor, schema, set(texts), set(positions))
        cursor.execute(SQL("DROP TABLE {}").format(Identifier(schema, RESTORED)))
        _, part, sha256 = found
        recorded.say([MigrationFile(f"restored from part {part}", bytes(sha256))], now_ns, touched=False)
        return Finished(Log(OneConnection(schema, connection)).head().position, count)


@contextmanager
def _as_owner(connection: Connection[Any], schema: str) -> Iterator[Cursor[tuple[Any, ...]]]:
    """Give a cursor in a transaction in which nobody else migrates or restores, as the owner of the schema."""
    with connection.transaction(), connection.cursor(row_factory=tuple_row) as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))", (f"{schema}:migrate",))
        if cursor.fetchone() != (True,):
            raise BackupError(f"another process makes the tables of the schema {schema}: wait for it, or end it")
        become_owner(cursor, schema)
        yield cursor


def _restored(cursor: Cursor[tuple[Any, ...]], schema: str) -> tuple[bool, str, bytes] | None:
    """Return (whether all is there, the last part, its SHA-256) of a restore that is not finished, if there is one."""
    if not is_there(cursor, schema, RESTORED):
        return None
    found = cursor.execute(
        SQL("SELECT is_loaded, part, sha256 FROM {}").format(Identifier(schema, RESTORED))
    ).fetchone()
    assert found is not None
    return found[0], found[1], found[2]


def _begin(cursor: Cursor[tuple[Any, ...]], schema: str, until: Until) -> None:
    """Mark a schema that holds no ledger as one that is being restored."""
    found = _restored(cursor, schema)
    if found is not None and found[0]:
        raise BackupError(
            f"the schema {schema} has a restored ledger already: `fee-ledger restore finish` is what is left"
        )
    if is_there(cursor, schema, EVENTS):
        other = Log(OneConnection(schema, cursor.connection)).ledger_id() or "without a name"
        held = f"the schema {schema} holds the ledger {other} already, which stays as it is"
        raise BackupError(f"{held}: restore into another --data or --schema")
    left = cursor.execute(_TABLES, (read_schemas(schema),)).fetchone()
    if left is not None:
        raise BackupError(_LEFT.format(*left))
    marker, last = Identifier(schema, RESTORED), until.parts[-1].manifest
    if found is None:
        cursor.execute(SQL(_BEGIN).format(marker))
    cursor.execute(SQL("DELETE FROM {}").format(marker))
    values = (False, part_name(last.number), bytes.fromhex(last.sha256))
    cursor.execute(SQL("INSERT INTO {} VALUES (%s, %s, %s)").format(marker), values)


def _erase(cursor: Cursor[tuple[Any, ...]], schema: str, texts: set[bytes], positions: set[int]) -> int:
    """Delete texts by their SHA-256 and parts of events by position; return how many there were."""
    count = 0
    for statement, erased in (
        ("DELETE FROM {}.erasable_text WHERE sha256 = ANY(%s)", list(texts)),
        ("DELETE FROM {}.erasable_parts WHERE position = ANY(%s)", list(positions)),
    ):
        if erased:
            count += cursor.execute(SQL(statement).format(Identifier(schema)), (erased,)).rowcount
    return count


class _Loading:
    """Brings rows of parts into the tables, up to a position, and looks whether they are whole."""

    def __init__(
        self, connection: Connection[Any], cursor: Cursor[tuple[Any, ...]], schema: str, until: Until, show: Show
    ) -> None:
        self._cursor, self._schema, self._until, self._show = cursor, schema, until, show
        self._log = Log(OneConnection(schema, connection))
        self._names = {"schema": Identifier(schema), "events": Identifier(schema, EVENTS)}
        self._bytes = 0  # of rows, that are brought in

    def load(self, part: Part) -> None:
        """Bring in a part; of the last one that is restored no more than what is not after the position."""
        is_cut = part is self._until.parts[-1] and self._until.is_within_last_part
        for table in part.manifest.tables:
            self._copy(part, table, self._through(part, table) if is_cut else pieces(part, table))
            if not is_cut and self._cursor.rowcount != part.manifest.files[table].rows:
                said = part.manifest.files[table].rows
                raise DamagedError(
                    f"{part.file(table)} has {self._cursor.rowcount:,} rows, and its manifest says {said:,}"
                )

    def check(self) -> None:
        """Raise DamagedError unless the log has each position, and its commits and name are those of the backup."""
        query = SQL(_NOT_WHOLE).format(**self._names)
        found = self._cursor.execute(query, {"until": self._until.position}).fetchone()
        ledger_id = self._until.parts[-1].manifest.ledger_id
        names = [each.event.ledger_id for each in self._log.ledger() if isinstance(each.event, LedgerCreated)]
        if found != (False, False, False) or names != [ledger_id]:
            raise DamagedError(
                f"what the parts have is not the log of {ledger_id}: use another copy. Nothing was restored"
            )

    def derive_tracking(self) -> None:
        """Store how far each source had come at the position."""
        lasts = self._log.last_below(SOURCE_PREFIX, self._until.position)
        events = ((each.stream, each.event) for each in lasts if isinstance(each.event, SourceAdvanced))
        sources = [(subject_of(stream), event.last_sequence) for stream, event in events if event.last_sequence]
        insert = SQL("INSERT INTO {} VALUES (%s, %s)").format(Identifier(self._schema, TRACKING))
        self._cursor.executemany(insert, sources)

    def _copy(self, part: Part, table: str, data: Iterable[bytes]) -> None:
        try:
            with self._cursor.copy(self._statement(table)) as copy:
                for piece in data:
                    copy.write(piece)
                    self._bytes += len(piece)
                    self._show("MB restored", self._bytes // 1_000_000, 0)
        except (psycopg.errors.DataError, psycopg.errors.IntegrityError) as error:
            raise DamagedError(f"{part.file(table)} has rows that the tables do not take: {error}") from error

    def _statement(self, table: str) -> Composed:
        place = Identifier(self._schema, _STORED_IN.get(table, table))
        columns = SQL(", ").join(map(Identifier, _COLUMNS[table]))
        return SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(place, columns)

    def _through(self, part: Part, table: str) -> Iterator[bytes]:
        """Yield the bytes of COPY of the rows of a part that are not after the position."""
        found = rows(part, table)
        wanted: Iterator[CopiedRow] = found  # all dictionaries
        if table == "texts":
            named = self._texts_named(part)
            wanted = (row for row in found if row.fields[0] in named)
        elif table in _PLACES:
            place, last = _PLACES[table], self._until.position
            wanted = takewhile(lambda row: row.number(place) <= last, found)
        return chain([COPY_BEGINS], (row.raw for row in wanted), [COPY_ENDS])

    def _texts_named(self, part: Part) -> set[bytes | None]:
        """Return the SHA-256 of each text that an event of a part up to the position names."""
        events = takewhile(lambda row: row.number(_POSITION) <= self._until.position, rows(part, "events"))
        return {decode(row.number(_POSITION), *_event_fields(row)).envelope.reason_sha256 for row in events}


def _event_fields(row: CopiedRow) -> tuple[str, int, str, bytes]:
    """Return stream, version, topic and state of a row of the events."""
    stream, _, topic, state = row.fields[:4]
    assert stream is not None
    assert topic is not None
    assert state is not None
    return stream.decode(), row.number(1), topic.decode(), state
