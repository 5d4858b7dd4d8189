"""An import goes on, whatever is killed under it: every fill is recorded, and recorded once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.served import WAIT_S_MAX, Served, started
from tests.tools.tapes import as_json, command, reckon, recorded, recorded_lines, run, source_of, summary, tape

TRADES = 500


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """A service on a new folder; each test imports a symbol of its own into it."""
    with started() as service:
        yield service


class Import:
    """An import under way, in batches so small that there is a middle to be killed in."""

    def __init__(self, served: Served, path: Path, symbol: str, *more: str) -> None:
        self.source = source_of(path, symbol)
        self._served = served
        self._process = subprocess.Popen(
            [sys.executable, "-m", "ledger", *command(path, served.address, "--batch", "3", *more, symbol=symbol)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Import:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def wait_until(self, fills: int) -> None:
        """Return in the middle, with at least so many fills recorded."""
        until_s = time.monotonic() + WAIT_S_MAX
        while self._served.position(self.source) < fills:
            assert self._process.poll() is None, self._process.communicate()
            assert time.monotonic() < until_s
        assert self._process.poll() is None, "the import was over before anything could be killed"

    def end(self) -> tuple[int, str, str]:
        """(exit code, stdout, stderr)."""
        output, errors = self._process.communicate(timeout=2 * WAIT_S_MAX)
        return self._process.returncode, output, errors


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A tape."""
    path = tmp_path / "trades.json"
    path.write_bytes(as_json(tape(TRADES)))
    return path


def assert_whole_and_once(served: Served, path: Path, symbol: str, source: str) -> None:
    """Every leg of every trade stands in one account, numbered without a gap, at the fee of the reckoner."""
    assert recorded(served.queries, symbol) == reckon(path, symbol)
    lines = [line for lines in recorded_lines(served.queries, symbol).values() for line in lines]
    assert sorted(line.sequence for line in lines) == list(range(1, 2 * TRADES + 1))
    assert {line.source for line in lines} == {source}


def test_an_import_survives_the_death_of_the_service(served: Served, path: Path) -> None:
    with Import(served, path, "XRP_ETH") as running:
        running.wait_until(TRADES // 2)
        served.kill()
        served.start()
        code, output, errors = running.end()
    assert (code, summary(output)["refused"]) == (0, "0")
    assert "trying again for up to 60 s" in errors
    assert_whole_and_once(served, path, "XRP_ETH", running.source)


def test_an_import_that_gave_up_goes_on_when_it_is_run_again(served: Served, path: Path) -> None:
    with Import(served, path, "XRP_BTC", "--patience", "1") as running:
        running.wait_until(TRADES // 2)
        served.kill()
        code, output, errors = running.end()
    assert (code, output) == (2, "")
    assert errors.endswith("run the same command again\n")
    served.start()
    done = served.position(running.source)
    assert TRADES // 2 <= done < 2 * TRADES
    again = run(path, served.address, symbol="XRP_BTC")
    assert again.code == 0
    assert summary(again.out)["fills recorded new"].replace(",", "") == str(2 * TRADES - done)
    assert_whole_and_once(served, path, "XRP_BTC", running.source)


def test_an_import_survives_the_death_of_the_database_which_the_service_starts_again(
    served: Served, path: Path
) -> None:
    with Import(served, path, "XRP_USDT") as running:
        running.wait_until(TRADES // 2)
        killed = served.postgres.postmaster()
        os.kill(killed, signal.SIGKILL)
        code, output, _ = running.end()
    assert (code, summary(output)["refused"]) == (0, "0")
    assert served.postgres.postmaster() != killed
    assert_whole_and_once(served, path, "XRP_USDT", running.source)


def test_a_database_that_died_is_started_again_for_who_only_reads(served: Served) -> None:
    killed = served.postgres.postmaster()
    served.postgres.kill()
    assert served.position("nobody") == 0
    assert served.postgres.postmaster() != killed
