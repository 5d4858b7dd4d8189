"""`fee-ledger serve` and the roles of a ledger: its own PostgreSQL, an older one, and the embedded one of 0.1.0."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import grpc
import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.errors import InsufficientPrivilege

from ledger.store.postgres.dsn import VARIABLE
from ledger.store.postgres.embedded import EmbeddedPostgres
from tests.conftest import serving
from tests.data_folders import reachable_folder
from tests.e2e.test_serve import serve
from tests.kept.kept import load
from tests.samples import batch, fill
from tests.store.postgres.guarding import (
    OWNER,
    READER,
    ROLES,
    SERVICE,
    database,
    dsn_of,
    give_passwords,
    printed_sql,
    psql,
)
from tests.tools.running import run
from tests.waiting import wait_for

ADMIN, BEFORE = "guard_admin", "guard_before"  # who may create roles, and who made the ledger
LACKS = (  # what the log of 0.1.0 does
    "0003_guard.sql, 0004_indexes_of_lists.sql, 0005_account_snapshots.sql, 0006_days_first.sql"
    ", 0007_erasable_parts.sql, 0008_dictionaries.sql"
)
OWNERS = """
SELECT DISTINCT nspname, pg_get_userbyid(relowner), pg_get_userbyid(nspowner)
FROM pg_class JOIN pg_namespace AS n ON n.oid = relnamespace WHERE nspname LIKE 'ledger%' ORDER BY 1
"""


@pytest.fixture(scope="module")
def older(dsn: str) -> Iterator[str]:
    """The ledger of 0.1.0 in a database of one's own, whose administrator is no superuser; gives the superuser."""
    with psycopg.connect(make_conninfo(dsn, user="postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {ADMIN} LOGIN CREATEROLE CREATEDB; CREATE ROLE {BEFORE} LOGIN".encode())
        connection.execute(f"GRANT {BEFORE} TO {ADMIN} WITH ADMIN OPTION".encode())
    with database(dsn, "older", owner=ADMIN) as superuser:
        give_passwords(superuser, (ADMIN, BEFORE))
        with psycopg.connect(superuser, autocommit=True) as connection:
            connection.execute(f"GRANT CREATE ON DATABASE older TO {BEFORE}".encode())
        load(dsn_of(superuser, BEFORE), "0.1.0", "ledger")
        yield superuser
    with psycopg.connect(make_conninfo(dsn, user="postgres"), autocommit=True) as connection:
        connection.execute(f"DROP ROLE {ADMIN}, {BEFORE}".encode())


def started(dsn: str) -> tuple[int, list[str], str]:
    """Start the service over one's own PostgreSQL, and end it when it serves: exit code, what it printed, stderr."""
    command = [sys.executable, "-m", "ledger", "serve", "--listen", "127.0.0.1:0"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env={**os.environ, VARIABLE: dsn}, text=True, **pipes) as process:
        assert process.stdout
        assert process.stderr
        lines = []
        for line in process.stdout:
            lines.append(line.rstrip())
            if " is serving on " in line:
                process.send_signal(signal.SIGINT)
        return process.wait(), lines, process.stderr.read()


def test_a_ledger_of_0_1_0_gets_its_roles_from_whoever_may_create_them(older: str) -> None:
    admin, service, owner = (dsn_of(older, role) for role in (ADMIN, SERVICE, OWNER))
    assert psql(admin, printed_sql()) == (0, "")
    give_passwords(older, ROLES)
    with psycopg.connect(older, autocommit=True) as connection:
        assert connection.execute(OWNERS).fetchall() == [
            ("ledger", OWNER, OWNER),
            ("ledger_read", SERVICE, SERVICE),
        ]
        members = connection.execute("SELECT pg_has_role(%s, %s, 'USAGE')", (ADMIN, OWNER)).fetchone()
        assert members == (False,)
    code, printed, told = started(service)
    assert (code, printed) == (2, [])
    assert told == (
        f"fee-ledger: the schema ledger lacks {LACKS}: `fee-ledger database migrate --dsn OWNER_DSN --schema"
        f" ledger` applies them, as the role {OWNER}\n"
    )
    ran = run("database", "migrate", "--dsn", owner)
    assert (ran.code, ran.out) == (0, f"applied: {LACKS}\n"), ran
    ran = run("database", "migrate", "--dsn", owner)
    assert (ran.code, ran.out) == (0, "nothing was missing\n"), ran
    code, printed, _ = started(service)
    assert (code, [line for line in printed if "as the owner of the log" in line]) == (0, [])
    code, printed, _ = started(owner)
    (line,) = [line for line in printed if "as the owner of the log" in line]
    assert (code, "`fee-ledger database roles` prints the SQL" in line) == (0, True)
    assert run("audit", "--dsn", dsn_of(older, READER)).code == 0
    assert run("check", "--dsn", service).code == 0


def test_the_service_ends_a_silent_session_of_its_own_role_and_goes_on(older: str) -> None:
    dsn = dsn_of(older, SERVICE)
    ended = (
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE application_name = 'fee-ledger writer' AND usename = current_user"
    )
    with serving(dsn, "other_ledger") as ledger, psycopg.connect(dsn, autocommit=True) as connection:
        assert connection.execute(ended).fetchone() == (1,)

        def answered() -> bool:
            with suppress(grpc.RpcError):
                return bool(ledger.fills.RecordFills(batch(fill())).refusals)
            return False

        wait_for(answered, 30)


@contextmanager
def stopped_folder_of_0_1_0() -> Iterator[Path]:
    """The data folder of a ledger that release 0.1.0 left."""
    folder = reachable_folder()
    postgres = EmbeddedPostgres(folder)
    try:
        dsn = postgres.start("a test")
        load(dsn, "0.1.0", "ledger")
        with psycopg.connect(postgres.superuser_dsn, autocommit=True) as connection:
            connection.execute("DROP ROLE ledger_reader")
        (folder / "reader-password").unlink()
        postgres.stop()
        yield folder
    finally:
        postgres.stop()
        shutil.rmtree(folder, ignore_errors=True)


def test_a_data_folder_of_0_1_0_has_the_roles_after_the_first_start(tmp_path: Path) -> None:
    with stopped_folder_of_0_1_0() as folder:
        assert run("audit", "--data", folder).code == 0
        for _ in range(2):
            assert [line for line in serve(folder, tmp_path) if "as the owner of the log" in line] == []
        postgres = EmbeddedPostgres(folder)
        dsn = postgres.start("a test")
        try:
            with psycopg.connect(dsn) as connection:
                assert connection.execute(OWNERS).fetchall() == [
                    ("ledger", "ledger_owner", "ledger_owner"),
                    ("ledger_read", "ledger", "ledger"),
                ]
                with pytest.raises(InsufficientPrivilege):
                    connection.execute("DELETE FROM ledger.events")
            password = (folder / "reader-password").read_text().strip()
            reader = make_conninfo(dsn, user="ledger_reader", password=password)
            with psycopg.connect(reader, autocommit=True) as connection:
                assert connection.execute("SELECT count(*) > 100 FROM ledger.events").fetchone() == (True,)
                with pytest.raises(InsufficientPrivilege):
                    connection.execute("UPDATE ledger.events SET topic = topic")
            with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
                psycopg.connect(make_conninfo(dsn, user="postgres", password=password))
        finally:
            postgres.stop()
