"""The pen: one connection that may append, one transaction per commit. It decides nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from eventsourcing.persistence import PersistenceError, Tracking
from psycopg.sql import SQL, Identifier

from ledger.domain.events import Envelope, FeeEvent, Recorded, SourceAdvanced, VolumeRecorded
from ledger.domain.runs import Runs
from ledger.domain.streams import fee_stream
from ledger.store.codec import encode, envelope_message
from ledger.store.database import connect
from ledger.store.migrate import EVENTS
from ledger.store.recorder import LedgerRecorder
from ledger.store.rows import Row, Rows, RunRows
from ledger.store.run_codec import encode_runs


class WriterLost(Exception):
    """The connection or the pen is gone; the term is over. Whether the last commit happened must be looked up."""


@dataclass(frozen=True, slots=True)
class ErasableText:
    """Free text behind a hash in the log."""

    salt: bytes
    text: str

    @property
    def sha256(self) -> bytes:
        """SHA-256(salt || text), as the log holds it."""
        return hashlib.sha256(self.salt + self.text.encode()).digest()


@dataclass(frozen=True, slots=True)
class RequestRow:
    """Which request caused the event at a position."""

    request_id: str
    sha256: bytes
    position: int


@dataclass(frozen=True, slots=True)
class Commit:
    """All that one transaction stores: rows at contiguous positions, at least one.

    `decisions` are the events of the rows that are not of a fee stream.
    """

    recorded_time_ns: int
    rows: Rows
    decisions: Sequence[Recorded] = ()
    requests: Sequence[RequestRow] = ()
    texts: Sequence[ErasableText] = ()

    @property
    def first_position(self) -> int:
        """Position of the first event."""
        return self.rows[0].position

    @property
    def last_position(self) -> int:
        """Position of the last event."""
        return self.rows[-1].position


class Writer:
    """Holds the session lock of a ledger from `take` until `close` or the loss of its connection."""

    def __init__(self, dsn: str, recorder: LedgerRecorder) -> None:
        self._dsn = dsn
        self._recorder = recorder
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None
        self._sql = _Statements(recorder.datastore.schema)

    def take(self) -> bool:
        """Try to become the writer; False if another process is. Raises WriterLost if PostgreSQL cannot be reached."""
        self.close()
        try:
            connection = connect(self._dsn, "writer")
            found = connection.execute(self._sql.take_pen).fetchone()
            if found is None or not found[0]:
                connection.close()
                return False
        except psycopg.Error as error:
            raise WriterLost(str(error)) from error
        self._connection = connection
        return True

    def commit(self, commit: Commit) -> None:
        """Store everything durably, or raise WriterLost and let the caller look up what happened."""
        connection = self._connection
        if connection is None:
            raise WriterLost("there is no connection")
        try:
            self._recorder.begin(connection)
            self._recorder.append(connection, commit.rows)
            with connection.cursor() as cursor:
                self._store_indexes(cursor, commit)
            connection.execute("COMMIT")
        except (psycopg.Error, PersistenceError) as error:
            self.close()
            raise WriterLost(str(error)) from error

    def committed(self, commit: Commit) -> bool:
        """Whether a commit whose acknowledgement was lost is in the log: its last event, byte for byte.

        The bytes carry the writer's term, so that nobody else's event at this position can pass. Raises WriterLost.
        """
        assert self._connection is not None
        try:
            found = self._connection.execute(self._sql.find_event, (commit.last_position,)).fetchone()
        except psycopg.Error as error:
            self.close()
            raise WriterLost(str(error)) from error
        return found is not None and bytes(found[0]) == commit.rows[-1].state

    def check(self) -> None:
        """Raise WriterLost if PostgreSQL has hung up; between commits."""
        try:
            if self._connection is not None:
                self._connection.execute(self._sql.nothing)
        except psycopg.Error as error:
            self.close()
            raise WriterLost(str(error)) from error

    def close(self) -> None:
        """Give up the pen."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _store_indexes(self, cursor: psycopg.Cursor[Any], commit: Commit) -> None:
        """What is derived from the events, in the same transaction."""
        cursor.execute(self._sql.insert_commit, (commit.last_position, commit.first_position, commit.recorded_time_ns))
        if commit.requests:
            rows = [(row.request_id, row.sha256, row.position) for row in commit.requests]
            cursor.executemany(self._sql.insert_request, rows)
        if commit.texts:
            texts = [(text.sha256, text.salt, text.text) for text in commit.texts]
            cursor.executemany(self._sql.insert_text, texts)
        for recorded in commit.decisions:
            if isinstance(recorded.event, SourceAdvanced):
                source = recorded.stream.removeprefix("source/")
                self._recorder.track(cursor, Tracking(source, recorded.event.last_sequence))
        cursor.execute(self._sql.notify, (self._recorder.channel_name,))


class _Statements:
    """The writer's SQL for one schema."""

    def __init__(self, schema: str) -> None:
        names = {"schema": Identifier(schema)}
        self.take_pen = SQL("SELECT pg_try_advisory_lock(hashtextextended({}, 0))").format(f"{schema}:writer")
        self.insert_commit = SQL("INSERT INTO {schema}.commits VALUES (%s, %s, %s)").format(**names)
        self.find_event = SQL("SELECT state FROM {} WHERE notification_id = %s").format(Identifier(schema, EVENTS))
        self.insert_request = SQL("INSERT INTO {schema}.requests VALUES (%s, %s, %s)").format(**names)
        self.insert_text = SQL("INSERT INTO {schema}.erasable_text VALUES (%s, %s, %s)").format(**names)
        self.notify = SQL("SELECT pg_notify(%s, '')")
        self.nothing = SQL("SELECT")


def row_of(recorded: Recorded) -> Row:
    """An event as a row of the log."""
    topic, state = encode(recorded.envelope, recorded.event)
    event = recorded.event
    if isinstance(event, FeeEvent):
        times = (event.time_min_ns, event.time_max_ns, event.time_max_so_far_ns)
        return Row(recorded.stream, recorded.version, topic, state, recorded.position, *times)
    return Row(recorded.stream, recorded.version, topic, state, recorded.position)


def rows_of(runs: Runs, first_position: int, envelope: Envelope) -> RunRows:
    """Runs as rows of the log, at positions from the first on. Their envelopes differ in the effective time alone."""
    streams = [fee_stream(*key) for key in runs.keys]
    states = encode_runs(envelope_message(envelope), runs)
    times = (runs.time_min_ns, runs.time_max_ns, runs.time_max_so_far_ns)
    return RunRows(streams, first_position, VolumeRecorded.__name__, states, times)
