"""How far the materialised tables are behind the log while fills arrive at a steady rate."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

import psycopg

from projections.tables.tables import read_schema
from scripts.bench.load import ACCOUNTS, FILLS_PER_MESSAGE, Load, stream_load
from scripts.bench.service import trading_ledger
from scripts.bench.store import Store, check
from scripts.bench.stream import stream
from scripts.bench.verify import verify_answers

SAMPLE_SECONDS: Final = 0.05
_CATCH_UP_SECONDS_MAX: Final = 30.0
_LATE_SHARE_MAX: Final = 0.1  # the last fill is acknowledged at most so much of the time late, and a second

# When the oldest commit was recorded that the tables do not hold; no row: they hold everything.
_OLDEST: Final = (
    "SELECT recorded_time_ns FROM {schema}.commits WHERE last_position > (SELECT position FROM {read}.position)"
    " ORDER BY last_position LIMIT 1"
)


class Lag:
    """Fills at half the rate just measured; the tables' lag is asked of PostgreSQL all the while."""

    def __init__(self, seconds: float, fills_per_s: Callable[[], float]) -> None:
        """`fills_per_s` says at the beginning of a round how fast to send."""
        self._seconds = seconds
        self._fills_per_s = fills_per_s
        self.settings: dict[str, object] = {"lag_seconds": seconds, "lag_sample_ms": round(SAMPLE_SECONDS * 1_000)}

    def run(self, store: Store, schema: str) -> dict[str, list[float]]:
        """One round on a fresh schema."""
        rate = self._fills_per_s()
        load = stream_load(max(round(rate * self._seconds), 1), accounts=ACCOUNTS, fills_per_message=FILLS_PER_MESSAGE)
        with trading_ledger(store, schema) as served:
            _wait_for_tables(store, schema)
            with _Sampler(store, schema) as sampler:
                paced = _paced(load.lanes[0].messages, FILLS_PER_MESSAGE / rate)
                took, answers = stream(served.channel, paced)
            late = took - self._seconds
            check(late <= self._seconds * _LATE_SHARE_MAX + 1, f"fills at {rate:,.0f}/s were {late:.1f} s late")
            verify_answers(served.channel, load, [answers])
            _wait_for_tables(store, schema)
        verify_tables(store, schema, load)
        self.settings["lag_fills_per_s"] = round(rate)
        self.settings["lag_samples"] = len(sampler.lags_ms)
        hundredths = statistics.quantiles(sampler.lags_ms, n=100, method="inclusive")
        return {"lag.ms_p50": [hundredths[49]], "lag.ms_p99": [hundredths[98]]}


def _paced(messages: Iterable[bytes], seconds_between: float) -> Iterator[bytes]:
    """Each message when its turn comes."""
    turn_s = time.perf_counter()
    for message in messages:
        time.sleep(max(turn_s - time.perf_counter(), 0))
        turn_s += seconds_between
        yield message


class _Sampler:
    """A thread that asks how old the oldest commit is that the tables lack, until the block ends."""

    def __init__(self, store: Store, schema: str) -> None:
        self.lags_ms: list[float] = []
        self._query = _OLDEST.format(schema=schema, read=read_schema(schema)).encode()
        self._connection = store.connect()
        self._ended = threading.Event()
        self._failed: psycopg.Error | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> _Sampler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._connection.close()
        check(self._failed is None, f"the lag could not be asked: {self._failed}")
        check(len(self.lags_ms) > 1, "the fills were over before the lag was sampled twice")

    def _run(self) -> None:
        try:
            while not self._ended.wait(SAMPLE_SECONDS):
                row = self._connection.execute(self._query).fetchone()
                self.lags_ms.append((time.time_ns() - row[0]) / 1e6 if row else 0.0)
        except psycopg.Error as error:
            self._failed = error


def _wait_for_tables(store: Store, schema: str) -> None:
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


def verify_tables(store: Store, schema: str, load: Load) -> None:
    """The tables hold every fill that was sent."""
    query = f"SELECT quote_currency, sum(lines)::bigint FROM {read_schema(schema)}.volume_days GROUP BY quote_currency"
    found = dict(store.rows(query))
    check(found == load.volume.lines, f"the tables count {found} fills, sent were {dict(load.volume.lines)}")
