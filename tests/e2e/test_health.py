"""Health says what is so within two seconds: of a standby, and of a PostgreSQL that dies, stands still or is hidden."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import grpc
import psycopg
import pytest

from ledger.composition import running
from ledger.config import Config
from ledger.store.postgres.embedded import EmbeddedError, EmbeddedPostgres
from scripts.torture.pause import dsn_of
from tests.conftest import Clock, StartLedger
from tests.e2e.served import Served, started
from tests.e2e.turns import FILLS, QUERIES, TURN_S_MAX, Turns
from tests.waiting import wait_for

STOP_MS = 3_000


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """A service with an embedded PostgreSQL."""
    with started(stop_grace_ms=STOP_MS) as service:
        yield service


def removed(path: Path) -> None:
    """Remove a file or a folder, in which PostgreSQL makes and removes files meanwhile."""
    while path.exists():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


@pytest.fixture(scope="module")
def bereft() -> Iterator[Served]:
    """A service whose folder was removed. PostgreSQL looks only once a minute: the other tests go on meanwhile."""
    with started() as service:
        for path in service.folder.iterdir():
            if path.name not in ("service.log", "service.lock"):
                removed(path)
        yield service


@pytest.fixture
def turns(served: Served) -> Iterator[Turns]:
    """Listen to a service, all of which is well."""
    with Turns(served.channel, "", FILLS, QUERIES) as turns:
        wait_for(lambda: turns.serving(FILLS) and turns.serving(QUERIES) and turns.serving(""), 30)
        yield turns


def told(served: Served) -> list[str]:
    """The lines of its log about health, without their times."""
    lines = served.log.read_text().splitlines()
    return [line.partition(" health: ")[2] for line in lines if " health: " in line]


def new_session(served: Served) -> bool:
    psycopg.connect(dsn_of(served.folder), connect_timeout=5).close()
    return True


def test_a_removed_folder_is_not_made_again_while_its_service_runs(bereft: Served) -> None:
    assert bereft.running
    assert not (bereft.folder / "data").exists()


def test_a_standby_serves_reads_alone_until_it_writes(start_ledger: StartLedger, dsn: str, schema: str) -> None:
    config = Config(listen="127.0.0.1:0", schema=schema, drain_ms=0)
    with running(config, dsn, clock=Clock().watched()) as writer:
        with grpc.insecure_channel(writer.address) as channel, Turns(channel, "", FILLS, QUERIES) as turns:
            wait_for(lambda: turns.serving(FILLS) and turns.serving(QUERIES) and turns.serving(""))
        standby = start_ledger()
        turns = Turns(standby.channel, "", FILLS, QUERIES)
        wait_for(lambda: turns.serving("") and turns.serving(QUERIES))
        time.sleep(1)
        assert not turns.serving(FILLS)
    began_s = time.monotonic()
    with turns:
        assert turns.seconds_to(serving=True, since_s=began_s, name=FILLS) < TURN_S_MAX
        assert turns.serving("")


def test_postgresql_that_stands_still_is_told_within_two_seconds_and_so_is_its_return(
    served: Served, turns: Turns
) -> None:
    before = len(told(served))
    with served.postgres.frozen():
        began_s = time.monotonic()
        for name in ("", FILLS, QUERIES):
            assert turns.seconds_to(serving=False, since_s=began_s, name=name) < TURN_S_MAX
        time.sleep(3)
        assert not any(map(turns.serving, ("", FILLS, QUERIES)))
        began_s = time.monotonic()
    for name in ("", FILLS, QUERIES):
        assert turns.seconds_to(serving=True, since_s=began_s, name=name) < TURN_S_MAX
    new = told(served)[before:]
    assert 'NOT_SERVING for "", ControlService, MemberQueryService, QueryService: PostgreSQL does not answer' in new
    assert any(line.startswith("SERVING for CommandService, EvaluationService, FillService, ") for line in new)
    assert len(new) <= 8, new


def test_postgresql_that_was_killed_is_told_and_so_is_that_it_was_started_again(served: Served, turns: Turns) -> None:
    began_s = time.monotonic()
    os.kill(served.postgres.postmaster(), signal.SIGKILL)
    assert turns.seconds_to(serving=False, since_s=began_s, name=FILLS) < TURN_S_MAX
    wait_for(lambda: turns.serving(FILLS) and turns.serving(QUERIES) and turns.serving(""), 20)


@pytest.mark.parametrize(
    "remove",
    [
        lambda folder: (folder / "run" / ".s.PGSQL.5432").unlink(),
        lambda folder: shutil.rmtree(folder / "run"),
        lambda folder: shutil.rmtree(folder / "log"),
    ],
    ids=["socket", "run", "log"],
)
def test_what_was_removed_from_the_folder_is_there_again(
    served: Served, turns: Turns, remove: Callable[[Path], None]
) -> None:
    wait_for(lambda: new_session(served))
    remove(served.folder)
    deadline = time.monotonic() + 20
    while True:
        try:
            assert new_session(served)
            break
        except psycopg.OperationalError:
            assert time.monotonic() < deadline, "nobody reaches PostgreSQL any more"
            time.sleep(0.1)
    wait_for(lambda: turns.serving(FILLS) and turns.serving(QUERIES), 10)


def test_a_service_whose_lock_file_was_removed_stops_and_starts_in_time(served: Served) -> None:
    (served.folder / "server.lock").unlink()
    began_s = time.monotonic()
    assert served.end() == 0
    served.start()
    assert time.monotonic() - began_s < 20


def test_a_server_that_was_hidden_while_no_service_ran_is_started_again(served: Served) -> None:
    served.kill()
    (served.folder / "run" / ".s.PGSQL.5432").unlink()
    began_s = time.monotonic()
    served.start()
    assert time.monotonic() - began_s < 15
    assert new_session(served)


def test_a_service_whose_own_lock_was_removed_keeps_its_folder(served: Served) -> None:
    lock = served.folder / "service.lock"
    lock.unlink()
    wait_for(lock.exists)
    with pytest.raises(EmbeddedError, match=f"in use by the service with pid {served.pid} "):
        EmbeddedPostgres(served.folder).start("a second one")


def test_sigterm_while_postgresql_stands_still_ends_the_service_in_time(served: Served) -> None:
    with suppress(FileNotFoundError), served.postgres.frozen():  # which finds no server any more to let go on
        time.sleep(1)
        began_s = time.monotonic()
        assert served.end() == 0
        assert time.monotonic() - began_s < STOP_MS / 1000 + 10
    served.start()


def test_a_folder_that_was_removed_is_no_new_ledger_and_the_service_stops(bereft: Served) -> None:
    log = bereft.log
    wait_for(lambda: "was removed, or lies on a disk that is not mounted" in log.read_text(), 90)
    assert not (bereft.folder / "data").exists()
    began_s = time.monotonic()
    assert bereft.end() in (0, 2)
    assert time.monotonic() - began_s < 20
    assert "Traceback" not in log.read_text()
