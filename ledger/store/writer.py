"""The pen: one connection that may append, one transaction per commit. It decides nothing.

A commit is one statement: one message and one answer. A pipeline of statements would be as quick, but psycopg can wait
for ever once one fills the buffers of the socket: at a sync it writes what it can, and then only reads. A statement by
itself is written to its end, whatever its size and however slowly it is read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg.sql import SQL, Identifier
from psycopg.types.numeric import Int8BinaryDumper

from ledger.domain.events import Envelope, FeeEvent, Recorded, VolumeRecorded
from ledger.domain.streams import fee_stream
from ledger.fills.runs import Runs
from ledger.store.codec.events import encode, envelope_message
from ledger.store.codec.fills_many import encode_runs
from ledger.store.commit_statement import CommitStatement
from ledger.store.postgres.database import connect
from ledger.store.postgres.migrate import EVENTS
from ledger.store.recorder import LedgerRecorder
from ledger.store.rows import Row, Rows, RunRows

# More rows go in by COPY first: it is quicker with them, and PostgreSQL need not hold them all at once.
ROWS_MAX: Final = 128
STATE_BYTES_MAX: Final = 1_000_000


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
        self._sql = _Statements(recorder)
        self.schema = recorder.datastore.schema

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
        # Of whatever size numbers are: or each size would be a statement of its own to PostgreSQL.
        connection.adapters.register_dumper(int, Int8BinaryDumper)
        self._connection = connection
        return True

    @contextmanager
    def get_connection(self) -> Iterator[psycopg.Connection[Any]]:
        """The connection, to read between commits: a `Log` over it knows at once when the term is over.

        Raises WriterLost, also in place of any error of PostgreSQL within the block.
        """
        if self._connection is None:
            raise WriterLost("there is no connection")
        try:
            yield self._connection
        except psycopg.Error as error:
            self.close()
            raise WriterLost(str(error)) from error

    def commit(self, commit: Commit) -> None:
        """Store everything durably, or raise WriterLost and let the caller look up what happened."""
        connection = self._connection
        if connection is None:
            raise WriterLost("there is no connection")
        few = list(commit.rows) if len(commit.rows) <= ROWS_MAX else []
        try:
            if few and sum([len(row.state) for row in few]) <= STATE_BYTES_MAX:
                connection.execute(*self._statement(commit, few), prepare=True)
                return
            self._recorder.begin(connection)
            self._recorder.append(connection, commit.rows)
            connection.execute(*self._statement(commit, ()), prepare=True)
            connection.execute("COMMIT")
        except psycopg.Error as error:
            self.close()
            raise WriterLost(str(error)) from error

    def _statement(self, commit: Commit, rows: Sequence[Row]) -> tuple[bytes, list[Any]]:
        """What stores a commit, with those of its rows that are not in the log yet."""
        return self._sql.commit.of(
            rows,
            [(row.request_id, row.sha256, row.position) for row in commit.requests],
            [(text.sha256, text.salt, text.text) for text in commit.texts],
            commit.decisions,
            (commit.last_position, commit.first_position, commit.recorded_time_ns),
        )

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


class _Statements:
    """The writer's SQL for one schema."""

    def __init__(self, recorder: LedgerRecorder) -> None:
        schema = recorder.datastore.schema
        self.take_pen = SQL("SELECT pg_try_advisory_lock(hashtextextended({}, 0))").format(f"{schema}:writer")
        self.find_event = SQL("SELECT state FROM {} WHERE notification_id = %s").format(Identifier(schema, EVENTS))
        self.nothing = SQL("SELECT")
        self.commit = CommitStatement(schema, recorder.commit_order, recorder.channel_name)


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
