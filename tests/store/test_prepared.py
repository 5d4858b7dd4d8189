"""A prepared statement stores what a cursor of psycopg stores, and its errors are those of psycopg."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from ledger.store.prepared import Prepared, are_values

INSERT = b"INSERT INTO kept SELECT %b::text, %b::bytea, %b::int8, %b"


@pytest.fixture
def connection(dsn: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE TEMPORARY TABLE kept (name text, data bytea, time_ns bigint, number bigint UNIQUE)")
        yield connection


def rows(connection: psycopg.Connection[tuple[object, ...]]) -> list[tuple[object, ...]]:
    return connection.execute("SELECT * FROM kept ORDER BY number").fetchall()


def test_values_of_every_type_come_back_as_they_were_sent(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    sent = [("", b"", None, -(2**63)), ("ü\n", b"\x00\xff", 0, 1), ("a" * 10_000, bytes(100_000), 2**63 - 1, 2)]
    prepared = Prepared(connection)
    for row in sent:
        prepared.run(INSERT, row)
    assert rows(connection) == sent
    made = connection.execute("SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'ledger%'").fetchone()
    assert made == (1,)


def test_an_error_is_raised_as_psycopg_does_and_the_connection_goes_on(
    connection: psycopg.Connection[tuple[object, ...]],
) -> None:
    prepared = Prepared(connection)
    prepared.run(INSERT, ("a", b"", None, 1))
    with pytest.raises(psycopg.errors.UniqueViolation, match="kept_number_key"):
        prepared.run(INSERT, ("b", b"", None, 1))
    with pytest.raises(psycopg.errors.UndefinedTable):
        prepared.run(b"INSERT INTO nowhere SELECT %b", (1,))
    prepared.run(INSERT, ("c", b"", None, 2))
    assert [name for name, *_ in rows(connection)] == ["a", "c"]


def test_a_connection_that_was_lost_is_an_operational_error(
    connection: psycopg.Connection[tuple[object, ...]], dsn: str
) -> None:
    prepared = Prepared(connection)
    prepared.run(b"SELECT %b", (1,))
    with psycopg.connect(dsn, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 10000)", (connection.info.backend_pid,))
    with pytest.raises(psycopg.OperationalError):
        prepared.run(b"SELECT %b", (1,))
    with pytest.raises(psycopg.OperationalError):
        prepared.run(b"SELECT %b", (1,))


def test_arrays_are_left_to_psycopg() -> None:
    assert are_values(["a", b"", 1, None])
    assert not are_values(["a", [1, 2]])
