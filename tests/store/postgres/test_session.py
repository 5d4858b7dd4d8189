"""A session of the service waits for PostgreSQL no longer than it may."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import psycopg
import pytest
from eventsourcing.persistence import PersistenceError
from psycopg.errors import ConnectionTimeout, LockNotAvailable, QueryCanceled

from ledger.store.log import Log
from ledger.store.migration import migrate
from ledger.store.postgres import session
from ledger.store.postgres.database import connect, open_datastore
from ledger.store.postgres.session import Limits, Patience
from scripts.torture.proxy import Proxy


@pytest.fixture
def proxy(dsn: str) -> Iterator[Proxy]:
    with Proxy(dsn) as proxy:
        yield proxy


def test_postgresql_ends_a_statement_that_takes_too_long_and_the_session_goes_on(dsn: str) -> None:
    with connect(dsn, "test", Limits(statement_ms_max=100)) as connection:
        with pytest.raises(QueryCanceled):
            connection.execute("SELECT pg_sleep(10)")
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_postgresql_ends_the_wait_for_a_lock(dsn: str) -> None:
    with connect(dsn, "other") as other, connect(dsn, "test", Limits(lock_ms_max=100)) as connection:
        other.execute("SELECT pg_advisory_lock(4711)")
        with pytest.raises(LockNotAvailable):
            connection.execute("SELECT pg_advisory_lock(4711)")


def test_a_tool_waits_as_long_as_it_takes(dsn: str) -> None:
    with connect(dsn, "test") as connection:
        assert connection.execute("SHOW statement_timeout").fetchone() == ("0",)
        assert not isinstance(connection, session.Session)


def test_where_the_network_freezes_the_client_gives_up_and_closes(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "_LATER_S", 0.2)
    connection = connect(proxy.dsn, "test", Limits(statement_ms_max=300))
    proxy.freeze()
    began_s = time.monotonic()
    with pytest.raises(ConnectionTimeout, match="did not answer in time"):
        connection.execute("SELECT 1")
    assert 0.5 <= time.monotonic() - began_s < 3
    assert connection.closed


def test_a_reader_behind_a_frozen_network_is_told_and_reads_again_when_it_thaws(
    proxy: Proxy, dsn: str, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "_LATER_S", 0.2)
    with psycopg.connect(dsn, autocommit=True) as connection:
        migrate(connection, schema)
    limits = Limits(statement_ms_max=300)
    with open_datastore(proxy.dsn, schema, connections=2, wait_ms_max=1_000, limits=limits) as datastore:
        log = Log(datastore)
        assert log.head() == (0, 0)
        proxy.freeze()
        began_s = time.monotonic()
        with pytest.raises(PersistenceError):
            log.head()
        assert time.monotonic() - began_s < 5
        proxy.thaw()
        assert log.head() == (0, 0)


def test_the_end_of_patience_ends_a_wait_without_other_limits(proxy: Proxy) -> None:
    patience = Patience()
    connection = connect(proxy.dsn, "test", Limits(patience=patience))
    proxy.freeze()
    threading.Timer(0.3, patience.end_within, (0.2,)).start()
    began_s = time.monotonic()
    with pytest.raises(ConnectionTimeout):
        connection.execute("SELECT 1")
    assert 0.5 <= time.monotonic() - began_s < 3
    with pytest.raises(psycopg.OperationalError, match="the service stops"):
        connect(proxy.dsn, "test", Limits(patience=patience))
