"""A ledger of any age: the events of a few accounts, decided by the product, are written again for each of many.

What is written are rows as the codec makes them, by COPY, into tables without indexes; the indexes are made afterwards.
Every account has the events of one that lived, at positions of its own, so an audit finds nothing wrong in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import groupby, islice
from typing import Any, Final

import numpy as np
import psycopg
from psycopg.sql import SQL, Identifier

from ledger.domain.events import (
    POSITION_MAX,
    EvaluationCompleted,
    EvaluationStarted,
    FactReleased,
    FactWithheld,
    FeeAdjusted,
    Recorded,
    VolumeEvaluated,
)
from ledger.domain.streams import account_of, account_stream, day_key, fee_stream, is_fee_stream, kind_and_subject
from ledger.store.codec import account_snapshots
from ledger.store.codec.events import decode
from ledger.store.log import Log
from ledger.store.postgres.database import open_datastore
from ledger.store.postgres.migrate import SNAPSHOTS
from ledger.store.recorder import LedgerRecorder
from ledger.store.rows import COLUMNS, COPY_BEGINS, COPY_ENDS, Row, RunRows
from ledger.store.writer import row_of
from projections.tables.tables import create_tables, read_schema
from scripts.bench.fills import account_id
from scripts.bench.life import KINDS, live
from scripts.bench.store import Store, check

_LIFE: Final = "life"  # the schema of the accounts that lived
_COPIED_AT_ONCE: Final = 1_000  # rows
_COPIES_OF_A_COMMIT: Final = 1_000
_NAMES_EVENTS: Final = FactReleased | FactWithheld | FeeAdjusted  # by positions, which every copy has of its own
_COUNTS: Final = ("evaluated", "granted", "gained", "up", "stayed", "down", "lost", "none", "blocked", "review")
_WRITTEN: Final = ("events", "commits", "position", SNAPSHOTS)  # otherwise than row by row
_INDEXES: Final = (
    "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid), conname, pg_get_constraintdef(c.oid),"
    " indrelid::regclass::text FROM pg_index JOIN pg_class t ON t.oid = indrelid"
    " LEFT JOIN pg_constraint c ON c.conindid = indexrelid AND contype IN ('p', 'u')"
    " WHERE t.relnamespace = ANY(%s::regnamespace[])"
)
_COLUMNS: Final = (
    "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
)
_TABLES: Final = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = %s::regnamespace"
_NAME: Final = f"'A' || lpad((k * {KINDS} + substr(o.account_id, 2)::bigint)::text, 10, '0')"


def seed(store: Store, schema: str, *, accounts: int, days: int) -> int:
    """Make a ledger of so many accounts, more or less, that lived so many days; return how many accounts it has."""
    copies = max(accounts // KINDS, 1)
    live(store, _LIFE, days)
    with closing(open_datastore(store.dsn, schema, connections=2)) as datastore:
        LedgerRecorder(datastore).create_table()
    with closing(open_datastore(store.dsn, _LIFE, connections=2)) as datastore, store.connect() as connection:
        create_tables(connection, schema)
        with without_indexes(connection, schema, read_schema(schema)):
            written = _Writing(Log(datastore), connection, schema, copies)
            written.events()
            written.tables()
            written.snapshots()
        for each in (_LIFE, read_schema(_LIFE)):
            connection.execute(SQL("DROP SCHEMA {} CASCADE").format(Identifier(each)))
        connection.execute(b"VACUUM ANALYZE")  # as autovacuum has done to any ledger of that age
    store.checkpoint()
    return copies * KINDS


@contextmanager
def without_indexes(connection: psycopg.Connection[Any], *schemas: str) -> Iterator[None]:
    """Make all indexes of some schemas again, whatever they are, when the block ends."""
    found = connection.execute(_INDEXES.encode(), (list(schemas),)).fetchall()
    for index, _, constraint, _, table in found:
        what = f'ALTER TABLE {table} DROP CONSTRAINT "{constraint}"' if constraint else f"DROP INDEX {index}"
        connection.execute(what.encode())
    yield
    connection.execute(b"SET maintenance_work_mem = '512MB'")
    for _, definition, constraint, constrained, table in found:
        add = f'ALTER TABLE {table} ADD CONSTRAINT "{constraint}" {constrained}'
        connection.execute((add if constraint else definition).encode())


class _Writing:
    """Writes the events of a life for many accounts, some copies of all of them in each commit.

    The n-th copy of the account with number m has the number n x KINDS + m.
    """

    def __init__(self, log: Log, connection: psycopg.Connection[Any], schema: str, copies: int) -> None:
        self._connection = connection
        self._schema = schema
        self._copies = copies
        self._life = log.stored("", 0, POSITION_MAX, POSITION_MAX)
        self._places: list[tuple[int, int, int]] = []  # position in the life, number of the commit of it, position here
        self._commits: list[tuple[int, int, int]] = []  # last and first position, recorded time
        self._recorded_ns = 0  # of the last commit
        self._last = {0: 0}  # by position in the life: position here of the last copy
        self._next = 1

    def events(self) -> None:
        """Write the log, and the tables that say which commit and which request made what."""
        with self._connection.transaction(), self._connection.cursor() as cursor:
            # Rows of a table that was emptied in the same transaction are frozen from the beginning: no vacuum has to
            # write ten million of them again. The trigger that refuses it lets migrations pass.
            cursor.execute(b"SELECT set_config('fee_ledger.migration', %s, true)", (self._schema,))
            cursor.execute(f"TRUNCATE {self._schema}.events".encode())
            into = f"COPY {self._schema}.events ({', '.join(COLUMNS)}) FROM STDIN (FORMAT BINARY, FREEZE)"
            with cursor.copy(into.encode()) as copy:
                copy.write(COPY_BEGINS)
                copied = self._copied()
                while some := b"".join(islice(copied, _COPIED_AT_ONCE)):
                    copy.write(some)
                copy.write(COPY_ENDS)
        with self._connection.cursor() as cursor:
            with cursor.copy(f"COPY {self._schema}.commits FROM STDIN".encode()) as copy:
                for commit in self._commits:
                    copy.write_row(commit)
            cursor.execute(b"CREATE TEMPORARY TABLE places (old bigint, part bigint, new bigint)")
            with cursor.copy("COPY places FROM STDIN") as copy:
                for place in self._places:
                    copy.write_row(place)
            cursor.execute(b"ANALYZE places")

    def _copied(self) -> Iterator[bytes]:
        """Yield all rows of the log as COPY takes them in."""
        events = (decode(*row) for row in self._life)
        for recorded_ns, of_commit in groupby(events, key=lambda event: event.envelope.recorded_time_ns):
            together = list(of_commit)
            parts = range(0, self._copies if any(map(_of_account, together)) else 1, _COPIES_OF_A_COMMIT)
            for part, first in enumerate(parts):
                begun = self._next
                self._recorded_ns = max(recorded_ns, self._recorded_ns + 1)  # as a term does it
                for recorded in together:
                    if not part or _of_account(recorded):
                        copies = range(first, min(first + _COPIES_OF_A_COMMIT, self._copies))
                        yield from self._copies_of(recorded, part, copies)
                self._commits.append((self._next - 1, begun, self._recorded_ns))

    def _copies_of(self, recorded: Recorded, part: int, copies: range) -> Iterator[bytes]:
        """Yield an event for some copies of its account, or once where it is of none."""
        names_another = isinstance(recorded.event, _NAMES_EVENTS) or getattr(recorded.event, "previous_position", 0)
        check(not names_another, f"{recorded} names other events of its account")
        stream, first = recorded.stream, self._next
        envelope = replace(recorded.envelope, recorded_time_ns=self._recorded_ns)
        row = row_of(replace(recorded, position=first, envelope=envelope, event=self._moved(recorded.event)))
        if not _of_account(recorded):
            copied = [row.copied()]
        else:
            number = int(account_of(stream)[1:])
            names = [account_id(copy * KINDS + number) for copy in copies]
            copied = list(_copies_of_row(row, names))
        self._places.append((recorded.position, part, first))
        self._next += len(copied)
        self._last[recorded.position] = self._next - 1
        yield from copied

    def _moved(self, event: Any) -> Any:
        """Return an event with the positions and counts that it has in the ledger of many."""
        if isinstance(event, VolumeEvaluated | EvaluationStarted | EvaluationCompleted):
            event = replace(event, read_position=self._last[event.read_position])
        if isinstance(event, EvaluationCompleted):
            event = replace(event, **{name: getattr(event, name) * self._copies for name in _COUNTS})
        return event

    def tables(self) -> None:
        """Write every other table of the ledger: rows of an account for each copy of it, all others once."""
        for life, schema in ((_LIFE, self._schema), (read_schema(_LIFE), read_schema(self._schema))):
            for (table,) in self._connection.execute(_TABLES.encode(), (schema,)).fetchall():
                if table not in _WRITTEN:
                    self._table(f"{life}.{table}", f"{schema}.{table}")
        last = self._next - 1
        self._connection.execute(f"UPDATE {read_schema(self._schema)}.position SET position = {last}".encode())

    def snapshots(self) -> None:
        """Write the snapshots of accounts, whose digests name the account."""
        columns = ", ".join(account_snapshots.Snapshot._fields)
        lived = self._connection.execute(f"SELECT {columns} FROM {_LIFE}.{SNAPSHOTS}".encode()).fetchall()
        statement = f"COPY {self._schema}.{SNAPSHOTS} ({columns}) FROM STDIN".encode()
        with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
            states = (account_snapshots.account_of(account_snapshots.Snapshot(*row)) for row in lived)
            for account in filter(None, states):
                number = int(account.account_id[1:])
                for copied in range(self._copies):
                    name = f"A{copied * KINDS + number:010}"
                    copy.write_row(account_snapshots.snapshot_of(replace(account, account_id=name)))

    def _table(self, life: str, table: str) -> None:
        names = [name for (name,) in self._connection.execute(_COLUMNS.encode(), (table,)).fetchall()]
        of_account, values, joins = "account_id" in names, list[str](), list[str]()
        for name in names:
            value = f"o.{name}"
            if name in ("account_id", "owner_id") and of_account:
                value = f"CASE WHEN o.{name} = o.account_id THEN {_NAME} ELSE o.{name} END"
            elif name.endswith("position"):
                joins.append(
                    f"LEFT JOIN places {name} ON {name}.old = o.{name} AND {name}.part = k / {_COPIES_OF_A_COMMIT}"
                )
                value = f"{name}.new + k % {_COPIES_OF_A_COMMIT}"
            values.append(value)
        copies = f"generate_series(0, {self._copies - 1 if of_account else 0}) AS k"
        text = f"INSERT INTO {table} ({', '.join(names)}) SELECT {', '.join(values)} FROM {life} o CROSS JOIN {copies}"
        empty = "" if of_account else f"WHERE NOT EXISTS (SELECT FROM {table})"  # others are filled as they are made
        self._connection.execute(" ".join([text, *joins, empty]).encode())


def _of_account(recorded: Recorded) -> bool:
    """Return whether each copy of an account has an event of its own."""
    return is_fee_stream(recorded.stream) or kind_and_subject(recorded.stream)[0] == "account"


def _copies_of_row(row: Row, names: Sequence[str]) -> Iterator[bytes]:
    """Yield a row for each of some accounts, at positions that follow each other."""
    if is_fee_stream(row.stream):
        day = day_key(row.stream)[1]
        times = [np.full(len(names), time_ns) for time_ns in (row.time_min_ns, row.time_max_ns, row.time_max_so_far_ns)]
        streams = [fee_stream(name, day) for name in names]
        return RunRows(streams, row.position, row.topic, [row.state] * len(names), times).copied()
    return (
        row._replace(stream=account_stream(name), position=position).copied()
        for position, name in enumerate(names, row.position)
    )
