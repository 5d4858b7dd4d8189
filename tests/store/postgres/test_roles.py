"""Owner, service and reader of a ledger, on a real PostgreSQL: what each of them may do, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

from tests.conftest import Ledger, serving
from tests.samples import batch, fill, symbol
from tests.store.postgres.guarding import OWNER, READER, SERVICE, database, dsn_of, give_passwords, printed_sql, psql
from tests.tools.running import run
from tests.waiting import wait_for

GUARDED = ("events", "commits", "requests")
READABLE = (*GUARDED, "tracking", "migrations", "roles")
TABLES = "SELECT relname FROM pg_class WHERE relnamespace = 'ledger_read'::regnamespace AND relkind IN ('r', 'v')"
# Who owns and may do what, of all that belongs to the ledger.
RIGHTS = """
SELECT oid::regclass::text, relowner::regrole::text, relacl::text FROM pg_class
WHERE relnamespace IN ('ledger'::regnamespace, 'ledger_read'::regnamespace)
UNION SELECT nspname, nspowner::regrole::text, nspacl::text FROM pg_namespace WHERE nspname LIKE 'ledger%'
UNION SELECT 'database', datdba::regrole::text, datacl::text FROM pg_database WHERE datname = current_database()
UNION SELECT 'default', defaclrole::regrole::text, defaclacl::text FROM pg_default_acl
ORDER BY 1, 2, 3
"""

FORBIDDEN = [
    *(text.format(table) for table in GUARDED for text in (
        "DELETE FROM ledger.{}",
        "DELETE FROM ledger.{} WHERE false",
        "TRUNCATE ledger.{}",
        "ALTER TABLE ledger.{} ADD COLUMN note text",
        "ALTER TABLE ledger.{} DISABLE TRIGGER refuse_change",
        "ALTER TABLE ledger.{} DISABLE TRIGGER ALL",
        "ALTER TABLE ledger.{} OWNER TO CURRENT_USER",
        "DROP TRIGGER refuse_change ON ledger.{}",
        "DROP TABLE ledger.{}",
        "CREATE TRIGGER mine BEFORE INSERT ON ledger.{} EXECUTE FUNCTION ledger.refuse_change()",
        "CREATE RULE mine AS ON INSERT TO ledger.{} DO INSTEAD NOTHING",
    )),
    "UPDATE ledger.events SET state = ''",
    "UPDATE ledger.events SET notification_id = notification_id WHERE false",
    "UPDATE ledger.commits SET recorded_time_ns = 0",
    "UPDATE ledger.requests SET position = 1",
    "INSERT INTO ledger.requests VALUES ('r', '', 1) ON CONFLICT (request_id) DO UPDATE SET position = 2",
    "MERGE INTO ledger.commits USING (SELECT 1) AS one ON true WHEN MATCHED THEN DELETE",
    "DELETE FROM ledger.tracking",
    "TRUNCATE ledger.tracking",
    "DELETE FROM ledger.erasable_parts",
    "UPDATE ledger.erasable_parts SET content = ''",
    "DELETE FROM ledger.erasable_text",
    "UPDATE ledger.erasable_text SET text = ''",
    "DELETE FROM ledger.account_snapshots",
    "UPDATE ledger.migrations SET sha256 = ''",
    "DELETE FROM ledger.migrations",
    "UPDATE ledger.roles SET reader = 'me'",
    "CREATE OR REPLACE FUNCTION ledger.refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
    "DROP FUNCTION ledger.refuse_change() CASCADE",
    "ALTER FUNCTION ledger.refuse_change() OWNER TO CURRENT_USER",
    "CREATE TABLE ledger.mine (id int)",
    "DROP SCHEMA ledger CASCADE",
    "ALTER SCHEMA ledger RENAME TO other",
    "SET session_replication_role = replica",
    f"SET ROLE {OWNER}",
    f"SET SESSION AUTHORIZATION {OWNER}",
    f"GRANT {OWNER} TO CURRENT_USER",
    f"ALTER ROLE {OWNER} PASSWORD NULL",
    "CREATE ROLE another",
]  # fmt: skip
FORBIDDEN_TO_THE_READER = [
    "INSERT INTO ledger.events SELECT originator_id, 99, topic, state, 99 FROM ledger.events LIMIT 1",
    "INSERT INTO ledger.commits VALUES (99, 99, 99)",
    "INSERT INTO ledger.requests VALUES ('r', '', 1)",
    "INSERT INTO ledger.tracking VALUES ('engine', 99)",
    "UPDATE ledger.tracking SET notification_id = 99",
    "SELECT * FROM ledger.erasable_text",
    "UPDATE ledger.account_snapshots SET state = ''",
    "DELETE FROM ledger_read.fee_days",
    "UPDATE ledger_read.position SET position = 0",
    "CREATE TABLE ledger_read.mine (id int)",
    "CREATE SCHEMA mine",
]


@dataclass(frozen=True)
class Guarded:
    """A ledger with three roles, served by the service, that has recorded something."""

    ledger: Ledger
    superuser: str

    def execute(self, role: str, text: str) -> list[tuple[Any, ...]]:
        """A statement as one of the roles, in a session of its own."""
        with psycopg.connect(dsn_of(self.superuser, role)) as connection:
            cursor = connection.execute(text.encode())
            return cursor.fetchall() if cursor.description else []

    def admin(self, text: str) -> list[tuple[Any, ...]]:
        """A statement as a superuser."""
        with psycopg.connect(self.superuser) as connection:
            cursor = connection.execute(text.encode())
            return cursor.fetchall() if cursor.description else []


@pytest.fixture(scope="module")
def guarded(dsn: str) -> Iterator[Guarded]:
    """It begins with the roles that `fee-ledger database roles` prints, and with the tables that its owner makes."""
    with database(dsn, "guarded") as superuser:
        assert psql(superuser, printed_sql()) == (0, "")
        give_passwords(superuser)
        assert run("database", "migrate", "--dsn", dsn_of(superuser, OWNER)).code == 0
        with serving(dsn_of(superuser, SERVICE), "ledger", read_wait_ms_max=20_000) as ledger:
            ledger.commands.RegisterSymbol(symbol())
            ledger.fills.RecordFills(batch(fill(), fill(exec_id="E2"), source="engine", first_sequence=1))
            yield Guarded(ledger, superuser)


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_neither_the_service_nor_the_reader_can_change_what_is_recorded(guarded: Guarded, statement: str) -> None:
    for role in (SERVICE, READER):
        with pytest.raises(InsufficientPrivilege):
            guarded.execute(role, statement)


@pytest.mark.parametrize("statement", FORBIDDEN_TO_THE_READER)
def test_the_reader_changes_nothing_at_all_and_sees_no_text(guarded: Guarded, statement: str) -> None:
    with pytest.raises(InsufficientPrivilege):
        guarded.execute(READER, statement)


@pytest.mark.parametrize("table", GUARDED)
@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM ledger.{}",
        "TRUNCATE ledger.{}",
        "SET session_replication_role = replica; DELETE FROM ledger.{}",
        "SET fee_ledger.migration = ledger; DELETE FROM ledger.{}",
        "WITH gone AS (DELETE FROM ledger.{} RETURNING 1) SELECT count(*) FROM gone",
    ],
)
def test_a_superuser_is_refused_and_told_what_to_do_instead(guarded: Guarded, table: str, statement: str) -> None:
    with pytest.raises(InsufficientPrivilege) as caught:
        guarded.admin(statement.format(table))
    told = caught.value.diag
    assert f" of ledger.{table} is refused: what is recorded stays as it is" in str(told.message_primary)
    assert f"Only `fee-ledger database migrate`, as the role {OWNER}, changes" in str(told.message_hint)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger.events SET topic = topic",
        "UPDATE ledger.commits SET first_position = first_position",
        "UPDATE ledger.requests SET position = position",
        "UPDATE ledger.erasable_parts SET content = content",
        "TRUNCATE ledger.erasable_parts",
        "TRUNCATE ledger.events, ledger.commits",
    ],
)
def test_the_owner_too_is_refused(guarded: Guarded, statement: str) -> None:
    with pytest.raises(InsufficientPrivilege, match="is refused: what is recorded stays as it is"):
        guarded.execute(OWNER, statement)


def test_the_owner_alone_erases_and_nobody_changes_what_is_left(guarded: Guarded) -> None:
    assert guarded.execute(OWNER, "DELETE FROM ledger.erasable_parts WHERE position < 0") == []


@pytest.mark.parametrize("table", READABLE)
def test_the_reader_reads_the_log(guarded: Guarded, table: str) -> None:
    rows = guarded.execute(READER, f"SELECT * FROM ledger.{table}")
    assert len(rows) > 0


def test_the_reader_reads_the_tables_before_and_after_a_rebuild(guarded: Guarded) -> None:
    names = [name for (name,) in guarded.admin(TABLES)]
    assert len(names) > 10
    for _ in range(2):
        wait_for(lambda: guarded.execute(READER, "SELECT count(*) FROM ledger_read.fee_days")[0][0] == 1)
        for name in names:
            guarded.execute(READER, f"SELECT * FROM ledger_read.{name}")
        ran = run("rebuild", "--dsn", dsn_of(guarded.superuser, SERVICE))
        assert (ran.code, "the new tables are live" in ran.out) == (0, True), ran


def test_the_reader_reads_what_a_later_release_of_the_service_makes(guarded: Guarded) -> None:
    guarded.execute(SERVICE, "CREATE SCHEMA ledger_read_later CREATE TABLE ledger_read_later.added (id int)")
    assert guarded.execute(READER, "SELECT * FROM ledger_read_later.added") == []
    guarded.execute(SERVICE, "DROP SCHEMA ledger_read_later CASCADE")


@pytest.mark.parametrize(("tool", "role"), [("audit", READER), ("audit", SERVICE), ("check", SERVICE)])
def test_a_tool_that_reads_works_as_the_role_that_is_said_for_it(guarded: Guarded, tool: str, role: str) -> None:
    ran = run(tool, "--dsn", dsn_of(guarded.superuser, role))
    assert (ran.code, ran.err, "0 findings" in ran.out) == (0, "", True), ran


@pytest.mark.parametrize(
    ("arguments", "role", "says"),
    [
        (["check"], READER, "permission denied for table erasable_text; give the --dsn of the role of the service"),
        (["rebuild"], READER, f"the tables belong to the role {SERVICE}, who would lose them: rebuild as {SERVICE}"),
        (["database", "migrate"], READER, f'permission denied to set role "{OWNER}"'),
        (["database", "migrate"], SERVICE, f'permission denied to set role "{OWNER}"'),
    ],
)
def test_a_role_without_the_rights_is_told_so_in_one_line(
    guarded: Guarded, arguments: list[str], role: str, says: str
) -> None:
    ran = run(*arguments, "--dsn", dsn_of(guarded.superuser, role))
    assert (ran.code, ran.err.count("\n"), says in ran.err) == (2, 1, True), ran


def test_the_sql_can_be_run_again_while_the_service_records(guarded: Guarded) -> None:
    before = guarded.admin(RIGHTS)
    assert psql(guarded.superuser, printed_sql()) == (0, "")
    assert guarded.admin(RIGHTS) == before
    assert guarded.ledger.fills.RecordFills(batch(fill(exec_id="again"))).recorded == 1


@pytest.mark.parametrize(
    ("before", "says"),
    [
        (
            "ALTER ROLE {service} CREATEROLE",
            f"the role {SERVICE} would be able to change the log: it is a superuser, or",
        ),
        ("ALTER ROLE {reader} SUPERUSER", f"the role {READER} would be able to change the log: it is a superuser, or"),
        ("GRANT {owner} TO {service}", f"the role {SERVICE} would be able to change the log: it is a member of"),
        ("GRANT pg_write_all_data TO {reader}", f"the role {READER} would be able to change the table "),
    ],
)
def test_a_role_that_may_do_more_by_other_means_is_refused(guarded: Guarded, before: str, says: str) -> None:
    roles = {"owner": OWNER, "service": SERVICE, "reader": READER}
    text = printed_sql().replace("BEGIN;", f"BEGIN; {before.format(**roles)};", 1)
    code, told = psql(guarded.superuser, text)
    assert (code, says in told) == (3, True), told


def test_three_roles_are_three(guarded: Guarded) -> None:
    ran = run("database", "roles", "--owner", "me", "--service", "me")
    assert (ran.code, ran.out, ran.err) == (2, "", "fee-ledger: owner, service and reader are to be three roles\n")
