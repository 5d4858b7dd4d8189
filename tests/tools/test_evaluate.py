"""`fee-ledger evaluate`: a plan, a run, and the exit code by which a scheduler knows."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from ledger.program import main
from tests.cli.running import Run
from tests.conftest import Ledger, at
from tests.e2e.rules.evaluating import DUE_NS, evaluated, trade
from tests.samples import symbol
from tests.server.calls import await_tables, send
from tests.server.orders import close, tier

PERSONS = ("--actor", "ops-7", "--approver", "ops-8")


@pytest.fixture
def run(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command: (exit code, printed, told on stderr)."""

    def run(*arguments: str) -> tuple[int, str, str]:
        await_tables(ledger)
        code = main(["evaluate", *arguments, "--address", ledger.address])
        return code, *capsys.readouterr()

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
    just_that = f"--kind periodic --instant 2024-10-08T00:00:00Z --read-position {head} --actor ID --approver ID"
    assert f"to do just this: fee-ledger evaluate {just_that}\n" in out
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


def test_a_preview_says_whether_a_run_would_begin_and_begins_none(ledger: Ledger, run: Run) -> None:
    head = ledger.log.head().position
    named = ("--instant", "2024-10-08", "--request-id", "r1")
    code, out, err = run(*PERSONS, *named, "--validate-only")
    assert (code, err, ledger.log.head().position) == (0, "", head)
    assert out.splitlines() == [
        "the evaluation 2024-10-08 00:00:00 UTC of bitmart-api-vip 3.0, if this were sent: it would begin",
        f"a preview, decided after position {head} of {ledger.ledger_id}: nothing is recorded",
        "would record EvaluationStarted in evaluation/bitmart-api-vip/2024-10-08T00:00:00Z",
        "would change no fee of fills recorded before",
        "what it would give each account: fee-ledger evaluate --plan",
    ]
    assert run("--actor", "ops-7", *named, "--validate-only")[2].startswith("APPROVER_REQUIRED")
    run(*PERSONS, *named)
    assert f"began before, at position {head + 1} of " in run(*PERSONS, *named, "--validate-only")[1]


def test_a_plan_as_json_is_the_messages_of_the_ledger(run: Run) -> None:
    code, out, err = run("--plan", "--json")
    messages = [json.loads(line) for line in out.splitlines()]
    assert (code, err) == (1, "")
    assert [one["account_id"] for message in messages for one in message["accounts"]] == ["alice", "bob", "carol"]
    assert messages[-1]["counts"]["blocked"] == "1"


def test_a_table_shows_some_accounts_and_says_how_many_there_are(ledger: Ledger, run: Run) -> None:
    trade(ledger, "500000", account_id="dave")
    _, out, _ = run("--plan", "--rows", "1")
    assert "alice" in out
    assert "dave" not in out
    assert "... and 1 more: --csv FILE has all, --rows N shows more\n" in out


def test_what_the_ledger_refuses_ends_it_with_1(run: Run) -> None:
    code, out, err = run("--actor", "ops-7")
    assert (code, out) == (1, "")
    assert err.startswith("APPROVER_REQUIRED")
    assert run(*PERSONS, "--instant", "2024-10-07")[0] == 1
