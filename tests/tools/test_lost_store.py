"""Tools that read the log itself, when PostgreSQL is killed under them or Ctrl-C is pressed: 2 or 130, and one line."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psycopg
import pytest

from ledger.program import parser
from ledger.store.postgres.dsn import VARIABLE
from ledger.store.postgres.embedded import EmbeddedPostgres
from projections.tables.tables import create_tables
from tests.cli.helps import parsers
from tests.cli.running import shell
from tests.data_folders import empty_database
from tests.projections.audited import rich_ledger
from tests.waiting import wait_for

SCHEMA: Final = "lost"
CSV: Final = "account_id,exec_id,symbol,side,liquidity,last_px,last_qty,transact_time\nalice,E1,S,BUY,MAKER,1,1,1\n"

# What reads the log itself, as the parser has it; `serve` goes on when PostgreSQL comes back, `config show` asks none,
# `doctor` waits for no lock for long (tests/tools/test_doctor.py), `restore` makes a log (test_backup_killed.py).
TOOLS: Final = sorted(
    path
    for path, at in parsers(parser())
    if "--dsn" in at._option_string_actions
    and path not in {("serve",), ("config", "show"), ("doctor",)}
    and path[0] != "restore"
)


@pytest.fixture(scope="module")
def postgres() -> Iterator[tuple[Path, str]]:
    """A PostgreSQL that may be killed, with a ledger."""
    folder = empty_database()
    server = EmbeddedPostgres(folder)
    try:
        dsn = server.start("the tests")
        with rich_ledger(dsn, SCHEMA, steps=1), psycopg.connect(dsn, autocommit=True) as connection:
            create_tables(connection, SCHEMA)
        yield folder, dsn
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


class Stopped:
    """Every tool, each of which waits for a lock of PostgreSQL, or is done."""

    def __init__(self, dsn: str, folder: Path) -> None:
        fills = folder / "fills.csv"
        fills.write_text(CSV)
        more = {
            "reconcile": [str(fills), "--work", str(folder)],
            "audit": ["--jobs", "2"],
            "backup": [str(folder / "new")],
        }
        self._dsn = dsn
        self.blocking = psycopg.connect(dsn)
        self.blocking.execute(f"DROP SCHEMA IF EXISTS {SCHEMA}_read_next CASCADE".encode())  # `rebuild` begins anew
        self.blocking.commit()
        self.blocking.execute(f"LOCK TABLE {SCHEMA}.events, {SCHEMA}.migrations IN ACCESS EXCLUSIVE MODE".encode())
        environment = {**os.environ, VARIABLE: dsn}
        self.processes = {
            " ".join(path): shell(*path, *more.get(path[0], []), "--schema", SCHEMA, env=environment) for path in TOOLS
        }
        wait_for(lambda: self._waiting() >= len(TOOLS), 240)

    def _waiting(self) -> int:
        """How many wait for the lock, or have ended without."""
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            found = connection.execute("SELECT count(*) FROM pg_stat_activity"
                                       " WHERE wait_event_type = 'Lock'").fetchone()  # fmt: skip
        assert found is not None
        pids = sum(process.poll() is None for process in self.processes.values())
        return int(found[0]) + len(self.processes) - pids

    def ended(self) -> dict[str, tuple[int, str]]:
        """(exit code, what is told on stderr) of each."""
        found = {}
        for name, process in self.processes.items():
            _, err = process.communicate(timeout=240)
            found[name] = (process.returncode, err)
        return found


def test_ctrl_c_ends_every_one_with_130_and_one_line(postgres: tuple[Path, str], tmp_path: Path) -> None:
    stopped = Stopped(postgres[1], tmp_path)
    for process in stopped.processes.values():
        process.send_signal(signal.SIGINT)
    stopped.blocking.close()
    told = stopped.ended()
    wrong = {name: one for name, one in told.items() if one[0] != 130 or one[1].count("\n") != 1}
    assert not wrong
    assert len(told) >= 4


def test_a_postgresql_that_is_killed_under_it_ends_every_one_with_2_and_one_line(
    postgres: tuple[Path, str], tmp_path: Path
) -> None:
    folder, dsn = postgres
    stopped = Stopped(dsn, tmp_path)
    (postmaster, *_) = (folder / "data" / "postmaster.pid").read_text().splitlines()
    os.kill(int(postmaster), signal.SIGKILL)
    told = stopped.ended()
    stopped.blocking.close()
    wrong = {name: one for name, one in told.items() if one[0] != 2 or one[1].count("\n") != 1}
    assert not wrong


def test_projections_that_cannot_begin_end_with_2_and_one_line() -> None:
    command = [sys.executable, "-m", "projections", "--dsn", "postgresql://nobody@127.0.0.1:1/none"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("projections: PostgreSQL cannot be used: ")
