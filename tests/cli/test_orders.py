"""Subcommands that order something: what they say they did."""

from __future__ import annotations

import json

import pytest

from tests.cli.running import FOUR_EYES, Run
from tests.conftest import Ledger


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("register-account alice-2 --owner alice --registered 2024-10-04", "alice-2: registered, owner alice"),
        ("register-symbol XRP_ETH --price-scale 7 --quantity-scale 2 --pair-class C", "XRP_ETH: registered"),
        ("register-currency USDT 6", "USDT: registered"),
        ("start-trial alice --start 2024-10-01",
         "alice: VIP3 (TRIAL g1) from 2024-10-01 00:00:00 until 2024-10-31 00:00:00 UTC"),
        ("change-tier alice VIP4 --from 2024-10-01 --approver ops-8 --reason agreed",
         "alice: VIP4 (MANUAL g1) from 2024-10-01 00:00:00, without an end"),
        ("ban alice 3 ORDER_SPAM --start 2024-10-04",
         "alice: banned from 2024-10-04 00:00:00 until 2024-10-07 00:00:00 UTC (ORDER_SPAM)"),
    ],
    ids=lambda value: value.split()[0],
)  # fmt: skip
def test_a_command_says_what_it_did_and_where_that_is_recorded(run: Run, arguments: str, says: str) -> None:
    code, out, err = run(*arguments.split(), "--actor", "ops-7", "--request-id", "r1")
    assert (code, err) == (0, "")
    where = "at position 4 of LEDGER, 2024-10-04 12:00:00.000000001 UTC"
    assert out.splitlines() == [says, f"recorded {where}", "request id r1"]
    code, out, _ = run(*arguments.split(), "--actor", "ops-7", "--request-id", "r1")
    assert (code, out.splitlines()[1]) == (0, f"recorded before {where}")
    receipt = json.loads(run(*arguments.split(), "--actor", "ops-7", "--request-id", "r1", "--json")[1])["receipt"]
    assert (receipt["position"], receipt["replayed"]) == ("4", True)


def test_grants_and_bans_are_ended_early(run: Run) -> None:
    run("change-tier", "alice", "VIP4", "--from", "2024-10-01", "--until", "2024-11-01", *FOUR_EYES)
    run("ban", "alice", "3", "ORDER_SPAM", "--start", "2024-10-04")
    _, out, _ = run("revoke-tier", "alice", "g1", "--at", "2024-10-05", *FOUR_EYES)
    assert out.splitlines()[0] == "alice: revoked from 2024-10-05 00:00:00 UTC on"
    _, out, _ = run("lift-ban", "alice", "--at", "2024-10-04T11:00", *FOUR_EYES)
    assert out.splitlines()[0] == "alice: not banned from 2024-10-04 11:00:00 UTC on"
    _, out, _ = run("state", "alice", "--as-of", "2024-10-04T10:00")
    assert out.startswith("alice: VIP4 (MANUAL g1) until 2024-10-05 00:00:00, banned until ")


def test_a_symbol_without_an_underscore_takes_its_currencies_by_option(ledger: Ledger, run: Run) -> None:
    scales = ("--price-scale", "2", "--quantity-scale", "2")
    code, _, err = run("register-symbol", "XRPUSDT", *scales)
    assert code == 1
    assert err.startswith("FIELD_REQUIRED: ")
    assert run("register-symbol", "XRPUSDT", "--base", "XRP", "--quote", "USDT", *scales)[0] == 0
