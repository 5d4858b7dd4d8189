"""ledger/tools/controls.py: what it prints, and the exit code by which a scheduler knows."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

import pytest

from projections.controls import CONTROLS
from tests.conftest import NOON_NS, Ledger, at
from tests.server.calls import await_tables, send
from tests.server.orders import trial

TOOL = ("-m", "ledger.tools.controls")

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(ledger: Ledger) -> Run:
    """Runs the script: (exit code, printed, told on stderr)."""

    def run(*arguments: str) -> tuple[int, str, str]:
        await_tables(ledger)
        command = [sys.executable, *TOOL, *arguments, "--address", ledger.address]
        output = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        return output.returncode, output.stdout, output.stderr

    return run


def test_without_findings_it_ends_with_0(run: Run) -> None:
    assert run() == (0, "0 findings\n", "")


def test_findings_end_it_with_1_and_stand_under_their_control(ledger: Ledger, run: Run) -> None:
    send(ledger, trial("alice", start_time=at(NOON_NS)))
    finding = "VIP3 of alice (TRIAL) ends 2024-11-03T12:00:00Z with nothing after it"
    shown = f"benefits-ending\n  {finding}\n1 finding\n"
    assert run("--as-of", "2024-10-06", "--within-days", "30") == (1, shown, "")
    assert run("benefits-ending", "--as-of", "2024-10-06", "--within-days", "30") == (1, shown, "")
    assert run("continuous-bans", "--as-of", "2024-10-06")[0] == 0
    code, out, _ = run("--as-of", "2024-10-06", "--within-days", "30", "--json")
    document = json.loads(out)
    assert (code, document["control"], document["message"]) == (1, "benefits-ending", finding)
    assert document["finding_id"].startswith("benefits-ending/alice/g1/")


def test_it_lists_the_controls_there_are(run: Run) -> None:
    code, out, _ = run("--list")
    assert (code, [line.split()[0] for line in out.splitlines()]) == (0, sorted(CONTROLS))


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("no-such",), "controls.py: CONTROL_UNKNOWN: no control no-such: "),
        (("--programme", "no-such"), "controls.py: PROGRAMME_UNKNOWN: "),
        (("--within-days", "0"), "controls.py: argument --within-days: '0' is not a whole number from 1 to 366"),
        (("--within-days", "367"), "controls.py: argument --within-days: '367' is not a whole number"),
        (("--as-of", "soon"), "controls.py: argument --as-of: 'soon' is no time"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else None,
)
def test_what_cannot_be_answered_is_one_line_and_2(run: Run, arguments: tuple[str, ...], why: str) -> None:
    code, out, err = run(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(why)


def test_without_a_ledger_it_says_how_to_get_one() -> None:
    command = [sys.executable, *TOOL, "--address", "127.0.0.1:1"]
    output = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (output.returncode, output.stdout) == (2, "")
    assert "start one with `make run`" in output.stderr
