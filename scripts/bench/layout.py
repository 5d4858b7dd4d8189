"""Where events lie: what the account-days of a day take in a log of any age, by its keys and by those of before."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from itertools import islice
from typing import Final, NamedTuple

import numpy as np
from eventsourcing.postgres import PostgresDatastore
from psycopg.rows import tuple_row
from psycopg.sql import SQL, Identifier

from ledger.domain.events import POSITION_MAX, Recorded
from ledger.domain.instants import DAY_NS
from ledger.domain.streams import fee_stream
from ledger.store.codec.events import decode
from ledger.store.log import Log
from ledger.store.migration import apply_files
from ledger.store.postgres.database import open_datastore
from ledger.store.postgres.migrate import EVENTS, migration_text, migrations
from ledger.store.reads import ROW
from ledger.store.recorder import LedgerRecorder
from ledger.store.rows import COLUMNS, COPY_BEGINS, COPY_ENDS, LogRows, RunRows
from scripts.bench.fills import account_id
from scripts.bench.life import END_DAY, TRADES_EACH, live
from scripts.bench.proc import process
from scripts.bench.seed import without_indexes
from scripts.bench.store import Store, check

_DAYS_FIRST: Final = "0006_days_first.sql"  # up to 0.2.0 `fees/<account>/<day>` was the key
_ACCOUNTS: Final = 100_000  # that trade on each day
_COMMIT_ROWS: Final = 5_000  # of the day that is added: those accounts in any order, and each commit in theirs
_PAGE_RUNS: Final = 1_000
_READS: Final = 5
_FROM_NS: Final = (END_DAY - 1) * DAY_NS  # the day that is read
_AS_OF_NS: Final = END_DAY * DAY_NS - 1
_RUN: Final = "SELECT state, time_min_ns FROM {} WHERE topic = 'VolumeRecorded' ORDER BY notification_id LIMIT 1"
# As a page of a day was read before there was a key of days.
_PAGE_BEFORE: Final = (
    f"SELECT {ROW} FROM {{}} WHERE notification_id > 0 AND notification_id <= %s AND time_max_ns >= %s"
    " AND time_min_ns <= %s AND topic = 'VolumeRecorded' ORDER BY notification_id LIMIT %s"
)


class Layout:
    """A log of some account-days of one fill run each, beside a young one of a single day, in both layouts."""

    def __init__(self, account_days: int) -> None:
        self._accounts = min(_ACCOUNTS, max(account_days // 2, 1))
        self._days = account_days // self._accounts
        self.settings: dict[str, object] = {
            "layout_accounts": self._accounts,
            "layout_days": self._days,
            "layout_rows_per_commit": _COMMIT_ROWS,
        }

    def run(self, store: Store, schema: str) -> dict[str, float]:
        """One round; each log is made for it, and gone before the next is made."""
        with store.copied("layout") as own:
            live(own, schema, TRADES_EACH)
            run = own.rows(SQL(_RUN).format(Identifier(schema, EVENTS)).as_string())[0]
        found: dict[str, float] = {}
        for name, layout in _LAYOUTS.items():
            for age, days in (("young_", 1), ("", self._days)):
                with store.copied("layout") as own:
                    layout.make(own, schema)
                    log = _Written(own, schema, self._accounts, *run)
                    log.write(days)
                    self.settings[f"{name}_{age}rows"] = log.rows
                    values = {"index_bytes": log.index_bytes() / log.rows}
                    if not age:
                        values |= layout.read(own, schema, log.page)
                    found |= {f"{name}.{age}{part}": value for part, value in {**values, **log.add_day()}.items()}
            young, old = (found[f"{name}.{age}day_postgres_cpu_s"] for age in ("young_", ""))
            found[f"{name}.day_ratio"] = old / max(young, 0.01)
        return found


def _day_first(store: Store, schema: str) -> None:
    with closing(open_datastore(store.dsn, schema, connections=1)) as datastore:
        LedgerRecorder(datastore).create_table()


def _day_last(store: Store, schema: str) -> None:
    with store.connect() as connection, connection.cursor(row_factory=tuple_row) as cursor:
        cursor.execute(SQL("CREATE SCHEMA {}").format(Identifier(schema)))
        files = {name: migration_text(name) for name in sorted(migrations()) if name < _DAYS_FIRST}
        with connection.transaction():
            apply_files(cursor, schema, files)


class _Written:
    """A log without a ledger: rows of fee streams alone, as the writer stores them."""

    def __init__(self, store: Store, schema: str, accounts: int, state: bytes, at_ns: int) -> None:
        """`state` are the bytes of every run, of the instant `at_ns`."""
        self._store, self._schema, self._state = store, schema, state
        self._names = [account_id(number) for number in range(accounts)]
        self._second_ns = at_ns % DAY_NS
        self.rows = 0

    @property
    def page(self) -> int:
        """How many runs the first page of a day has."""
        return min(_PAGE_RUNS, len(self._names))

    def index_bytes(self) -> int:
        """Return how large the indexes of the events are."""
        ((size,),) = self._store.rows("SELECT pg_indexes_size(%s::regclass)", [f"{self._schema}.{EVENTS}"])
        return int(size)

    def write(self, days: int) -> None:
        """Write so many days up to END_DAY, in tables without indexes, which are made afterwards."""
        into = f"COPY {self._schema}.{EVENTS} ({', '.join(COLUMNS)}) FROM STDIN (FORMAT BINARY)"
        with (
            self._store.connect() as connection,
            without_indexes(connection, self._schema),
            connection.cursor().copy(into.encode()) as copy,
        ):
            copy.write(COPY_BEGINS)
            for day in range(END_DAY - days, END_DAY):
                copy.write(b"".join(self._rows(day, self._names).copied()))
            copy.write(COPY_ENDS)
        with self._store.connect() as connection:
            connection.execute(f"VACUUM ANALYZE {self._schema}.{EVENTS}".encode())

    def _rows(self, day: int, names: Sequence[str]) -> RunRows:
        times = [np.full(len(names), day * DAY_NS + self._second_ns)] * 3
        streams = [fee_stream(name, day) for name in names]
        first, self.rows = self.rows + 1, self.rows + len(names)
        return RunRows(streams, first, "VolumeRecorded", [self._state] * len(names), times)

    def add_day(self) -> dict[str, float]:
        """Record the day after all others, as the writer does: CPU of the session that does it, and WAL."""
        order = np.random.default_rng(self.rows).permutation(len(self._names))
        commits = [
            [self._names[number] for number in sorted(order[first : first + _COMMIT_ROWS].tolist())]
            for first in range(0, len(order), _COMMIT_ROWS)
        ]
        with closing(open_datastore(self._store.dsn, self._schema, connections=1)) as datastore:
            recorder = LedgerRecorder(datastore)
            with self._store.connect() as connection:
                self._store.checkpoint()
                wal_bytes, cpu_s = self._store.wal_bytes(), process(connection.info.backend_pid).cpu_s
                for names in commits:
                    rows = LogRows()
                    rows.extend(self._rows(END_DAY, names))
                    recorder.begin(connection)
                    recorder.append(connection, rows)
                    connection.execute("COMMIT")
                cpu_s = process(connection.info.backend_pid).cpu_s - cpu_s
                wal_bytes = self._store.wal_bytes() - wal_bytes
        ((found,),) = self._store.rows(f"SELECT count(*) FROM {self._schema}.{EVENTS}")
        check(found == self.rows, f"the log has {found} rows, not {self.rows}")
        return {"day_postgres_cpu_s": cpu_s, "day_wal_bytes": wal_bytes / len(self._names)}


def _read_day(store: Store, schema: str, meant: int) -> dict[str, float]:
    with closing(open_datastore(store.dsn, schema, connections=1)) as datastore:
        log = Log(datastore)
        runs = partial(log.runs, from_ns=_FROM_NS, as_of_ns=_AS_OF_NS, until=POSITION_MAX)
        return _timed(datastore, lambda: islice(runs(), _PAGE_RUNS), meant)


def _read_day_before(store: Store, schema: str, meant: int) -> dict[str, float]:
    statement = SQL(_PAGE_BEFORE).format(Identifier(schema, EVENTS))
    with closing(open_datastore(store.dsn, schema, connections=1)) as datastore:

        def page() -> Iterator[Recorded]:
            with datastore.get_connection() as connection:
                cursor = connection.cursor(binary=True, row_factory=tuple_row)
                cursor.execute(statement, (POSITION_MAX, _FROM_NS, _AS_OF_NS, _PAGE_RUNS))
                yield from (decode(*row) for row in cursor.fetchall())

        return _timed(datastore, page, meant)


def _timed(datastore: PostgresDatastore, page: Callable[[], Iterator[Recorded]], meant: int) -> dict[str, float]:
    """Read a page some times: the median time, and the CPU of it here and in PostgreSQL, each in ms."""
    with datastore.get_connection() as connection:
        pid = connection.info.backend_pid
    took_ms, cpu_s = [], time.process_time() + process(pid).cpu_s
    for _ in range(_READS):
        began_s = time.perf_counter()
        found = len(list(page()))
        took_ms.append((time.perf_counter() - began_s) * 1_000)
        check(found == meant, f"a page of the day has {found} runs, not {meant}")
    cpu_s = time.process_time() + process(pid).cpu_s - cpu_s
    return {"read_day_ms": statistics.median(took_ms), "read_day_cpu_ms": cpu_s * 1_000 / _READS}


class _Keys(NamedTuple):
    """A layout: how its tables are made, and how the first page of a day is read, of so many runs."""

    make: Callable[[Store, str], None]
    read: Callable[[Store, str, int], dict[str, float]]


_LAYOUTS: Final = {"layout": _Keys(_day_first, _read_day), "layout.before": _Keys(_day_last, _read_day_before)}
