"""The process in which controls run: what ends it, and that this is told to whom it concerns alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest

from ledger.caller import Caller, answering
from ledger.config import Config
from ledger.domain.instants import DAY_NS
from ledger.domain.refusal import Reason
from ledger.wire.status import RefusedError
from projections.controls_process import ControlsProcess
from projections.searches import Found, Page, Search
from tests.conftest import NOON_NS, Ledger, at, serving
from tests.server.calls import await_tables, send
from tests.server.orders import ban, trial
from tests.waiting import wait_for

SCHEMA: Final = "test_controls_process"
ACCOUNTS: Final = ("a-1-x", "a-1", "a.b", "a", "ab", "b")  # in the order of what is found: `a.b/` comes before `a/`
PAGE: Final = Page(Search("benefits-ending", NOON_NS + DAY_NS, 60, "", 1), "", 100, NOON_NS + DAY_NS)
_ALONE: Final = """
import sys
from projections.controls_process import ControlsProcess
from tests.projections.test_controls_process import PAGE, config
if __name__ == "__main__":
    controls = ControlsProcess(sys.argv[1], config())
    controls.page(PAGE)
    print(controls.pid, flush=True)
    sys.stdin.read()
"""

Start = Callable[..., ControlsProcess]


def config(**settings: Any) -> Config:
    return replace(Config(schema=SCHEMA), **settings)


@pytest.fixture(scope="module")
def ledger(dsn: str) -> Iterator[Ledger]:
    """A ledger of members whose trials end."""
    with serving(dsn, SCHEMA) as found:
        for account_id in ACCOUNTS:
            send(found, trial(account_id))
        for days_ago, days in ((8, 7), (2, 2)):
            send(found, ban("z", days, start_time=at(NOON_NS - days_ago * DAY_NS)))
        await_tables(found)
        yield found


@pytest.fixture
def start(dsn: str, ledger: Ledger) -> Iterator[Start]:
    """Makes a process of controls, which ends with the test."""
    started: list[ControlsProcess] = []

    def start(**settings: Any) -> ControlsProcess:
        started.append(ControlsProcess(dsn, config(**settings)))
        return started[-1]

    yield start
    for controls in started:
        controls.stop()


@contextmanager
def locked_tables(dsn: str) -> Iterator[None]:
    """Nobody reads tiers within the block."""
    with psycopg.connect(dsn) as connection:
        connection.execute(f"LOCK TABLE {SCHEMA}_read.vip_intervals".encode())
        yield


def accounts(found: list[Found]) -> list[str]:
    return [one.finding.account_id for one in found]


def living(pid: int | None) -> bool:
    assert pid is not None
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):  # the latter where it goes between opening and reading
        return False


def test_controls_run_in_another_process_which_stays_for_the_next_search(start: Start) -> None:
    controls = start()
    assert controls.pid is None
    assert accounts(controls.page(PAGE)) == list(ACCOUNTS)
    first = controls.pid
    assert first not in (None, os.getpid())
    assert accounts(controls.page(PAGE)) == list(ACCOUNTS)
    assert controls.pid == first


@pytest.mark.parametrize("size", [1, 2, 6, 7])
def test_pages_of_any_size_have_every_finding_once(start: Start, size: int) -> None:
    controls, found, page = start(), list[Found](), PAGE._replace(size=size)
    while some := controls.page(page):
        assert len(some) <= size
        found += some
        page = page._replace(after=some[-1].place)
    assert accounts(found) == list(ACCOUNTS)
    assert found == sorted(found, key=lambda one: one.place)


def test_a_page_of_all_controls_goes_on_with_the_next_control(start: Start) -> None:
    everything = PAGE._replace(search=PAGE.search._replace(control=""))
    controls = start()
    names = [one.control for one in controls.page(everything)]
    assert names == [*["benefits-ending"] * len(ACCOUNTS), "continuous-bans"]
    after = controls.page(everything)[0].place
    assert accounts(controls.page(everything._replace(after=after))) == [*ACCOUNTS[1:], "z"]


def test_a_process_that_was_killed_is_replaced(start: Start) -> None:
    controls = start()
    controls.page(PAGE)
    first = controls.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: not living(first))
    assert accounts(controls.page(PAGE)) == list(ACCOUNTS)
    assert controls.pid != first


def test_what_kills_the_process_is_the_error_of_the_search_that_it_runs(start: Start, dsn: str) -> None:
    controls = start()
    controls.page(PAGE)
    first = controls.pid
    assert first is not None
    with ThreadPoolExecutor() as pool, locked_tables(dsn):
        running = pool.submit(controls.page, PAGE)
        waiting = pool.submit(controls.page, PAGE)
        wait_for(lambda: waits_for_a_lock(dsn))
        os.kill(first, signal.SIGKILL)
        wait_for(lambda: running.done() or waiting.done())
        failed, other = (running, waiting) if running.done() else (waiting, running)
        with pytest.raises(RefusedError) as refused:
            failed.result()
        assert refused.value.refusal.reason == Reason.INTERNAL
        assert "the process of controls ended while it ran benefits-ending" in refused.value.refusal.detail
    assert accounts(other.result()) == list(ACCOUNTS)


def waits_for_a_lock(dsn: str) -> bool:
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'AccessShareLock'"
        ).fetchone()
    return row is not None and row[0] > 0


def test_a_statement_that_takes_too_long_ends_its_search_and_not_the_process(start: Start, dsn: str) -> None:
    controls = start(read_statement_ms_max=300)
    controls.page(PAGE)
    first = controls.pid
    with locked_tables(dsn), pytest.raises(RefusedError) as refused:
        controls.page(PAGE)
    assert refused.value.refusal.reason == Reason.STORE_UNAVAILABLE
    assert accounts(controls.page(PAGE)) == list(ACCOUNTS)
    assert controls.pid == first


def test_a_search_that_needs_too_much_memory_is_told_so(start: Start) -> None:
    controls = start(control_bytes_max=1024 * 1024)
    with pytest.raises(RefusedError) as refused:
        controls.page(PAGE)
    assert "control_bytes_max" in refused.value.refusal.detail


def test_a_search_that_nobody_waits_for_any_more_is_ended(start: Start, dsn: str) -> None:
    class HungUp(Caller):
        hung_up = property(lambda _: gone.is_set())

    controls, gone = start(), threading.Event()
    controls.page(PAGE)
    first = controls.pid

    def ask() -> list[Found]:
        with answering(HungUp()):
            return controls.page(PAGE)

    with ThreadPoolExecutor() as pool, locked_tables(dsn):
        asked = pool.submit(ask)
        wait_for(lambda: waits_for_a_lock(dsn))
        gone.set()
        assert isinstance(asked.exception(10), RefusedError)
        assert not living(first)
    assert accounts(controls.page(PAGE)) == list(ACCOUNTS)


def test_the_process_ends_with_the_service(start: Start) -> None:
    controls = start()
    controls.page(PAGE)
    first = controls.pid
    controls.stop()
    assert (living(first), controls.pid) == (False, None)


def test_the_process_ends_where_the_service_is_killed(ledger: Ledger, dsn: str, tmp_path: Path) -> None:
    script = tmp_path / "alone.py"
    script.write_text(_ALONE)
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, str(script), dsn],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as alone:
        assert alone.stdout is not None
        pid = int(alone.stdout.readline())
        assert living(pid)
        alone.kill()
    wait_for(lambda: not living(pid))
