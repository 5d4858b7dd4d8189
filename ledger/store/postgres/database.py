"""Connections to PostgreSQL: a pool for readers, single ones for the writer, all from one DSN."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Final, NamedTuple

import psycopg
from eventsourcing.postgres import PostgresDatastore
from psycopg.conninfo import make_conninfo

from ledger.store.postgres.dsn import parameters
from ledger.store.postgres.session import CONNECT_S_MAX, TCP, Limits, Session

# For tools, whose long statements nobody cuts: a server that vanished is noticed within about half a minute.
_TOOL_TCP: Final = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 30_000}

_SERVER_VERSION_MIN: Final = 150_000
_CLOSE_S_MAX: Final = 1.0
_RECONNECT_S_MAX: Final = 1.0


class _Datastore(PostgresDatastore):
    """The library's datastore, whose connections have limits."""

    def __init__(self, limits: Limits | None, **settings: Any) -> None:
        self._limits = limits
        super().__init__(dbname="", host="", port="", user="", password="", originator_id_type="text", **settings)
        if limits is not None:
            self.pool.connection_class = Session[Any]
        self._wait_s_max = self.pool.timeout

    def after_connect_func(self) -> Callable[[psycopg.Connection[Any]], None]:
        limits, prepare = self._limits, super().after_connect_func()

        def after_connect(connection: psycopg.Connection[Any]) -> None:
            if isinstance(connection, Session):
                connection.limits = limits
            prepare(connection)
            if limits is not None:
                limits.set_on(connection)

        return after_connect

    def get_connection(self) -> AbstractContextManager[psycopg.Connection[Any]]:  # type: ignore[override]
        """Give a connection as the library does, but wait for it no longer than the process waits for PostgreSQL."""
        if self._limits is not None:
            self.pool.timeout = min(self._wait_s_max, self._limits.patience.left_s)
        return super().get_connection()

    def close(self) -> None:
        """End all connections; one that is being made is not waited for."""
        self.pool.close(_CLOSE_S_MAX)

    def __exit__(self, *_: object) -> None:
        self.close()


def store_clock_ns(connection: psycopg.Connection[Any]) -> int:
    """Return nanoseconds since 1970 UTC by the clock of PostgreSQL's machine."""
    row = connection.execute("SELECT (extract(epoch FROM clock_timestamp()) * 1000000000)::int8").fetchone()
    assert row is not None
    return int(row[0])


def open_datastore(
    dsn: str, schema: str, *, connections: int, wait_ms_max: int = 5_000, limits: Limits | None = None
) -> PostgresDatastore:
    """Return the library's datastore for a schema, over everything a DSN can say (sslmode, several hosts and so on).

    `wait_ms_max` is how long a caller waits for a connection before it is told that there is none. `limits` are those
    of every session; None: those of a tool, which may read as long as it takes.
    """
    settings = {**parameters(dsn), **_tcp(limits), "application_name": "fee-ledger reader"}
    datastore = _Datastore(
        limits,
        schema=schema,
        pool_size=1,
        max_overflow=connections - 1,
        pre_ping=True,
        connect_timeout=wait_ms_max / 1000,
    )
    # One that could not be made is given up soon, and tried again by the next caller: not minutes after a long outage.
    datastore.pool.reconnect_timeout = _RECONNECT_S_MAX
    pool_arguments = datastore.pool.kwargs
    assert isinstance(pool_arguments, dict)
    for name in ("dbname", "host", "port", "user", "password"):
        del pool_arguments[name]
    pool_arguments.update({"connect_timeout": CONNECT_S_MAX, **settings})
    return datastore


def connect(
    dsn: str, name: str, limits: Limits | None = None, connect_s_max: int = CONNECT_S_MAX
) -> psycopg.Connection[tuple[Any, ...]]:
    """Return a connection of one's own: no pool, no retry, autocommit, durable commits whatever the server's default.

    `limits` are those of a service's session; None: those of a tool. Raises psycopg.Error. `connect_s_max`: seconds
    that a service waits for the session, 2 at least.
    """
    if limits is not None and not limits.patience.left_s:
        raise psycopg.OperationalError("the service stops")
    wait_s = 10 if limits is None else int(min(connect_s_max, limits.patience.left_s + 1))
    settings: dict[str, str | int] = {**parameters(dsn), **_tcp(limits)}
    settings |= {"application_name": f"fee-ledger {name}", "connect_timeout": wait_s}
    conninfo = make_conninfo("", **settings)
    if limits is None:
        connection = psycopg.connect(conninfo, autocommit=True)
    else:
        connection = session = Session[tuple[Any, ...]].connect(conninfo, autocommit=True)
        session.limits = limits
        limits.set_on(session)
    connection.execute("SET synchronous_commit = on")
    return connection


def _tcp(limits: Limits | None) -> dict[str, int]:
    return _TOOL_TCP if limits is None else TCP


class DatabaseError(Exception):
    """The database cannot hold a ledger: one line with the remedy."""


def cannot_be_used(error: Exception) -> str:
    """Return one line about a PostgreSQL that failed."""
    return f"PostgreSQL cannot be used: {' '.join(str(error).split())}"


def check_durable(connection: psycopg.Connection[Any]) -> None:
    """Refuse a server that would acknowledge what is not durable, and one that is too old."""
    settings = dict(
        connection.execute(
            "SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'full_page_writes')"
        ).fetchall()
    )
    if connection.info.server_version < _SERVER_VERSION_MIN:
        found = connection.info.parameter_status("server_version")
        raise DatabaseError(
            f"this is PostgreSQL {found}, and 15 or newer is needed: give the --dsn of such a one, or none for the"
            " embedded one"
        )
    for name in ("fsync", "full_page_writes"):
        if settings[name] != "on":
            raise DatabaseError(f"PostgreSQL runs with {name} = {settings[name]}: turn it on, fees would be lost")


# Limits of roles and databases do not hold for superusers, for whom a few connections are kept as well. -1: no limit.
_CONNECTIONS_MAX: Final = """
SELECT
    current_setting('max_connections')::int - CASE WHEN rolsuper THEN 0 ELSE
        current_setting('superuser_reserved_connections')::int
        + coalesce(current_setting('reserved_connections', true)::int, 0) END,
    CASE WHEN NOT rolsuper AND rolconnlimit >= 0 THEN rolconnlimit END,
    CASE WHEN NOT rolsuper AND datconnlimit >= 0 THEN datconnlimit END
FROM pg_roles, pg_database WHERE rolname = session_user AND datname = current_database()
"""


class ConnectionsMax(NamedTuple):
    """How many connections a role gets at most, by whom; None: no limit."""

    server: int
    role: int | None
    database: int | None

    @property
    def least(self) -> int:
        """The limit that prevails."""
        return min(limit for limit in self if limit is not None)


def connections_max(connection: psycopg.Connection[Any]) -> ConnectionsMax:
    """Return how many connections the role of this one gets."""
    row = connection.execute(_CONNECTIONS_MAX.encode()).fetchone()
    assert row is not None
    return ConnectionsMax(*row)


def check_connections(connection: psycopg.Connection[Any], needed: int) -> None:
    """Refuse a server that gives fewer connections than the service may need: under load it would stand still."""
    given = connections_max(connection).least
    if given < needed:
        raise DatabaseError(
            f"PostgreSQL gives this role {given} connections, and the service needs {needed}: raise max_connections,"
            " or the CONNECTION LIMIT of the role or of its database"
        )
