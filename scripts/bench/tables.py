"""The tables of the read side: whether they have reached the log, and how far they are from it while fills arrive."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any, Final

import psycopg

from ledger.store.log import Log
from projections.tables.tables import POSITIONS_PER_BATCH, Tables, create_tables, read_schema
from scripts.bench.load import Load
from scripts.bench.store import Store, check

SAMPLE_SECONDS: Final = 0.05
_CATCH_UP_SECONDS_MAX: Final = 600.0

# When the oldest commit was recorded that the tables do not hold; no row: they hold everything.
_OLDEST: Final = (
    "SELECT recorded_time_ns FROM {schema}.commits WHERE last_position > (SELECT position FROM {read}.position)"
    " ORDER BY last_position LIMIT 1"
)


class LagSampler:
    """A thread that asks how old the oldest commit is that the tables lack, until the block ends."""

    def __init__(self, store: Store, schema: str) -> None:
        self.lags_ms: list[float] = []
        self._query = _OLDEST.format(schema=schema, read=read_schema(schema)).encode()
        self._connection = store.connect()
        self.pid = self._connection.info.backend_pid  # of its process in PostgreSQL
        self._ended = threading.Event()
        self._failed: psycopg.Error | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> LagSampler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._connection.close()
        check(self._failed is None, f"the lag could not be asked: {self._failed}")

    def wait_for_tables(self) -> None:
        """Wait until the tables have all that is in the log by now, on the same connection."""
        first, until_s = len(self.lags_ms) + 1, time.monotonic() + _CATCH_UP_SECONDS_MAX
        while 0.0 not in self.lags_ms[first:] and self._failed is None:
            check(time.monotonic() < until_s, f"the tables lag {_CATCH_UP_SECONDS_MAX:.0f} s after the last fill")
            time.sleep(SAMPLE_SECONDS)

    def _run(self) -> None:
        try:
            over = False
            while not over:
                row = self._connection.execute(self._query).fetchone()
                self.lags_ms.append((time.time_ns() - row[0]) / 1e6 if row else 0.0)
                over = self._ended.wait(SAMPLE_SECONDS)
        except psycopg.Error as error:
            self._failed = error


def wait_for_tables(store: Store, schema: str) -> None:
    """Have the tables made, and all of the log in them."""
    until = time.monotonic() + _CATCH_UP_SECONDS_MAX
    while not _hold_the_log(store, schema):
        check(time.monotonic() < until, f"the tables do not reach the log within {_CATCH_UP_SECONDS_MAX:.0f} s")
        time.sleep(SAMPLE_SECONDS)


def _hold_the_log(store: Store, schema: str) -> bool:
    read = read_schema(schema)
    made: Sequence[tuple[Any, ...]] = store.rows("SELECT to_regclass(%s)", [f"{read}.position"])
    if made[0][0] is None:
        return False
    query = f"SELECT position = (SELECT max(last_position) FROM {schema}.commits) FROM {read}.position"
    return store.rows(query) == [(True,)]


def bring_up(log: Log, schema: str, connection: psycopg.Connection[Any]) -> int:
    """Make the tables where they are missing, move them to the head of the log in this process, and return it."""
    create_tables(connection, schema)
    tables, head = Tables(log, schema), log.head().position
    while (position := tables.position(connection)) < head:
        tables.advance(connection, position, log.end_of_commit(min(position + POSITIONS_PER_BATCH, head)))
    return head


def verify_tables(store: Store, schema: str, load: Load) -> None:
    """The tables hold every fill that was sent."""
    query = f"SELECT quote_currency, sum(lines)::bigint FROM {read_schema(schema)}.volume_days GROUP BY quote_currency"
    found = dict(store.rows(query))
    check(found == load.volume.lines, f"the tables count {found} fills, sent were {dict(load.volume.lines)}")
