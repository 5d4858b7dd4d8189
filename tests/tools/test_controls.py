"""`fee-ledger controls`: what it prints, and the exit code by which a scheduler knows."""

from __future__ import annotations

import json

import pytest

from ledger.program import main
from projections.controls import CONTROLS
from tests.cli.running import Run
from tests.conftest import NOON_NS, Ledger, at
from tests.server.calls import await_tables, send
from tests.server.orders import trial


@pytest.fixture
def run(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command: (exit code, printed, told on stderr)."""

    def run(*arguments: str) -> tuple[int, str, str]:
        await_tables(ledger)
        code = main(["controls", *arguments, "--address", ledger.address])
        return code, *capsys.readouterr()

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


def test_no_more_are_listed_than_asked_for(ledger: Ledger, run: Run) -> None:
    for account_id in ("alice", "bob"):
        send(ledger, trial(account_id, start_time=at(NOON_NS)))
    code, out, _ = run("--as-of", "2024-10-06", "--limit", "1")
    assert (code, [line.split()[-1] for line in out.splitlines()]) == (1, ["benefits-ending", "it", "finding"])


def test_a_long_finding_wraps(ledger: Ledger, run: Run) -> None:
    send(ledger, trial("a" * 64, start_time=at(NOON_NS)))
    _, out, _ = run("--as-of", "2024-10-06")
    assert out.splitlines()[1:3] == [
        f"  VIP3 of {'a' * 64} (TRIAL) ends",
        "    2024-11-03T12:00:00Z with nothing after it",
    ]


def test_it_lists_the_controls_there_are(run: Run) -> None:
    code, out, _ = run("--list")
    head, *lines = out.splitlines()
    assert (code, head.split()) == (0, ["control", "finds"])
    assert [line.split()[0] for line in lines if line[0] != " "] == sorted(CONTROLS)
    assert max(map(len, lines)) <= 100
    assert [json.loads(line)["name"] for line in run("--list", "--json")[1].splitlines()] == sorted(CONTROLS)


@pytest.mark.parametrize("arguments", [("no-such",), ("--programme", "no-such")], ids=" ".join)
def test_what_the_ledger_cannot_answer_is_one_line_and_2(run: Run, arguments: tuple[str, ...]) -> None:
    code, out, err = run(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(("CONTROL_UNKNOWN: no control no-such: ", "PROGRAMME_UNKNOWN: "))


@pytest.mark.parametrize("days", ["0", "367"])
def test_days_are_those_of_a_year(days: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["controls", "--within-days", days])
    assert caught.value.code == 2
    says = f"fee-ledger controls: argument --within-days: '{days}' is not a whole number from 1 to 366"
    assert capsys.readouterr().err.startswith(says)
