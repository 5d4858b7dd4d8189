"""A database with owner, service and reader of a ledger, made as a person makes them: by psql, from what is printed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier

from ledger.store.postgres.wheel import installed_wheel
from tests.tools.running import run

PASSWORD = "made up for these tests"  # no secret: the server goes with them
OWNER, SERVICE, READER = ROLES = ("guard_owner", "guard_service", "guard_reader")


@contextmanager
def database(dsn: str, name: str, owner: str = "postgres") -> Iterator[str]:
    """Make a database in the embedded PostgreSQL; gives the connection string of the superuser.

    Afterwards ROLES are gone, too: they are those of all databases, and somebody else may be to make them next.
    """
    with psycopg.connect(make_conninfo(dsn, user="postgres"), autocommit=True) as connection:
        connection.execute(SQL("CREATE DATABASE {} OWNER {}").format(Identifier(name), Identifier(owner)))
        try:
            yield make_conninfo(dsn, user="postgres", dbname=name)
        finally:
            connection.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))
            connection.execute(SQL("DROP ROLE IF EXISTS {}").format(SQL(", ").join(map(Identifier, ROLES))))


def dsn_of(superuser: str, role: str) -> str:
    """The connection string of another role in the same database."""
    return make_conninfo(superuser, user=role, password=PASSWORD)


def printed_sql(schema: str = "ledger") -> str:
    """What `fee-ledger database roles` prints."""
    ran = run("database", "roles", "--schema", schema, "--owner", OWNER, "--service", SERVICE, "--reader", READER)
    assert (ran.code, ran.err) == (0, "")
    return ran.out


def psql(dsn: str, text: str) -> tuple[int, str]:
    """Run a file with psql itself; returns its exit code, and what it says of errors."""
    done = _psql(dsn, "-f", "-", text=text)
    return done.returncode, done.stderr.decode()


def psql_sends(dsn: str, statement: str) -> bytes:
    """Run one statement with psql itself; returns what it prints."""
    done = _psql(dsn, "-c", statement)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout


def _psql(dsn: str, *arguments: str, text: str = "") -> subprocess.CompletedProcess[bytes]:
    command = [installed_wheel().programs / "psql", "-X", "-q", *arguments, dsn]
    return subprocess.run(command, input=text.encode(), capture_output=True, timeout=60, check=False)


def give_passwords(superuser: str, roles: Sequence[str] = ROLES) -> None:
    """Do what `\\password` of psql does for a person."""
    with psycopg.connect(superuser, autocommit=True) as connection:
        for role in roles:
            connection.execute(SQL("ALTER ROLE {} PASSWORD {}").format(Identifier(role), PASSWORD))
