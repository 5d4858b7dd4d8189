"""Drills: a ledger that was lost is restored and goes on, as of its end or before a mistake; and one of 0.1.0."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from ledger.client import Client
from ledger.domain.instants import instant_text
from ledger.store.backup.parts import read_parts
from ledger.store.backup.restore import finish
from ledger.store.migration import migrate
from ledger.store.postgres.embedded import reading
from ledger.store.postgres.wheel import installed_wheel
from ledger.v1.fill_service_pb2_grpc import FillServiceStub
from tests.data_folders import reachable_folder
from tests.e2e.served import WAIT_S_MAX, Served, started
from tests.e2e.test_rebuild import Repeated
from tests.kept.kept import SECOND_NS, differences, load, opened, questions
from tests.kept.test_kept_log import DIFFERENCES
from tests.samples import batch, fill
from tests.store.postgres.guarding import (
    OWNER,
    SERVICE,
    database,
    dsn_of,
    give_passwords,
    printed_sql,
    psql,
)
from tests.tools.backed_up import ROWS, backed_up, rows_of, sql
from tests.tools.running import run

SOURCE = "engine-1"


class Engine:
    """Records numbered fills until it is told to stop, and goes on from the ledger's position."""

    def __init__(self, served: Served) -> None:
        self.acknowledged = served.position(SOURCE)
        self._fills = FillServiceStub(served.channel)
        self._numbers = count(self.acknowledged + 1)

    def send(self) -> None:
        """Send the next fill; the same number has the same fill for ever."""
        number = next(self._numbers)
        one = fill(account_id=f"a{number % 7}", exec_id=f"E-{number}")
        self.acknowledged = self._fills.RecordFills(
            batch(one, source=SOURCE, first_sequence=number), timeout=WAIT_S_MAX
        ).source_sequence


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Where a ledger is restored to."""
    folder = reachable_folder()
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_a_ledger_that_is_lost_under_load_is_restored_and_its_engine_sends_the_rest(
    folder: Path, tmp_path: Path
) -> None:
    backup = tmp_path / "backup"
    with started() as served, Client(served.address, timeout_s=WAIT_S_MAX) as ledger:
        ledger.register_symbol(
            "XRP_USDT", base_currency="XRP", quote_currency="USDT", price_scale=8, quantity_scale=4, pair_class="A"
        )
        order = {"request_id": "drill-1", "actor": "ops-1", "reason": "spam, as they said"}
        banned = ledger.ban_account("a1", reason_code="ORDER_SPAM", days=1, **order)
        engine = Engine(served)
        sending = Repeated(engine.send)
        for _ in range(3):
            sending.wait_for_more()
            ran = run("backup", "to", backup, "--data", served.folder)
            assert (ran.code, ran.err) == (0, "")
        sending.wait_for_more()
        sending.end()
        lost, acknowledged = served.position(SOURCE), engine.acknowledged
        served.kill()

    until = folder / "restored"
    ran = run("restore", "from", backup, "--data", until)
    assert (ran.code, ran.err) == (0, "")
    refused = serve(until)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "is being restored: `fee-ledger restore finish` ends that" in refused.stderr
    assert run("audit", "--jobs", "1", "--data", until).code == 0
    ran = run("restore", "finish", "--nothing-erased", "--data", until)
    assert (ran.code, ran.err) == (0, "")

    served = Served(until)
    try:
        served.start()
        assert served.position(SOURCE) < lost == acknowledged
        engine = Engine(served)
        while engine.acknowledged < lost:
            engine.send()
        with Client(served.address, timeout_s=WAIT_S_MAX) as ledger:
            again = ledger.ban_account("a1", reason_code="ORDER_SPAM", days=1, **order)
            assert (again.receipt.replayed, again.receipt.position) == (True, banned.receipt.position)
            list(ledger.list_accounts(min_position=ledger.get_ledger_info().position))
            assert sum(len(list(ledger.list_fee_history(f"a{number}"))) for number in range(7)) == lost
        for tool in (("audit", "--jobs", "1"), ("check",)):
            ran = run(*tool, "--data", until)
            assert (ran.code, ran.err) == (0, ""), ran
    finally:
        served.stop()


def serve(folder: Path) -> subprocess.CompletedProcess[str]:
    """Try to serve a data folder."""
    command = [sys.executable, "-m", "ledger", "serve", "--listen", "127.0.0.1:0", "--data", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S_MAX, check=False)


def test_a_log_of_0_1_0_is_backed_up_restored_as_of_a_time_and_upgraded(dsn: str, tmp_path: Path) -> None:
    ends_ns = load(dsn, "0.1.0", "drill_older")
    store = ("--dsn", dsn, "--schema")
    assert run("backup", "to", tmp_path / "backup", *store, "drill_older").code == 0
    (part,) = read_parts(tmp_path / "backup")
    assert list(part.manifest.migrations) == ["0001_log.sql", "0002_uncompressed.sql"]
    end = ("--until", instant_text(ends_ns))
    ran = run("restore", "from", tmp_path / "backup", *end, *store, "drill_restored")
    assert (ran.code, ran.err) == (0, "")
    everything = part.manifest.until
    tables = ROWS.keys() - {"erasable_parts", "dictionaries"}  # which later migrations make
    assert rows_of(dsn, "drill_restored", everything, tables) == rows_of(dsn, "drill_older", everything, tables)

    with psycopg.connect(dsn, autocommit=True) as connection:
        finish(connection, "drill_restored", [], [], ends_ns + 1)  # not today: answers are about the time of the log
        assert migrate(connection, "drill_restored", clock_ns=lambda: ends_ns + 1) == [
            "0003_guard.sql",
            "0004_indexes_of_lists.sql",
            "0005_account_snapshots.sql",
            "0006_days_first.sql",
            "0007_erasable_parts.sql",
            "0008_dictionaries.sql",
        ]
    with opened(dsn, "drill_restored", ends_ns + SECOND_NS, "0.1.0") as asking:
        wrong = [
            f"question {question.number}, {line}"
            for question in questions("0.1.0")
            if ("0.1.0", question.number) not in DIFFERENCES
            for line in differences(question.answer, asking.ask(question.rpc, question.request))
        ]
    assert not wrong, "\n".join(wrong[:10])
    for tool in (("audit", "--jobs", "1"), ("check",)):
        ran = run(*tool, *store, "drill_restored")
        assert (ran.code, ran.err) == (0, ""), ran


def test_the_service_backs_up_and_the_owner_restores_in_a_postgresql_with_roles(dsn: str, tmp_path: Path) -> None:
    made = backed_up(dsn, "drill_roles", tmp_path / "backup")
    with database(dsn, "drill_roles_db") as superuser:
        assert psql(superuser, printed_sql())[0] == 0
        give_passwords(superuser)
        owner, service = dsn_of(superuser, OWNER), dsn_of(superuser, SERVICE)
        ran = run("restore", "from", made.folder, "--dsn", service)
        assert (ran.code, ran.err.count("\n")) == (2, 1)
        assert "give the --dsn of the role of the owner" in ran.err
        assert run("restore", "from", made.folder, "--dsn", owner).code == 0
        assert run("restore", "finish", "--nothing-erased", "--dsn", owner).code == 0
        may = (
            "SELECT has_table_privilege(%(role)s, 'LEDGER.events', privilege) FROM unnest(%(of)s::text[]) AS privilege"
        )
        assert sql(owner, "ledger", may, role=SERVICE, of=["INSERT", "DELETE"]) == [(True,), (False,)]
        ran = run("backup", "to", tmp_path / "again", "--dsn", service)
        assert (ran.code, ran.err) == (0, "")


def test_a_copy_that_pg_basebackup_made_under_load_is_served(folder: Path) -> None:
    copy = folder / "copied"
    copy.mkdir()
    with started() as served:
        with Client(served.address, timeout_s=WAIT_S_MAX) as ledger:
            ledger.register_symbol(
                "XRP_USDT", base_currency="XRP", quote_currency="USDT", price_scale=8, quantity_scale=4, pair_class="A"
            )
        engine = Engine(served)
        sending = Repeated(engine.send)
        sending.wait_for_more()
        before = engine.acknowledged
        with reading(served.folder, "a test") as dsn:
            superuser = make_conninfo(dsn, user="postgres")
            postgres("pg_basebackup", "-D", copy / "data", "-c", "fast", "-X", "stream", "-d", superuser)
        sending.end()
        postgres("pg_verifybackup", "--no-parse-wal", copy / "data")
        shutil.copy(served.folder / "password", copy / "password")
        owner = (served.folder / "data").stat()
        for path in (copy / "data", copy / "password", *(copy / "data").rglob("*")):
            os.chown(path, owner.st_uid, owner.st_gid)
        acknowledged = engine.acknowledged
    again = Served(copy)
    try:
        again.start()
        assert before <= again.position(SOURCE) <= acknowledged
        ran = run("audit", "--jobs", "1", "--data", copy)
        assert (ran.code, ran.err) == (0, ""), ran
    finally:
        again.stop()


def postgres(program: str, *arguments: str | Path) -> None:
    """Run a program of PostgreSQL."""
    command = [installed_wheel().programs / program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
