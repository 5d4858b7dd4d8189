"""Backups and restores that are killed, interrupted, run twice at once or out of disk: done again, all is there."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psycopg
import pytest

from ledger.store.backup.parts import read_parts
from ledger.store.postgres.dsn import VARIABLE
from scripts.torture.disk import Disk, may_mount
from tests.cli.running import ROOT
from tests.data_folders import empty_database, reachable_folder
from tests.kept.upgrading import die_after
from tests.tools import running
from tests.tools.backed_up import BackedUp, backed_up, rows_of, sql
from tests.waiting import wait_for

EVERY: Final = 4  # of the steps is one after which it is killed
STEPS_MIN: Final = {"backup": 12, "restore": 30}
NOT_LOADED: Final = ("SELECT to_regclass('LEDGER.events') IS NULL", [(True,)])


@pytest.fixture(scope="module")
def made(dsn: str, tmp_path_factory: pytest.TempPathFactory) -> BackedUp:
    """A ledger with a backup."""
    return backed_up(dsn, "to_kill", tmp_path_factory.mktemp("backups") / "backup")


def run_and_die(steps: int, arguments: list[str]) -> None:
    """Run a tool in a process of its own, which kills itself after so many statements."""
    die_after(steps)
    ran = running.run(*arguments)
    sys.exit(ran.code)


def killed_after_each(arguments: list[str], is_done: Callable[[], bool]) -> int:
    """Run a tool again and again, killed after ever more steps until all is done; return these."""
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["tests.tools.test_backup_killed"])
    steps = 0
    while not is_done():
        process = processes.Process(target=run_and_die, args=(steps, arguments))
        process.start()
        process.join(60)
        assert process.exitcode in (0, -signal.SIGKILL), steps
        steps += EVERY
    return steps


def test_a_backup_that_is_killed_at_any_step_leaves_parts_that_are_whole(made: BackedUp, tmp_path: Path) -> None:
    folder = shutil.copytree(made.folder, tmp_path / "copy")
    shutil.rmtree(folder / "000003")

    def is_done() -> bool:
        assert running.run("backup", "verify", folder).code == 0
        return len(read_parts(folder)) == 3

    store = ["--dsn", made.dsn, "--schema", made.schema]
    assert killed_after_each(["backup", "to", str(folder), *store], is_done) >= STEPS_MIN["backup"]
    assert made.back_up(folder).out.startswith("nothing new since position ")
    assert [part.manifest.until for part in read_parts(folder)] == made.ends
    assert sorted(path.name for path in folder.iterdir()) == ["000001", "000002", "000003", "lock"]


def test_a_restore_that_is_killed_at_any_step_is_done_by_the_next_one(made: BackedUp) -> None:
    schema = f"{made.schema}_killed"

    def is_done() -> bool:
        """Either all of it is there, or nothing but the mark by which `serve` refuses it."""
        found = sql(made.dsn, schema, "SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace('LEDGER')"
                                      " AND relkind = 'r' ORDER BY 1")  # fmt: skip
        assert len(found) > 5 or found in ([], [("restored",)])
        return len(found) > 5

    store = ["--dsn", made.dsn, "--schema", schema]
    assert killed_after_each(["restore", "from", str(made.folder), *store], is_done) >= STEPS_MIN["restore"]
    until = made.ends[-1]
    assert rows_of(made.dsn, schema, until) == rows_of(made.dsn, made.schema, until)


@contextmanager
def blocked(made: BackedUp, statement: str, *arguments: object, schema: str) -> Iterator[subprocess.Popen[str]]:
    """Run a tool until it waits for what another session has done and not committed."""
    command = [sys.executable, "-m", "ledger", *map(str, arguments), "--schema", schema]
    environment = {**os.environ, VARIABLE: made.dsn}
    with psycopg.connect(made.dsn) as blocking:
        blocking.execute(statement.replace("LEDGER", schema).encode())
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        tool = subprocess.Popen(command, cwd=ROOT, env=environment, text=True, **pipes)
        try:
            wait_for(lambda: waits(made) or tool.poll() is not None, 60)
            assert tool.poll() is None, tool.communicate()
            yield tool
        finally:
            tool.kill()
            tool.communicate()
            blocking.rollback()


def waits(made: BackedUp) -> bool:
    waiting = (
        "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name ~ %(names)s"
    )
    return sql(made.dsn, "", waiting, names="backup|restore") == [(True,)]


def test_ctrl_c_in_the_middle_of_a_part_leaves_none_of_it(made: BackedUp, tmp_path: Path) -> None:
    lock, folder = "LOCK TABLE LEDGER.requests IN ACCESS EXCLUSIVE MODE", tmp_path / "new"
    with blocked(made, lock, "backup", "to", folder, schema=made.schema) as tool:
        assert [path.name for path in folder.iterdir() if path.is_dir()] == ["000001.new"]
        second = made.back_up(folder)
        assert (second.code, second.err.count("\n")) == (2, 1)
        assert f"another backup is being written to {folder}: wait for it, or end it" in second.err
        tool.send_signal(signal.SIGINT)
        _, told = tool.communicate(timeout=60)
    assert (tool.returncode, told.count("\n")) == (130, 1)
    assert "the parts that were written before are whole; run the same command again" in told
    assert [path.name for path in folder.iterdir()] == ["lock"]


def test_ctrl_c_in_the_middle_of_a_restore_leaves_nothing_but_its_mark(made: BackedUp) -> None:
    schema = f"{made.schema}_interrupted"
    sql(made.dsn, schema, "CREATE SCHEMA LEDGER")
    begun = "CREATE TABLE LEDGER.requests (request_id text)"
    with blocked(made, begun, "restore", "from", made.folder, schema=schema) as tool:
        second = made.run("restore", "from", made.folder, schema=schema)
        assert (second.code, second.err.count("\n")) == (2, 1)
        assert f"another process makes the tables of the schema {schema}: wait for it, or end it" in second.err
        tool.send_signal(signal.SIGINT)
        _, told = tool.communicate(timeout=60)
    assert (tool.returncode, told.count("\n")) == (130, 1)
    assert "nothing was restored; run the same command again" in told
    assert sql(made.dsn, schema, NOT_LOADED[0]) == NOT_LOADED[1]
    early = made.run("restore", "finish", "--nothing-erased", schema=schema)
    assert (early.code, early.err.count("\n")) == (2, 1)
    assert "has brought nothing yet: run `fee-ledger restore from` again" in early.err
    assert made.run("restore", "from", made.folder, schema=schema).code == 0


def test_a_session_that_postgresql_ends_leaves_nothing_but_the_mark_of_a_restore(made: BackedUp) -> None:
    schema = f"{made.schema}_lost"
    sql(made.dsn, schema, "CREATE SCHEMA LEDGER")
    begun = "CREATE TABLE LEDGER.requests (request_id text)"
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'fee-ledger restore'"
    with blocked(made, begun, "restore", "from", made.folder, schema=schema) as tool:
        sql(made.dsn, schema, end)
        _, told = tool.communicate(timeout=60)
    assert (tool.returncode, told.count("\n")) == (2, 1)
    assert "PostgreSQL cannot be used: " in told
    assert sql(made.dsn, schema, NOT_LOADED[0]) == NOT_LOADED[1]


@pytest.fixture
def disk() -> Iterator[Callable[[int], tuple[Path, Disk]]]:
    """Makes a small disk of so many megabytes."""
    if not may_mount():
        pytest.skip("only root mounts a small disk, and this machine lets nobody mount")
    folder, disks = reachable_folder(), list[Disk]()

    def make(megabytes: int) -> tuple[Path, Disk]:
        disks.append(Disk(folder, megabytes).__enter__())
        return folder, disks[0]

    yield make
    for each in disks:
        each.__exit__()
    shutil.rmtree(folder, ignore_errors=True)


def test_a_backup_onto_a_full_disk_is_told_and_leaves_the_parts_before(
    made: BackedUp, disk: Callable[[int], tuple[Path, Disk]]
) -> None:
    place, small = disk(1)
    folder = place / "backup"
    shutil.copytree(made.folder, folder)
    shutil.rmtree(folder / "000003")
    small.fill()
    ran = made.back_up(folder)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert "No space left on device; the parts that were written before are whole" in ran.err
    assert sorted(path.name for path in folder.iterdir()) == ["000001", "000002", "lock"]
    small.free()
    assert made.back_up(folder).code == 0
    assert running.run("backup", "verify", folder).code == 0


def test_a_restore_onto_a_full_disk_is_told_and_done_when_there_is_room(
    made: BackedUp, disk: Callable[[int], tuple[Path, Disk]]
) -> None:
    folder, small = disk(400)
    empty = empty_database()
    subprocess.run(["cp", "-a", f"{empty}/.", folder], check=True)
    shutil.rmtree(empty)
    small.fill(leave=150_000)
    ran = running.run("restore", "from", made.folder, "--data", folder)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1), ran
    assert "No space left on device" in ran.err
    small.free()
    ran = running.run("restore", "from", made.folder, "--data", folder)
    assert (ran.code, ran.err) == (0, "")
    assert running.run("audit", "--jobs", "1", "--data", folder).code == 0
