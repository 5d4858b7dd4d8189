"""Subcommands for those who watch over a ledger."""

from __future__ import annotations

import re

from ledger.client import Client
from tests.cli.running import FOUR_EYES, Run, table
from tests.conftest import Ledger
from tests.server.calls import await_tables


def test_what_was_done_alone_is_listed(run: Run) -> None:
    run("start-trial", "alice", "--start", "2024-10-01", "--actor", "ops-1")
    _, out, _ = run("solo-actions", "--of", "ops-1")
    assert out.splitlines()[-1].split()[-4:] == ["ops-1", "TrialStarted", "account/alice", "-"]
    assert run("solo-actions", "--of", "ops-2")[1].splitlines()[-1] == "none"


def test_a_close_is_recorded_and_listed(run: Run) -> None:
    evidence = ("--source", "binance-1d", "--evidence", "0" * 64)
    code, out, err = run("record-close", "BTC", "2024-10-03", "60000.50", *evidence)
    assert (code, err, out.splitlines()[0]) == (0, "", "BTC: closed at 60000.5 USDT on 2024-10-03")
    _, out, _ = run("closes", "BTC", "--from", "2024-10-03")
    assert re.search(r"^BTC +2024-10-03 +60000.5 +USDT +binance-1d +\d+ +-$", out, re.MULTILINE)
    assert run("record-close", "BTC", "2024-10-03", "1", *evidence)[0] == 1


def test_an_evaluation_is_shown_with_its_runs(ledger: Ledger, run: Run) -> None:
    assert run("evaluation")[2].startswith("EVALUATION_UNKNOWN: ")
    run("change-tier", "alice", "VIP4", "--from", "2024-09-01", *FOUR_EYES)
    await_tables(ledger)
    with Client(ledger.address, actor="ops-7", approver="ops-8") as client:
        assert list(client.run_evaluation(complete_sources=["engine-1"]))
    _, out, _ = run("evaluation")
    head, _, rest = out.partition("\n")
    assert head == "periodic evaluation of bitmart-api-vip 3.0 at 2024-09-28 00:00:00 UTC: COMPLETED, in LEDGER"
    assert rest.partition("\n")[2] == table("""
      volume of         2024-08-29 00:00:00 until 2024-09-28 00:00:00
      read at position  4

    run at position 5: began 2024-10-04 12:00:00.000000002 UTC, ended 2024-10-04 12:00:00.000000004 UTC
      asked for by         ops-7, approved by ops-8
      read at position     4
      said to be complete  engine-1
      evaluated            1 account
      - lost their tier    1
    """)
