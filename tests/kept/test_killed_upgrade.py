"""The log of each release, whose upgrade is killed after every one of its steps: afterwards it opens as it ever did."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.sql import SQL, Identifier

from ledger.store.migration import migrate
from ledger.store.postgres.roles import Roles, ensure_roles
from projections.check import Check
from projections.check.findings import Finding
from projections.tables.tables import TABLES_VERSION
from tests.kept.kept import SECOND_NS, differences, load, opened, questions, releases
from tests.kept.test_kept_log import DIFFERENCES
from tests.kept.upgrading import SCHEMA, upgrade
from tests.projections.audited import audit

ROLES: Final = Roles("kept_owner", "ledger", "kept_reader")  # the service is the role that made it, as when embedded
KILLED, OPENED = "kept_killed", "kept_opened"
STEPS_MIN: Final = 150
STATES_MIN: Final = 5
TABLES: Final = """
SELECT nspname, relname, relowner::regrole::text, relacl::text, relkind::text
FROM pg_class JOIN pg_namespace AS n ON n.oid = relnamespace
WHERE nspname LIKE 'ledger%' AND relkind IN ('r', 'v') ORDER BY 1, 2
"""
ROWS: Final = "SELECT count(*), sum(hashtextextended(one::text, 0)) FROM {} AS one"


@dataclass(frozen=True)
class Kept:
    """A database with the log of a release, of which copies are made."""

    release: str
    name: str
    superuser: str
    ends_ns: int

    def copied(self, name: str, source: str = "") -> str:
        """Copy it, or another database, in the place of the last copy; returns the DSN of the superuser."""
        with psycopg.connect(self.superuser, autocommit=True) as connection:
            drop(connection, name)
            statement = SQL("CREATE DATABASE {} TEMPLATE {}")
            connection.execute(statement.format(Identifier(name), Identifier(source or self.name)))
        return make_conninfo(self.superuser, dbname=name)


def drop(connection: psycopg.Connection[Any], database: str) -> None:
    connection.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(database)))


@pytest.fixture(scope="module", params=[release for release in releases() if release != version("fee-ledger")])
def kept(dsn: str, request: pytest.FixtureRequest) -> Iterator[Kept]:
    name, superuser = f"kept_{request.param.replace('.', '_')}_db", make_conninfo(dsn, user="postgres")
    with psycopg.connect(superuser, autocommit=True) as connection:
        connection.execute(SQL("CREATE DATABASE {} OWNER ledger").format(Identifier(name)))
        ends_ns = load(make_conninfo(dsn, dbname=name), request.param, SCHEMA)
        yield Kept(request.param, name, superuser, ends_ns)
        for database in (KILLED, OPENED, name):
            drop(connection, database)


def test_an_upgrade_that_is_killed_at_any_step_is_done_by_the_next_start(dsn: str, kept: Kept) -> None:
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["tests.kept.upgrading"])
    superuser = kept.copied(KILLED)
    password = conninfo_to_dict(dsn)["password"]
    left, states, steps, step, exit_code = "", 0, 0, 0, None
    while exit_code != 0:
        service = make_conninfo(superuser, user="ledger", password=password)
        process = processes.Process(target=upgrade, args=(superuser, service, ROLES, step, kept.ends_ns + 1))
        process.start()
        process.join(60)
        exit_code, before, left = process.exitcode, left, state(superuser)
        assert exit_code in (0, -signal.SIGKILL)
        steps, step = steps + 1, step + 1
        if left != before:  # the next one goes on from here: what is killed at its first steps comes after this
            states, step = states + 1, 0
            opens_as_ever(kept, kept.copied(OPENED, KILLED), password, f"killed {steps} times")
    assert steps >= STEPS_MIN
    assert states >= STATES_MIN, "it is killed before, between and after all that leaves something"


def state(superuser: str) -> str:
    """What is there of the ledger: tables, whose they are, who may do what with them, and a digest of their rows."""
    with psycopg.connect(superuser, autocommit=True) as connection:
        tables = connection.execute(TABLES).fetchall()
        rows = [connection.execute(SQL(ROWS).format(Identifier(*table[:2]))).fetchall() for table in tables]
    return str(list(zip(tables, rows, strict=True)))


def opens_as_ever(kept: Kept, superuser: str, password: str, when: str) -> None:
    """Start the service as it starts after a crash, and ask all that is kept."""
    service = make_conninfo(superuser, user="ledger", password=password)
    with psycopg.connect(superuser, autocommit=True) as connection:
        ensure_roles(connection, SCHEMA, ROLES)
        migrate(connection, SCHEMA, clock_ns=lambda: kept.ends_ns + 1)
    with opened(service, SCHEMA, kept.ends_ns + SECOND_NS, kept.release) as asking:
        wrong = [
            f"{when}: question {question.number}, {line}"
            for question in questions(kept.release)
            if (kept.release, question.number) not in DIFFERENCES
            for line in differences(question.answer, asking.ask(question.rpc, question.request))
        ]
        assert not wrong, "\n".join(wrong[:10])
    assert [str(each) for each in audit(service, SCHEMA)[0]] == [], when
    with psycopg.connect(service, autocommit=True) as connection:
        found: list[Any] = [str(one) for one in Check(connection, SCHEMA).findings() if isinstance(one, Finding)]
        assert found == [], when
        version = connection.execute("SELECT version FROM ledger_read.position").fetchone()
        assert version == (TABLES_VERSION,), when
