"""The pen: one connection that may append, one transaction per commit. It decides nothing.

A commit is one statement: one message and one answer. A pipeline of statements would be as quick, but psycopg can wait
for ever once one fills the buffers of the socket: at a sync it writes what it can, and then only reads. A statement by
itself is written to its end, whatever its size and however slowly it is read.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import psycopg
from psycopg.sql import SQL, Identifier
from psycopg.types.numeric import Int8BinaryDumper

from ledger.domain.decide.evaluation import AssessedAlike
from ledger.domain.events import Envelope, FeeEvent, Recorded, VolumeEvaluated, VolumeRecorded
from ledger.domain.streams import account_stream, fee_stream
from ledger.fills.fill_runs import FillRuns
from ledger.store.codec.account_snapshots import Snapshot
from ledger.store.codec.compression import plain_rows
from ledger.store.codec.erasable import apart, contents_of_runs
from ledger.store.codec.evaluated_many import EvaluatedAlike
from ledger.store.codec.events import encode, envelope_message
from ledger.store.codec.fills_many import encode_runs
from ledger.store.commit_statement import CommitStatement
from ledger.store.leaf import NONCE_BYTES, Opening, Part
from ledger.store.lease import Lease
from ledger.store.pen import Pen
from ledger.store.postgres.database import connect
from ledger.store.postgres.migrate import EVENTS
from ledger.store.postgres.session import Limits
from ledger.store.prepared import Prepared, are_values
from ledger.store.reads import ROW
from ledger.store.recorder import LedgerRecorder
from ledger.store.rows import ColumnRows, ErasableRow, LogRows, Row, RunRows

# More rows go in by COPY first: it is quicker with them, and PostgreSQL need not hold them all at once.
ROWS_MAX: Final = 128
STATE_BYTES_MAX: Final = 1_000_000


class WriterLost(Exception):
    """The connection or the pen is gone; the term is over. Whether the last commit happened must be looked up."""


@dataclass(frozen=True, slots=True)
class ErasableText:
    """Free text, of which the log holds a hash."""

    salt: bytes
    text: str

    @property
    def sha256(self) -> bytes:
        """Return SHA-256(salt || text), as the log holds it."""
        return hashlib.sha256(self.salt + self.text.encode()).digest()


class RequestRow(NamedTuple):
    """The request that caused the event at a position."""

    request_id: str
    sha256: bytes
    position: int


@dataclass(frozen=True, slots=True)
class Commit:
    """All that one transaction stores: rows at contiguous positions, at least one.

    `decisions` are the events of the rows that are not of a fee stream, but for those of many accounts at once:
    `evaluated` are these accounts.
    """

    recorded_time_ns: int
    rows: LogRows
    decisions: Sequence[Recorded] = ()
    evaluated: Sequence[str] = ()
    requests: Sequence[RequestRow] = ()
    texts: Sequence[ErasableText] = ()
    snapshots: Sequence[Snapshot] = ()  # of accounts after these rows, at most one of each

    @property
    def first_position(self) -> int:
        """Return the position of the first event."""
        return self.rows[0].position

    @property
    def last_position(self) -> int:
        """Return the position of the last event."""
        return self.rows[-1].position


class Writer:
    """Holds the session lock of a ledger from `take` until `close` or the loss of its connection.

    `lease` runs while that is known. Whoever uses the connection may do so by itself, or beside others that read;
    `renew` uses it only where nobody else does, from a thread of its own.
    """

    def __init__(
        self,
        dsn: str,
        recorder: LedgerRecorder,
        *,
        lease: Lease | None = None,
        silent_ms_max: int = 6_000,
        limits: Limits | None = None,
    ) -> None:
        """`silent_ms_max`: after so long without a sign of life the session of another writer is ended."""
        self._dsn = dsn
        self._recorder = recorder
        self._limits = limits or Limits()
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None
        self._prepared: Prepared | None = None  # on the connection, once it has the pen
        self._waiting: psycopg.Connection[tuple[Any, ...]] | None = None  # of a standby
        self.schema = recorder.datastore.schema
        self._commit_statement = CommitStatement(self.schema, recorder.commit_order)
        self.lease = lease or Lease(1_000)
        self._pen = Pen(self.schema, self.lease, silent_ms_max)
        self._renewing = threading.RLock()  # held for a moment by whoever begins to use the connection, or has used it
        self._users = 0
        self._ended: psycopg.Error | None = None  # what ended the connection, if anything did

    def take(self) -> bool:
        """Try to become the writer; return False if another process is. Raises WriterLost where PostgreSQL is away."""
        self._end_term()
        try:
            if self._waiting is None:
                self._waiting = connect(self._dsn, "writer", self._limits)
                self._pen.note(self._waiting)
            if not self._pen.take(self._waiting):
                return False
        except psycopg.Error as error:
            self.close()
            raise WriterLost(str(error)) from error
        # Numbers of any size are sent as int8: or each size would be a statement of its own to PostgreSQL.
        self._waiting.adapters.register_dumper(int, Int8BinaryDumper)
        self._connection, self._waiting, self._ended = self._waiting, None, None
        self._prepared = Prepared(self._connection)
        return True

    @property
    def held(self) -> bool:
        """Return whether this process has the pen, as far as it knows."""
        return self._connection is not None

    @contextmanager
    def get_connection(self) -> Iterator[psycopg.Connection[Any]]:
        """Give the connection, to read between commits: a `Log` over it knows at once when the term is over.

        Raises WriterLost, also in place of any error of PostgreSQL within the block.
        """
        with self._renewing:
            self._users += 1
        try:
            if self._connection is None:
                raise WriterLost(str(self._ended or "there is no connection")) from self._ended
            yield self._connection
        except psycopg.Error as error:
            self._end_term(error)
            raise WriterLost(str(error)) from error
        finally:
            with self._renewing:
                self._users -= 1

    def commit(self, commit: Commit) -> None:
        """Store everything durably, or raise WriterLost and let the caller look up what happened."""
        few = list(commit.rows) if len(commit.rows) <= ROWS_MAX else []
        erasable = commit.rows.erasable() if few else ()
        size = sum([len(row.state) for row in few]) + sum([len(content) for _, _, content in erasable])
        with self.get_connection() as connection:
            began_ns = self.lease.clock_ns()
            if few and size <= STATE_BYTES_MAX:
                self._run(connection, *self._statement(commit, few, erasable))
            else:
                self._recorder.begin(connection)
                self._recorder.append(connection, commit.rows)
                connection.execute(*self._statement(commit, (), ()), prepare=True)
                began_ns = self.lease.clock_ns()
                connection.execute("COMMIT")
            self.lease.begin(began_ns)

    def _run(self, connection: psycopg.Connection[Any], statement: bytes, parameters: Sequence[Any]) -> None:
        """Run the statement of a commit; one with arrays as psycopg runs any."""
        if self._prepared is not None and are_values(parameters):
            self._prepared.run(statement, parameters)
        else:
            connection.execute(statement, parameters, prepare=True)

    def _statement(
        self, commit: Commit, rows: Sequence[Row], erasable: Sequence[ErasableRow]
    ) -> tuple[bytes, list[Any]]:
        """Return the statement that stores a commit, with those of its rows that are not in the log yet."""
        return self._commit_statement.of(
            rows,
            erasable,
            commit.requests,
            [(text.sha256, text.salt, text.text) for text in commit.texts],
            commit.snapshots,
            commit.decisions,
            (commit.last_position, commit.first_position, commit.recorded_time_ns),
        )

    def committed(self, commit: Commit) -> bool:
        """Return whether a commit whose acknowledgement was lost is in the log: its last event, byte for byte.

        The bytes carry the writer's term, so that nobody else's event at this position can pass. Raises WriterLost.
        """
        find = SQL("SELECT {} FROM {} WHERE notification_id = %s").format(SQL(ROW), Identifier(self.schema, EVENTS))
        with self.get_connection() as connection:
            found = connection.execute(find, (commit.last_position,)).fetchall()
        return [state for *_, state in plain_rows(found, if_whole=True)] == [commit.rows[-1].state]

    def check(self) -> None:
        """Have the lease renewed by a round trip. Raises WriterLost if the pen is gone; between commits."""
        with self.get_connection() as connection:
            began_ns = self.lease.clock_ns()
            connection.execute(b"SELECT")
            self.lease.renew(began_ns)

    def renew(self) -> None:
        """Check from another thread, at any time: where somebody uses the connection, that is the sign of life."""
        if not self._renewing.acquire(blocking=False):
            return
        try:
            if self._connection is not None and not self._users:
                self.check()
        finally:
            self._renewing.release()

    def close(self) -> None:
        """Give up the pen, or the wait for it."""
        self._end_term()
        if self._waiting is not None:
            self._waiting.close()
            self._waiting = None

    def _end_term(self, error: psycopg.Error | None = None) -> None:
        with self._renewing:
            self.lease.end()
            self._ended = error or self._ended
            if self._connection is not None:
                self._connection.close()
                self._connection = None


def take_apart(recorded: Recorded) -> tuple[Recorded, Opening | None]:
    """Return (an event as the log holds it, the part of it that may be erased, which it names by a hash)."""
    kept, content = apart(recorded)
    if not content:
        return kept, None
    part = Opening(os.urandom(NONCE_BYTES), content)
    return replace(kept, envelope=replace(kept.envelope, erasable_sha256=part.sha256(Part.ERASABLE))), part


def row_of(recorded: Recorded, part: Opening | None = None) -> Row:
    """Return an event as a row of the log, with the part of it that was taken apart."""
    topic, state = encode(recorded.envelope, recorded.event)
    event = recorded.event
    times = (event.time_min_ns, event.time_max_ns, event.time_max_so_far_ns) if isinstance(event, FeeEvent) else ()
    row = Row(recorded.stream, recorded.version, topic, state, recorded.position, *times)
    return row if part is None else row._replace(part=part)


def rows_of(runs: FillRuns, first_position: int, envelope: Envelope) -> RunRows:
    """Return runs as rows of the log, at positions from the first on. Envelopes differ in the effective time alone."""
    streams = [fee_stream(*key) for key in runs.keys]
    kept, parts = _taken_apart(runs)
    sha256s = [part.sha256(Part.ERASABLE) if part is not None else b"" for part in parts]
    states = encode_runs(envelope_message(envelope), kept, sha256s)
    times = (runs.time_min_ns, runs.time_max_ns, runs.time_max_so_far_ns)
    charged = "charged_currency" in runs.columns
    return RunRows(streams, first_position, VolumeRecorded.__name__, states, times, parts, charged=charged)


def rows_of_evaluated(
    found: AssessedAlike, versions: Sequence[int], event: VolumeEvaluated, first_position: int, envelope: Envelope
) -> ColumnRows:
    """Return an event of each of some accounts as rows of the log, at positions from the first on.

    All say the same as `event`, which has no amounts; the versions are those that the events have in their streams.
    """
    kept, part = take_apart(Recorded(first_position, "", 0, envelope, event))
    parts = [Opening(os.urandom(NONCE_BYTES), part.content) for _ in versions] if part is not None else []
    sha256s = [each.sha256(Part.ERASABLE) for each in parts]
    alike = EvaluatedAlike(kept.envelope, event, found.cells)
    states = list(alike.states(found.notionals, found.volumes, sha256s))
    streams = list(map(account_stream, found.account_ids))
    return ColumnRows(streams, versions, VolumeEvaluated.__name__, states, first_position, parts=parts)


def _taken_apart(runs: FillRuns) -> tuple[FillRuns, list[Opening | None]]:
    """Return (runs as the log holds them, the part of each that may be erased); no parts: none has one."""
    if "cl_ord_id" not in runs.columns:
        return runs, []
    columns = dict(runs.columns)
    contents = contents_of_runs(columns.pop("cl_ord_id"), runs.starts)
    nonces = os.urandom(NONCE_BYTES * len(contents))
    parts = [
        Opening(nonces[place * NONCE_BYTES : (place + 1) * NONCE_BYTES], content) if content else None
        for place, content in enumerate(contents)
    ]
    return replace(runs, columns=columns), parts
