"""ledger/tools/evaluate.py: a plan, a run, and the exit code by which a scheduler knows."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Ledger, at
from tests.e2e.rules.evaluating import DUE_NS, evaluated, trade
from tests.samples import symbol
from tests.server.calls import await_tables, send
from tests.server.orders import close, tier

TOOL = ("-m", "ledger.tools.evaluate")
PERSONS = ("--actor", "ops-7", "--approver", "ops-8")

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


@pytest.fixture(autouse=True)
def _traded(ledger: Ledger) -> None:
    """Alice goes up, bob down, and carol trades in BTC."""
    for name in ("XRP_USDT", "XRP_BTC"):
        send(ledger, symbol(name, price_scale=2, quantity_scale=2))
    send(ledger, tier("bob", "VIP3", valid_until=at(DUE_NS + 1)))
    trade(ledger, "500000")
    trade(ledger, "100000", account_id="bob")
    trade(ledger, "2", account_id="carol", symbol="XRP_BTC")
    ledger.clock.now_ns = DUE_NS


def test_a_plan_is_a_table_and_says_how_to_do_just_that(ledger: Ledger, run: Run, tmp_path: Path) -> None:
    head = ledger.log.head().position
    path = tmp_path / "plan.csv"
    code, out, err = run("--plan", "--csv", str(path))
    assert (code, err) == (1, ""), "carol lacks a close"
    lines = [line.split() for line in out.splitlines()]
    assert ["GAINED", "alice", "NONE", "VIP2", "500000"] in lines
    assert ["DOWN", "bob", "VIP3", "VIP1", "100000"] in lines
    assert ["BLOCKED", "carol", "NONE", "-", "-", "BTC", "2024-10-04"] in lines
    assert "2 evaluated, 1 gained, 1 down, 1 blocked" in out
    assert f"--instant 2024-10-08T00:00:00Z --read-position {head}" in out
    rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    assert [(row["account_id"], row["counted"], row["missing_closes"]) for row in rows] == [
        ("alice", "500000 USDT", ""),
        ("bob", "100000 USDT", ""),
        ("carol", "2 BTC", "BTC 2024-10-04"),
    ]
    assert ledger.log.head().position == head


def test_a_run_does_what_was_planned_and_ends_with_0_once_nobody_is_left_out(ledger: Ledger, run: Run) -> None:
    code, out, err = run(*PERSONS, "--instant", "2024-10-08", "--read-position", str(ledger.log.head().position))
    assert (code, err) == (1, "")
    assert "2 evaluated, 1 gained, 1 down, 1 blocked" in out
    assert "carol" in out
    send(ledger, close("BTC", "2024-10-04", "50000"))
    assert run(*PERSONS)[:2][0] == 0
    assert [event.tier for event in evaluated(ledger, "carol")] == ["VIP1"]
    assert run(*PERSONS) == (0, "it is completed already: every account is evaluated\n", "")


def test_what_the_ledger_refuses_ends_it_with_1_and_a_ledger_that_is_not_there_with_2(run: Run) -> None:
    code, out, err = run("--actor", "ops-7")
    assert (code, out) == (1, "")
    assert err.startswith("run_evaluation.py: APPROVER_REQUIRED")
    assert run(*PERSONS, "--instant", "2024-10-07")[0] == 1
    output = subprocess.run(
        [sys.executable, *TOOL, "--plan", "--address", "127.0.0.1:1"], capture_output=True, text=True, check=False
    )
    assert (output.returncode, output.stderr.count("\n")) == (2, 1)
    assert run("--csv", "/no/such/folder/file", *PERSONS)[0] == 2
