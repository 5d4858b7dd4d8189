"""`fee-ledger serve` on a PostgreSQL that gives it few connections: it says how many it needs, or it works."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ledger.config import Config
from ledger.server.connections import connections_needed
from ledger.store.postgres.dsn import VARIABLE
from tests.cli.running import shell

ROLE = "few_connections"
NEEDED = connections_needed(Config())


@pytest.fixture(scope="module")
def few(dsn: str) -> Iterator[tuple[str, str]]:
    """(DSN of a superuser, DSN of a role whose connections are limited)."""
    password = conninfo_to_dict(dsn)["password"]
    above = make_conninfo(dsn, user="postgres")
    with psycopg.connect(above, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{password}'".encode())
        connection.execute(f"GRANT CREATE ON DATABASE ledger TO {ROLE}".encode())
        yield above, make_conninfo(dsn, user=ROLE)
        connection.execute(f"DROP OWNED BY {ROLE} CASCADE".encode())
        connection.execute(f"DROP ROLE {ROLE}".encode())


def serve(few: tuple[str, str], connections: int) -> tuple[int, str, str]:
    """(exit code, what it printed, told on stderr); a service that serves is asked to stop."""
    above, dsn = few
    with psycopg.connect(above, autocommit=True) as connection:
        connection.execute(f"ALTER ROLE {ROLE} CONNECTION LIMIT {connections}".encode())
    arguments = ("--listen", "127.0.0.1:0", "--schema", "few_connections")
    with shell("serve", *arguments, env={**os.environ, VARIABLE: dsn}) as process:
        assert process.stdout
        printed = ""
        for line in process.stdout:
            printed += line
            if " is serving on " in line:
                process.send_signal(signal.SIGINT)
        assert process.stderr
        told = process.stderr.read()
    return process.returncode, printed, told


@pytest.mark.parametrize("connections", [2, NEEDED - 1])
def test_a_role_with_fewer_connections_than_it_needs_is_told_how_many(few: tuple[str, str], connections: int) -> None:
    code, printed, told = serve(few, connections)
    said = (
        f"PostgreSQL gives this role {connections} connections, and the service needs {NEEDED}: raise max_connections"
    )
    assert (code, printed, told.count("\n")) == (2, "", 1)
    assert told.startswith(f"fee-ledger: {said}")


def test_a_role_with_none_at_all_is_one_line_too(few: tuple[str, str]) -> None:
    code, printed, told = serve(few, 0)
    assert (code, printed, told.count("\n")) == (2, "", 1)
    assert re.match("fee-ledger: PostgreSQL cannot be used: .*too many connections for role", told)


def test_with_as_many_as_it_needs_it_works(few: tuple[str, str]) -> None:
    code, printed, _ = serve(few, NEEDED)
    assert (code, printed.splitlines()[-1]) == (0, "stopped.")
