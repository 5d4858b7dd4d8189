"""Connections to PostgreSQL: a pool for readers, single ones for the writer, all from one DSN."""

from __future__ import annotations

from typing import Any, Final

import psycopg
from eventsourcing.postgres import PostgresDatastore
from psycopg.conninfo import conninfo_to_dict, make_conninfo

# A peer that vanished without a word is noticed within about half a minute.
_KEEPALIVE: Final = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 30_000}


_SERVER_VERSION_MIN: Final = 150_000


def open_datastore(dsn: str, schema: str, *, connections: int, wait_ms_max: int = 5_000) -> PostgresDatastore:
    """The library's datastore for a schema, over everything a DSN can say (sslmode, several hosts and so on).

    `wait_ms_max` is how long a caller waits for a connection before it is told that there is none.
    """
    parameters = conninfo_to_dict(dsn, **_KEEPALIVE, application_name="fee-ledger reader")
    datastore = PostgresDatastore(
        dbname="",
        host="",
        port="",
        user="",
        password="",
        schema=schema,
        originator_id_type="text",
        pool_size=1,
        max_overflow=connections - 1,
        pre_ping=True,
        connect_timeout=wait_ms_max / 1000,
    )
    pool_arguments = datastore.pool.kwargs
    assert isinstance(pool_arguments, dict)
    for name in ("dbname", "host", "port", "user", "password"):
        del pool_arguments[name]
    pool_arguments.update(parameters)
    return datastore


def connect(dsn: str, name: str) -> psycopg.Connection[tuple[Any, ...]]:
    """A connection of one's own: no pool, no retry, autocommit, durable commits whatever the server's default."""
    conninfo = make_conninfo(dsn, **_KEEPALIVE, application_name=f"fee-ledger {name}", connect_timeout=10)
    connection = psycopg.connect(conninfo, autocommit=True)
    connection.execute("SET synchronous_commit = on")
    return connection


class DatabaseError(Exception):
    """The database cannot hold a ledger: one line with the remedy."""


def check_durable(connection: psycopg.Connection[Any]) -> None:
    """An acknowledgement means durable: refuse a server that would lie about it, and one that is too old."""
    settings = dict(
        connection.execute(
            "SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'full_page_writes', 'server_version_num')"
        ).fetchall()
    )
    if int(settings["server_version_num"]) < _SERVER_VERSION_MIN:
        raise DatabaseError("PostgreSQL 15 or newer is needed")
    for name in ("fsync", "full_page_writes"):
        if settings[name] != "on":
            raise DatabaseError(f"PostgreSQL runs with {name} = {settings[name]}: turn it on, fees would be lost")
