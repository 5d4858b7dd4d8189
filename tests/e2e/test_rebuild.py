"""Tables are replaced under a service that takes fills and answers: no reader sees an error, or some of each."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from ledger.v1.query_service_pb2 import ListAccountsRequest
from projections.check import Check
from projections.check.findings import Finding
from projections.tables.rebuild import Rebuild
from projections.tables.tables import read_schema
from tests.conftest import Ledger
from tests.samples import batch, fill, symbol
from tests.server.calls import await_tables

REBUILDS = 4
ACCOUNTS = 150


class Repeated:
    """A thread that does one thing again and again until it is told to stop, and says what went wrong."""

    def __init__(self, do: Callable[[], None]) -> None:
        self.times = 0
        self._do = do
        self._ended = threading.Event()
        self._error: BaseException | None = None
        self._more = threading.Condition()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            while not self._ended.is_set():
                self._do()
                with self._more:
                    self.times += 1
                    self._more.notify_all()
        except BaseException as error:
            self._error = error
            with self._more:
                self._more.notify_all()

    def wait_for_more(self) -> None:
        """Until it was done twice more: once at least from the beginning."""
        goal = self.times + 2
        with self._more:
            assert self._more.wait_for(lambda: self.times >= goal or self._error, 30), "it does nothing"

    def end(self) -> None:
        self._ended.set()
        self._thread.join(30)
        assert self._error is None, repr(self._error)


@contextmanager
def rebuilding(dsn: str, ledger: Ledger, schema: str) -> Iterator[Rebuild]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        rebuild = Rebuild(ledger.log, schema, connection)
        rebuild.begin()
        list(rebuild.fill())
        yield rebuild


def wrong(dsn: str, schema: str) -> list[Finding]:
    """What a check finds."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        return [one for one in Check(connection, schema).findings() if isinstance(one, Finding)]


@pytest.fixture
def trading(ledger: Ledger) -> Ledger:
    ledger.commands.RegisterSymbol(symbol())
    ledger.fills.RecordFills(batch(*(fill(account_id=f"account{number:03}") for number in range(ACCOUNTS))))
    await_tables(ledger)
    return ledger


def test_readers_and_the_runner_go_on_while_tables_are_replaced(trading: Ledger, dsn: str, schema: str) -> None:
    read = read_schema(schema)
    counts = SQL("SELECT (SELECT count(*) FROM {}), (SELECT count(*) FROM {}), (SELECT count(*) FROM {})").format(
        *(Identifier(read, name) for name in ("accounts", "fee_days", "volume_days"))
    )
    known, numbers = [0], count(1)

    def ask() -> None:
        page = trading.queries.ListAccounts(ListAccountsRequest(page_size=1_000))
        assert len(page.accounts) >= known[0]
        known[0] = len(page.accounts)

    with psycopg.connect(dsn, autocommit=True, prepare_threshold=0) as sql:

        def look() -> None:
            """Each account has one day, so that a mixture of old and new tables would show."""
            row = sql.execute(counts).fetchone()
            assert row is not None
            assert row[0] == row[1] == row[2] >= ACCOUNTS, row

        def ingest() -> None:
            number = next(numbers)
            trading.fills.RecordFills(batch(*(fill(account_id=f"new{number}-{leg}") for leg in range(3))))

        ingesting, asking, counting = Repeated(ingest), Repeated(ask), Repeated(look)
        for _ in range(REBUILDS):
            with rebuilding(dsn, trading, schema) as rebuild:
                rebuild.switch()
            assert wrong(dsn, schema) == [], "a check sees one instant, whatever arrives meanwhile"
            for one in (asking, counting, ingesting):
                one.wait_for_more()
        for one in (ingesting, asking, counting):
            one.end()
    await_tables(trading)
    assert wrong(dsn, schema) == []
