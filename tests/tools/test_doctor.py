"""`fee-ledger doctor` on installations that are broken in one way each: it names that, and its remedy heals it."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.errors import ReadOnlySqlTransaction

from ledger.clock import WallClock
from ledger.domain.instants import DAY_NS, SECOND_NS
from ledger.knobs.knob import Origin, Said
from ledger.knobs.settings import read_settings
from ledger.store.postgres.embedded import EmbeddedPostgres
from ledger.tools.doctor.migrations import rewrites
from ledger.tools.doctor.site import opened
from ledger.tools.doctor.versions import SECURE, SECURE_ON, postgresql_finding
from ledger.v1.query_service_pb2 import GetLedgerInfoRequest
from ledger.writing import term
from projections.tables.rebuild import Rebuild, take_rebuild_lock
from scripts.torture.disk import Disk, may_mount
from tests.conftest import Clock, Ledger, at, serving
from tests.data_folders import reachable_folder
from tests.e2e.rules.evaluating import DUE_NS
from tests.e2e.served import Served, started
from tests.kept.kept import load
from tests.samples import batch, fill, symbol
from tests.server.calls import await_tables, send
from tests.server.orders import trial
from tests.store.postgres.guarding import (
    OWNER,
    PASSWORD,
    READER,
    ROLES,
    SERVICE,
    database,
    dsn_of,
    give_passwords,
    printed_sql,
    psql,
)
from tests.tools.doctoring import NOWHERE, doctor, environment, heal
from tests.tools.running import run
from tests.waiting import wait_for

HOUR_NS: Final = 3_600 * SECOND_NS
MADE: Final = ("ledger_owner", "ledger_service")  # roles that a remedy makes


LESS = "CREATE OR REPLACE TRIGGER refuse_change BEFORE UPDATE ON ledger.events EXECUTE FUNCTION ledger.refuse_change()"
NOTHING = (
    "CREATE OR REPLACE FUNCTION ledger.refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
)


# --- an embedded ledger whose service runs, or not


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with started() as service:
        yield service


@pytest.fixture
def superuser(served: Served) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    lines = (served.folder / "data" / "postmaster.pid").read_text().splitlines()
    password = (served.folder / "password").read_text().strip()
    dsn = make_conninfo(host=lines[4], port=lines[3], user="postgres", dbname="ledger", password=password)
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield connection


def of(served: Served) -> tuple[object, ...]:
    """Where it is, as the doctor is told."""
    return ("--data", served.folder, "--address", served.address)


def position_of(served: Served) -> int:
    return int(served.queries.GetLedgerInfo(GetLedgerInfoRequest()).position)


def test_a_healthy_ledger_whose_service_runs_has_no_findings_and_is_left_as_it_is(served: Served) -> None:
    wait_for(lambda: doctor("tables-lag", *of(served)).levels("tables-lag") == ["OK"])
    before, position = sorted(served.folder.iterdir()), position_of(served)
    visit = doctor(*of(served))
    assert (visit.code, visit.err) == (0, ""), visit
    levels = {line.level for lines in visit.lines.values() for line in lines}
    assert levels <= {"OK", "NOTE", "not looked at"}
    for check in ("fsync-settings", "roles-owner", "roles-grants", "roles-guards", "tables-lag", "service", "door"):
        assert visit.levels(check) == ["OK"], visit.lines[check]
    figures = visit.only("fsync-measured").figures
    assert 0 < figures["fsync_p50_ns"] <= figures["fsync_p99_ns"]
    assert (sorted(served.folder.iterdir()), position_of(served)) == (before, position)


def test_a_person_reads_a_line_for_each_check_and_a_count(served: Served) -> None:
    ran = run("doctor", "door", "roles-guards", *of(served))
    assert (ran.code, ran.err) == (0, "")
    first, *_, last = ran.out.splitlines()
    assert first.startswith("OK            door               the service listens on 127.0.0.1:")
    assert last == "0 findings (2 OK)"


@pytest.mark.parametrize("name", ["fsync", "full_page_writes"])
def test_a_server_that_loses_commits_is_named_and_healed(
    served: Served, superuser: psycopg.Connection[tuple[Any, ...]], name: str
) -> None:
    superuser.execute(f"ALTER SYSTEM SET {name} = off".encode())
    superuser.execute("SELECT pg_reload_conf()")
    wait_for(lambda: superuser.execute(f"SHOW {name}".encode()).fetchone() == ("off",))
    visit = doctor("fsync-settings", *of(served))
    line = visit.only("fsync-settings")
    assert (visit.code, line.level, line.figures) == (1, "FAULT", {name: "off"})
    heal(line.remedy)
    wait_for(lambda: superuser.execute(f"SHOW {name}".encode()).fetchone() == ("on",))
    assert doctor("fsync-settings", *of(served)).code == 0
    superuser.execute("ALTER SYSTEM RESET ALL")


def test_a_server_that_does_not_wait_for_the_disk_by_itself_is_only_noted(
    served: Served, superuser: psycopg.Connection[tuple[Any, ...]]
) -> None:
    superuser.execute("ALTER ROLE ledger SET synchronous_commit = off")
    try:
        visit = doctor("fsync-settings", *of(served))
        assert (visit.code, visit.levels("fsync-settings")) == (0, ["NOTE", "OK"])
    finally:
        superuser.execute("ALTER ROLE ledger RESET synchronous_commit")


def test_a_service_that_records_nothing_is_named_until_it_does_again(served: Served) -> None:
    served.leap(3_600)
    wait_for(lambda: doctor("service", *of(served)).code == 1)
    line = doctor("service", *of(served)).only("service")
    assert (line.level, "records nothing: NOT_SERVING ledger.v1." in line.says) == ("FAULT", True)
    served.leap(0)
    wait_for(lambda: doctor("service", *of(served)).levels("service") == ["OK"])


def test_a_service_that_hangs_is_named(served: Served) -> None:
    served.pause()
    try:
        line = doctor("service", *of(served)).only("service")
        assert (line.level, line.remedy.split()[:2]) == ("FAULT", ["kill", str(served.pid)])
    finally:
        served.go_on()
    wait_for(lambda: doctor("service", *of(served)).levels("service") == ["OK"])


def test_a_trigger_and_a_right_of_the_embedded_ledger_are_healed_by_the_commands_printed(
    served: Served, superuser: psycopg.Connection[tuple[Any, ...]]
) -> None:
    superuser.execute("DROP TRIGGER refuse_change ON ledger.requests")
    superuser.execute("REVOKE INSERT ON ledger.commits FROM ledger")
    visit = doctor("roles-guards", "roles-grants", *of(served))
    assert (visit.code, visit.levels("roles-guards"), visit.levels("roles-grants")) == (1, ["FAULT"], ["FAULT"])
    for check in visit.lines:
        heal(visit.only(check).remedy)
    assert doctor("roles-guards", "roles-grants", *of(served)).code == 0


def test_a_command_is_printed_as_it_is_typed_however_many_lines_it_has(
    served: Served, superuser: psycopg.Connection[tuple[Any, ...]]
) -> None:
    superuser.execute(NOTHING.encode())
    ran = run("doctor", "roles-guards", *of(served))
    printed = ran.out.partition("> ")[2].rpartition("\n1 finding")[0]
    assert (ran.code, printed.count("\n") > 5) == (1, True), ran
    heal(printed)
    assert doctor("roles-guards", *of(served)).code == 0


def test_a_ledger_whose_service_was_stopped_is_looked_at_as_well(served: Served) -> None:
    served.end()
    try:
        visit = doctor(*of(served))
        assert (visit.code, visit.err) == (0, ""), visit
        assert visit.levels("service") == ["NOTE"]
        assert visit.levels("roles-guards") == ["OK"]
    finally:
        served.start()


# --- a ledger in a PostgreSQL of one's own, with its three roles; its clock is moved by the tests


class Own:
    """It, and the clock that its service and the doctor share."""

    def __init__(self, superuser: str, ledger: Ledger, clock: Clock) -> None:
        self.superuser = superuser
        self.ledger = ledger
        self.clock = clock

    def place(self, role: str = SERVICE, schema: str = "ledger") -> tuple[object, ...]:
        """Where it is, as the doctor is told; the password is in PGPASSFILE."""
        dsn = {name: value for name, value in conninfo_to_dict(self.superuser).items() if name != "password"}
        return ("--dsn", make_conninfo(**dsn | {"user": role}), "--schema", schema, "--address", self.ledger.address)

    def sql(self, *statements: str, role: str = "") -> None:
        """Do something as the superuser, or as another role."""
        dsn = dsn_of(self.superuser, role) if role else self.superuser
        with psycopg.connect(dsn, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())


@contextmanager
def clock_of_the_machine(clock: Callable[[], int]) -> Iterator[None]:
    """Have whatever reads the wall clock of this machine read this one."""
    was = WallClock.__init__.__defaults__
    WallClock.__init__.__defaults__ = (clock, clock)
    try:
        yield
    finally:
        WallClock.__init__.__defaults__ = was


@pytest.fixture(scope="module")
def passwords(dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A PGPASSFILE with those of all roles."""
    file = tmp_path_factory.mktemp("passwords") / "pgpass"
    own = {**dict.fromkeys((*ROLES, *MADE), PASSWORD), "postgres": conninfo_to_dict(dsn)["password"]}
    file.write_text("".join(f"*:*:*:{role}:{password}\n" for role, password in own.items()))
    file.chmod(0o600)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PGPASSFILE", str(file))
        yield


@pytest.fixture(scope="module")
def own(dsn: str, passwords: None) -> Iterator[Own]:
    with ExitStack() as stack:
        superuser = stack.enter_context(database(dsn, "doctor"))
        assert psql(superuser, printed_sql()) == (0, "")
        give_passwords(superuser)
        assert run("database", "migrate", "--dsn", dsn_of(superuser, OWNER)).code == 0
        clock = Clock()
        stack.enter_context(clock_of_the_machine(clock))
        ledger = stack.enter_context(serving(dsn_of(superuser, SERVICE), "ledger", clock=clock))
        send(ledger, symbol(price_scale=2, quantity_scale=2))
        await_tables(ledger)
        yield Own(superuser, ledger, clock)


def named(own: Own, check: str, *more: object, level: str = "FAULT", role: str = SERVICE) -> list[str]:
    """The remedies of a check that finds nothing but lines of one level."""
    visit = doctor(check, *own.place(role), *more)
    assert visit.code == (1 if level in {"FAULT", "WARNING"} else 0), visit
    assert set(visit.levels(check)) == {level}, visit
    return [line.remedy for line in visit.lines[check]]


def gone(own: Own, check: str, *more: object, role: str = SERVICE) -> bool:
    """Whether a check finds nothing more."""
    visit = doctor(check, *own.place(role), *more)
    return (visit.code, visit.levels(check)) == (0, ["OK"])


@pytest.mark.parametrize("role", ROLES)
def test_every_role_of_a_ledger_may_ask(own: Own, role: str) -> None:
    visit = doctor(*own.place(role))
    unseen = {check for check, lines in visit.lines.items() for line in lines if line.level == "not looked at"}
    assert visit.code in {0, 1}
    of_service = {"tables-lag", "tables-version", "trials-missed", "upgrade"} if role == OWNER else set()
    assert unseen - {"clock-synchronised"} == {"disk-data", "fsync-measured", *of_service}
    for check in ("roles-owner", "roles-grants", "roles-guards", "migrations-applied", "version-log", "service"):
        assert visit.levels(check) == ["OK"], visit.lines[check]


BROKEN = [
    ("roles-guards", "DROP TRIGGER refuse_change ON ledger.events"),
    ("roles-guards", "ALTER TABLE ledger.commits DISABLE TRIGGER refuse_change"),
    ("roles-guards", "ALTER TABLE ledger.requests ENABLE TRIGGER refuse_change"),
    ("roles-guards", "DROP TRIGGER refuse_change ON ledger.erasable_parts"),
    ("roles-guards", "DROP TRIGGER refuse_change ON ledger.dictionaries"),
    ("roles-guards", LESS),
    ("roles-guards", NOTHING),
    ("roles-grants", "GRANT UPDATE ON ledger.events TO PUBLIC"),
    ("roles-grants", f"GRANT DELETE, TRUNCATE ON ledger.commits TO {READER}"),
    ("roles-grants", f"GRANT UPDATE (topic) ON ledger.events TO {READER}"),
    ("roles-grants", f"GRANT UPDATE ON ledger.requests TO {SERVICE}"),
    ("roles-grants", f"GRANT DELETE ON ledger.erasable_parts TO {SERVICE}"),
    ("roles-grants", f"GRANT CREATE ON SCHEMA ledger TO {READER}"),
    ("roles-grants", f"REVOKE INSERT ON ledger.events FROM {SERVICE}"),
    ("roles-grants", f"REVOKE USAGE ON SCHEMA ledger FROM {READER}"),
    ("roles-owner", f"GRANT {OWNER} TO {SERVICE}"),
    ("roles-owner", f"ALTER ROLE {SERVICE} CREATEROLE"),
    ("roles-owner", f"ALTER ROLE {SERVICE} SUPERUSER"),
]


@pytest.mark.parametrize(("check", "breaks"), BROKEN, ids=[breaks for _, breaks in BROKEN])
def test_what_guards_the_log_is_named_where_it_is_broken_and_healed_by_the_command_printed(
    own: Own, check: str, breaks: str
) -> None:
    own.sql(breaks)
    for remedy in named(own, check):
        heal(remedy)
    assert gone(own, check)


@pytest.mark.parametrize("of", [OWNER, "pg_write_all_data"])
def test_a_role_that_can_act_for_another_is_named(own: Own, of: str) -> None:
    own.sql(f"GRANT {of} TO {READER}")
    (remedy,) = named(own, "roles-grants", level="WARNING")
    heal(remedy)
    assert gone(own, "roles-grants")


def test_a_release_that_the_schema_is_newer_than_is_named(own: Own) -> None:
    own.sql("INSERT INTO ledger.migrations VALUES ('9999_later.sql', '\\x00')")
    (remedy,) = named(own, "migrations-applied")
    assert remedy == "pip install --upgrade 'fee-ledger[service]'"
    own.sql("DELETE FROM ledger.migrations WHERE name = '9999_later.sql'")
    assert gone(own, "migrations-applied")


@pytest.mark.parametrize(
    ("breaks", "says"),
    [
        ("UPDATE ledger_read.position SET version = 99", "are of version 99"),
        ("DROP VIEW ledger_read.vip_now", "lack vip_now"),
    ],
)
def test_tables_of_another_release_and_those_that_lack_some_are_named_and_rebuilt(
    own: Own, breaks: str, says: str
) -> None:
    own.sql(breaks)
    visit = doctor("tables-version", *own.place())
    line = visit.only("tables-version")
    assert (visit.code, line.level, says in line.says) == (1, "WARNING", True), line
    heal(line.remedy)
    assert gone(own, "tables-version")


def test_a_rebuild_is_noted_while_it_runs_and_named_where_it_was_left(own: Own) -> None:
    with psycopg.connect(dsn_of(own.superuser, SERVICE), autocommit=True) as connection:
        assert take_rebuild_lock(connection, "ledger") == ""
        named(own, "tables-rebuild", level="NOTE")
        Rebuild(own.ledger.log, "ledger", connection).begin()
    wait_for(lambda: doctor("tables-rebuild", *own.place()).levels("tables-rebuild") != ["NOTE"])  # its session ends
    (remedy,) = named(own, "tables-rebuild", level="WARNING")
    heal(remedy)
    assert gone(own, "tables-rebuild")


def test_a_source_that_is_silent_is_named_until_it_gives_a_sign(own: Own) -> None:
    record = fill(last_px="1", last_qty="1", transact_time=at(own.clock.now_ns))
    send(own.ledger, batch(record, source="engine", first_sequence=1))
    assert gone(own, "sources-silent")
    own.clock.now_ns += 2 * HOUR_NS
    assert gone(own, "sources-silent", "--silent-minutes", 180)
    (remedy,) = named(own, "sources-silent", level="WARNING")
    heal(remedy)
    assert gone(own, "sources-silent")


def test_an_evaluation_that_was_missed_is_named_until_it_is_run_and_until_it_has_its_closes(own: Own) -> None:
    send(own.ledger, symbol("XRP_BTC", price_scale=2, quantity_scale=2))
    now_ns = own.clock.now_ns
    for account_id, of in (("alice", "XRP_USDT"), ("bob", "XRP_BTC")):
        send(own.ledger, batch(fill(account_id=account_id, symbol=of, last_px="1", last_qty="100000",
                                    transact_time=at(now_ns))))  # fmt: skip
    assert gone(own, "evaluations-missed")
    own.clock.now_ns = DUE_NS + HOUR_NS
    own.ledger.fills.RecordFills(batch(source="engine", complete_until=at(DUE_NS)))
    await_tables(own.ledger)
    visit = doctor("evaluations-missed", *own.place())
    missed, count = visit.lines["evaluations-missed"]
    assert (visit.code, missed.level, missed.figures["status"]) == (1, "WARNING", "NOT_RUN")
    assert count.figures == {"found": 1}
    heal(missed.remedy)
    blocked, _ = doctor("evaluations-missed", *own.place()).lines["evaluations-missed"]
    assert (blocked.level, blocked.figures["status"]) == ("WARNING", "BLOCKED")
    assert blocked.remedy.startswith("fee-ledger record-close BTC ")
    heal(blocked.remedy.replace("PRICE", "60000").replace("ID", "binance-1d").replace("SHA256", "0" * 64))
    await_tables(own.ledger)
    heal(missed.remedy)
    assert gone(own, "evaluations-missed")


def test_a_trial_that_has_ended_is_named_until_it_is_evaluated(own: Own) -> None:
    send(own.ledger, trial("carol", start_time=at(own.clock.now_ns)))
    await_tables(own.ledger)
    assert gone(own, "trials-missed")
    own.clock.now_ns += 100 * DAY_NS
    (remedy,) = named(own, "trials-missed", level="WARNING")
    heal(remedy)
    await_tables(own.ledger)
    assert gone(own, "trials-missed")


def test_clocks_that_are_apart_are_named_until_they_are_not(own: Own) -> None:
    named(own, "clock-postgresql")  # that of the tests stands in 2024
    own.clock.now_ns -= 2 * HOUR_NS
    (remedy,) = named(own, "clock-last-commit")
    assert remedy.startswith("fee-ledger serve --accept-clock --dsn ")
    own.clock.now_ns += 2 * HOUR_NS
    assert gone(own, "clock-last-commit")
    own.clock.now_ns += 8 * DAY_NS
    named(own, "clock-last-commit", level="NOTE")
    own.clock.now_ns -= 8 * DAY_NS
    with clock_of_the_machine(time.time_ns):
        assert gone(own, "clock-postgresql")


@pytest.mark.parametrize("limit", [f"ROLE {READER}", "DATABASE doctor"])
def test_too_few_connections_are_named(own: Own, limit: str) -> None:
    own.sql(f"ALTER {limit} CONNECTION LIMIT 12")
    (remedy,) = named(own, "connections", role=READER)
    heal(remedy)
    assert gone(own, "connections", role=READER)


def test_a_table_that_somebody_locks_is_not_looked_at_and_not_waited_for(own: Own) -> None:
    with psycopg.connect(own.superuser) as connection:
        connection.execute("LOCK TABLE ledger.migrations IN ACCESS EXCLUSIVE MODE")
        visit = doctor("migrations-applied", *own.place())
    line = visit.only("migrations-applied")
    assert (visit.code, line.level) == (0, "not looked at")
    assert "lock timeout" in line.says


def test_a_service_that_is_elsewhere_is_said_to_be(own: Own) -> None:
    place = own.place()[:-2]
    line = doctor("service", *place, "--listen", "127.0.0.1:1").only("service")
    assert (line.level, f"though {SERVICE} writes the ledger from elsewhere" in line.says) == ("NOTE", True)


# --- a ledger that nobody moves the tables of, that a later release has written, and that its owner serves


def test_tables_that_nobody_moves_are_named_until_somebody_does(own: Own, monkeypatch: pytest.MonkeyPatch) -> None:
    place = own.place(schema="held")
    monkeypatch.setattr(term, "RULES_VERSION", 99)
    with serving(dsn_of(own.superuser, SERVICE), "held", clock=own.clock, projections=False) as held:
        visit = doctor("tables-lag", "roles-owner", "version-log", *place)
        assert (visit.code, visit.levels("tables-lag"), visit.levels("roles-owner")) == (1, ["WARNING"], ["WARNING"])
        assert visit.only("version-log")[::2] == ("FAULT", f"pip install 'fee-ledger>={version('fee-ledger')}'")
        remedy = visit.only("tables-lag").remedy
        assert remedy.startswith("python -m projections --dsn ")
        with subprocess.Popen(["/bin/sh", "-c", f"exec {remedy}"], env=environment()) as keeping:
            wait_for(lambda: doctor("tables-lag", *place).levels("tables-lag") == ["OK"], 30)
            keeping.send_signal(signal.SIGTERM)
        send(held, symbol())
        own.clock.now_ns += HOUR_NS
        visit = doctor("tables-lag", *place)
        line = visit.only("tables-lag")
        assert (visit.code, line.level, line.figures["lag_s"] in {3599, 3600}) == (1, "WARNING", True)
        assert line.figures["lag_positions"] > 0
    wait_for(lambda: doctor("tables-lag", *place).levels("tables-lag") == ["NOTE"])  # its session ends: nobody serves
    own.sql("UPDATE held_read.position SET position = position + 1000")
    line = doctor("tables-lag", *place).only("tables-lag")
    assert (line.level, " positions ahead of the log: " in line.says) == ("WARNING", True)
    assert line.remedy.startswith("fee-ledger rebuild --dsn ")
    own.sql("INSERT INTO held.events SELECT 'ledger', 99, 'LedgerMoved', '', max(notification_id) + 1 FROM held.events")
    visit = doctor("version-log", *place)
    assert (visit.code, visit.only("version-log").level) == (0, "not looked at")
    assert "'LedgerMoved', which this release does not know" in visit.only("version-log").says


# --- a ledger of an older release


def test_a_ledger_of_0_1_0_is_brought_to_this_release_by_what_the_doctor_prints(dsn: str, passwords: None) -> None:
    with psycopg.connect(make_conninfo(dsn, user="postgres"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE doctor_older OWNER postgres")
        try:
            superuser = make_conninfo(dsn, user="postgres", dbname="doctor_older")
            load(superuser, "0.1.0", "ledger")
            with clock_of_the_machine(time.time_ns):
                bring_up(superuser)
        finally:
            connection.execute("DROP DATABASE doctor_older WITH (FORCE)")
            connection.execute(f"DROP ROLE IF EXISTS {', '.join(MADE)}".encode())


def bring_up(superuser: str) -> None:
    plain = {name: value for name, value in conninfo_to_dict(superuser).items() if name != "password"}
    of_superuser = ("--dsn", make_conninfo(**plain))
    service = ("--dsn", make_conninfo(**plain | {"user": "ledger_service"}))
    checks = ("migrations-applied", "upgrade", "roles-owner", "roles-guards", "tables-version")
    visit = doctor(*checks, *of_superuser)
    assert {check: visit.levels(check)[0] for check in checks} == {
        "migrations-applied": "FAULT",
        "upgrade": "NOTE",
        "roles-owner": "WARNING",
        "roles-guards": "FAULT",
        "tables-version": "WARNING",
    }
    upgrade = visit.lines["upgrade"]
    lacks = (
        "0003_guard.sql, 0004_indexes_of_lists.sql, 0005_account_snapshots.sql, 0006_days_first.sql"
        ", 0007_erasable_parts.sql, 0008_dictionaries.sql"
    )
    assert [line.figures.get("missing") for line in upgrade] == [lacks, None]
    assert "none of them writes a table anew" in upgrade[0].says
    assert "the tables are of version 1: `serve` makes" in upgrade[1].says
    heal(visit.only("roles-owner").remedy)
    give_passwords(superuser, MADE)
    remedy = doctor("migrations-applied", *service).only("migrations-applied").remedy
    assert "user=ledger_owner" in remedy
    heal(remedy)
    heal(doctor("tables-version", *service).only("tables-version").remedy)
    assert doctor(*checks, *service).code == 0
    clock = Clock()
    clock.now_ns = time.time_ns()
    with serving(dsn_of(superuser, "ledger_owner"), "ledger", clock=clock, projections=False):
        line = doctor("roles-owner", *service).only("roles-owner")
        assert (line.level, "acts for the owner" in line.says) == ("FAULT", True)
        assert (line.remedy.startswith("fee-ledger serve --dsn "), "user=ledger_service" in line.remedy) == (True, True)
    assert doctor("roles-owner", *service).code == 0


@pytest.mark.parametrize(
    ("text", "anew"),
    [
        ("ALTER TABLE {schema}.t ALTER COLUMN id TYPE text;", True),
        ("ALTER TABLE {schema}.t\n  ALTER COLUMN id SET DATA TYPE text;", True),
        ("UPDATE {schema}.t SET id = 1;", True),
        ("ALTER TABLE t ALTER COLUMN state SET STORAGE EXTERNAL;", False),
        ("-- UPDATE of all\nALTER TABLE t ADD COLUMN note text;", False),
    ],
)
def test_a_migration_that_writes_a_table_anew_is_known_by_its_statements(text: str, anew: bool) -> None:
    assert rewrites(text) == anew


# --- the machine


@pytest.fixture(scope="module")
def nowhere() -> tuple[object, ...]:
    """No PostgreSQL, for what needs none."""
    return NOWHERE


@pytest.mark.parametrize(
    ("check", "broken"),
    [
        ("memory", ("--account-day-bytes-max", 64 * 2**30)),
        ("door", ("--listen", "0.0.0.0:50051")),
        ("door", ("--listen", "[::]:50051")),
        ("door", ("--listen", "ledger.example:50051")),
    ],
)
def test_a_knob_that_the_machine_cannot_bear_is_named_and_the_one_printed_heals_it(
    nowhere: tuple[object, ...], check: str, broken: tuple[object, ...]
) -> None:
    visit = doctor(check, *nowhere, *broken)
    line = visit.only(check)
    assert (visit.code, line.level) == (1, "FAULT" if check == "memory" else "WARNING")
    program, command, *healed = line.remedy.split()
    assert (program, command) == ("fee-ledger", "serve")
    assert doctor(check, *nowhere, *healed).code == 0


def test_too_few_open_files_are_named_and_the_limit_printed_heals_it(nowhere: tuple[object, ...]) -> None:
    asked = f"{sys.executable} -m ledger doctor open-files --dsn '{nowhere[1]}'; echo $?"
    healed = "ulimit -n 4096  # LimitNOFILE= of a systemd unit"
    script = f"ulimit -Sn 90; {asked}; ulimit -Sn 200; {asked}; {healed}\n{asked}"
    done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    said = re.findall("^(?:OK|WARNING|FAULT|[0-9]$)", done.stdout, re.MULTILINE)
    assert said == ["FAULT", "1", "WARNING", "1", "OK", "0"]
    assert done.stdout.count(f"> {healed}\n1 finding") == 2


def test_metrics_that_others_reach_are_only_noted(nowhere: tuple[object, ...]) -> None:
    visit = doctor("door", *nowhere, "--metrics-listen", "0.0.0.0:9464")
    assert (visit.code, visit.levels("door")) == (0, ["OK", "NOTE"])


def test_a_package_outside_of_its_range_is_named(
    nowhere: tuple[object, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "tqdm-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: tqdm\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    visit = doctor("version-packages", *nowhere)
    line = visit.lines["version-packages"][0]
    assert (visit.code, line.level, line.says.split(",")[0]) == (1, "FAULT", "tqdm 1.0 is installed")
    assert line.remedy.startswith("pip install 'tqdm")
    shutil.rmtree(folder)
    assert doctor("version-packages", *nowhere).code == 0


@pytest.mark.parametrize(
    ("release", "embedded", "level"),
    [
        (140_099, False, "FAULT"),
        (150_000 + SECURE[15] - 1, False, "WARNING"),
        (150_000 + SECURE[15], False, "OK"),
        (180_004, False, "WARNING"),
        (180_004, True, "NOTE"),
        (180_000 + SECURE[18], True, "OK"),
        (990_000, False, "NOTE"),
    ],
)
def test_a_release_of_postgresql_without_known_fixes_is_named(release: int, embedded: bool, level: str) -> None:
    found = postgresql_finding(release, embedded=embedded)
    assert (found.level, release < 150_000 or SECURE_ON in found.says) == (level, True)


def test_who_sets_what_is_told_where_two_say_it_and_where_it_is_for_one_start(
    nowhere: tuple[object, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "ledger.toml"
    file.write_text("lease_ms = 800\n")
    visit = doctor("configuration", *nowhere, "--config", file, "--lease-ms", 700)
    assert (visit.code, visit.only("configuration").says) == (
        0, f"lease_ms is 700 by --lease-ms; 800 by {file}:1 does not count"
    )  # fmt: skip
    monkeypatch.setenv("FEE_LEDGER_ACCEPT_CLOCK", "true")
    visit = doctor("configuration", *nowhere)
    assert (visit.code, visit.only("configuration")[::2]) == (1, ("WARNING", "unset FEE_LEDGER_ACCEPT_CLOCK"))
    monkeypatch.delenv("FEE_LEDGER_ACCEPT_CLOCK")
    assert doctor("configuration", *nowhere).code == 0
    dsn = "host=127.0.0.1 port=1 user=nobody password=hidden"
    monkeypatch.setattr(sys, "argv", ["fee-ledger", "doctor", "--dsn", dsn])
    visit = doctor("configuration", "--dsn", dsn)
    line = visit.only("configuration")
    assert (visit.code, line.level, "hidden" in str(visit)) == (1, "WARNING", False)


def test_a_disk_that_is_full_is_named_until_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    if not may_mount():
        pytest.skip("only root mounts a small disk, and this machine lets nobody mount")
    folder = reachable_folder()
    try:
        with Disk(folder, 400) as disk, EmbeddedPostgres(folder):
            monkeypatch.setenv("TMPDIR", str(folder))
            monkeypatch.setattr("tempfile.tempdir", None)
            disk.fill(leave=40_000_000)
            visit = doctor("disk-data", "disk-temporary", "--data", folder)
            assert (visit.code, visit.levels("disk-data"), visit.levels("disk-temporary")) == (
                1, ["FAULT"], ["WARNING"]
            )  # fmt: skip
            assert "the ledger writes no more" in visit.only("disk-data").says
            disk.free()
            assert doctor("disk-data", "--data", folder).levels("disk-data") == ["WARNING"], "it is a small disk"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# --- what cannot be looked at


def test_without_postgresql_the_machine_is_looked_at_all_the_same_and_the_exit_code_says_so(
    nowhere: tuple[object, ...],
) -> None:
    visit = doctor(*nowhere)
    assert (visit.code, visit.err.count("\n")) == (2, 1)
    assert visit.err.startswith("fee-ledger: PostgreSQL cannot be used: ")
    assert visit.levels("memory") == ["OK"]
    for check in ("roles-guards", "fsync-settings", "disk-data"):
        assert visit.only(check).level == "not looked at"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--data", "/nowhere"), "there is no ledger in /nowhere"),
        (("tables-lags",), "there is no check 'tables-lags': tables-lag"),
        (("--silent-minutes", "0"), "is not a whole number from 1 to"),
        (("--lease-ms", "1"), "is not a whole number of ms from"),
        (("--config", "/nowhere.toml"), "/nowhere.toml"),
    ],
)
def test_what_is_unusable_is_told_in_one_line(arguments: tuple[str, ...], told: str) -> None:
    visit = doctor(*arguments)
    assert (visit.code, visit.err.count("\n"), told in visit.err) == (2, 1, True), visit


def test_a_schema_without_a_ledger_is_said_to_have_none(own: Own) -> None:
    visit = doctor(*own.place(schema="empty"))
    assert (visit.code, "there is no ledger in the schema empty" in visit.err) == (2, True)
    assert visit.levels("fsync-settings")[-1] == "OK"
    assert visit.levels("tables-lag") == ["not looked at"]


def test_the_session_of_the_doctor_cannot_write(own: Own) -> None:
    said = Said(Origin.FLAG, "--dsn", dsn_of(own.superuser, SERVICE))
    with opened(read_settings({"dsn": said}, "", {}), "", 60) as site, pytest.raises(ReadOnlySqlTransaction):
        site.connection.execute("INSERT INTO ledger.tracking VALUES ('engine', 1)")
