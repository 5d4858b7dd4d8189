"""ledger/tools/programme/command.py publish and list: a file goes into a ledger once, by two persons."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.programmes import packaged
from tests.conftest import Ledger
from tests.server.calls import head

TOOL = ("-m", "ledger.tools.programme.command")
TWO = ("--actor", "ops-1", "--approver", "ops-2")

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(ledger: Ledger) -> Run:
    """Runs the script: (exit code, printed, told on stderr)."""

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        command = [sys.executable, *TOOL, *arguments, "--address", ledger.address]
        output = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        return output.returncode, output.stdout, output.stderr

    return run


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The packaged programme under another version."""
    path = tmp_path / "next.toml"
    path.write_text(packaged().replace('version = "3.0"', 'version = "3.1"'))
    return path


def test_a_version_is_published_once_and_listed(ledger: Ledger, run: Run, path: Path) -> None:
    asked = ("publish", path, "--valid-from", "2024-11-01", *TWO)
    code, out, err = run(*asked)
    assert (code, err) == (0, "")
    assert out.startswith(f"{path}: bitmart-api-vip 3.1 in force from 2024-11-01 00:00:00 UTC on\nrecorded at position")
    position = head(ledger)
    assert "recorded before at position" in run(*asked)[1]
    assert head(ledger) == position
    code, out, _ = run("list")
    assert (code, [line.split()[:2] for line in out.splitlines()[1:]]) == (
        0,
        [["bitmart-api-vip", "3.0"], ["bitmart-api-vip", "3.1"]],
    )
    assert "ops-1" in out
    assert "ops-2" in out


def test_a_refusal_is_said_with_every_fault_and_1(run: Run, path: Path) -> None:
    code, out, err = run("publish", path, "--actor", "ops-1", "--approver", "ops-1")
    assert (code, out) == (1, "")
    assert err.startswith("programme.py: APPROVER_IS_ACTOR: ops-1 asks for PublishProgramme and cannot approve it too")
    path.write_text(path.read_text().replace('maker = "0.04%"', 'maker = "0.04"').replace("days = 30 ", "days = 0 "))
    code, _, err = run("publish", path, *TWO)
    assert code == 1
    assert all(line.startswith("programme.py: PROGRAMME_INVALID: ") for line in err.splitlines())
    assert "rates.VIP1.A.maker" in err


def test_without_a_ledger_it_says_how_to_get_one(path: Path) -> None:
    command = [sys.executable, *TOOL, "publish", path, *TWO, "--address", "127.0.0.1:1"]
    output = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (output.returncode, output.stdout) == (2, "")
    assert "start one with `make run`" in output.stderr
