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


def test_a_credit_is_given_listed_and_taken_back(run: Run) -> None:
    run("register-account", "alice")
    given = ("credit-fee", "alice", "2024-10-04", "12.50", "USDT", "OUTAGE", *FOUR_EYES)
    _, out, _ = run(*given, "--validate-only")
    assert out.splitlines()[0] == "alice, if this were sent: 12.5 USDT credited on 2024-10-04"
    assert out.splitlines()[-1] == "would have it that alice pays 12.5 USDT less"
    _, out, _ = run(*given)
    position = out.split(" at position ")[1].split()[0]
    named = f"withdraw-credit names it by position {position}"
    assert out.splitlines()[0] == f"alice: 12.5 USDT credited on 2024-10-04; {named}"
    _, out, _ = run("fees", "alice")
    (row,) = [line.split() for line in out.splitlines() if "credited" in line]
    assert row[4:] == ["credited", "-", "-", "-12.5", "USDT", "-", "OUTAGE"]
    assert out.splitlines()[-1].split() == ["USDT", "0", "0", "-12.5", "-12.5", "0"]
    _, out, _ = run("withdraw-credit", "alice", position, "MISTAKE", *FOUR_EYES)
    assert out.splitlines()[0] == "alice: the credit of 12.5 USDT on 2024-10-04 is withdrawn"
    code, _, err = run("withdraw-credit", "alice", position, "MISTAKE", *FOUR_EYES)
    assert (code, err.split(":")[0]) == (1, "CREDIT_ALREADY_WITHDRAWN")


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


def test_a_preview_says_what_would_be_recorded_and_nothing_is(ledger: Ledger, run: Run) -> None:
    line = ("change-tier", "alice", "VIP4", "--from", "2024-10-01", *FOUR_EYES)
    code, out, err = run(*line, "--validate-only")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "alice, if this were sent: VIP4 (MANUAL g1) from 2024-10-01 00:00:00, without an end",
        "a preview, decided after position 3 of LEDGER: nothing is recorded",
        "would record TierChanged in account/alice",
        "would change no fee of fills recorded before",
    ]
    assert run(*line)[1].splitlines()[1].startswith("recorded at position 4 of ")
    metric = "record-metric alice ORDER_SPAM 0.97 --from 2024-09-01 --until 2024-09-02 --validate-only"
    assert run(*metric.split())[1].splitlines()[0] == "alice, if this were sent: metric recorded"
    found = json.loads(run("ban", "alice", "3", "ORDER_SPAM", "--validate-only", "--json")[1])
    assert (found["receipt"]["preview"]["event_count"], found["ban"]["ban_id"]) == ("1", "b1")


def test_a_preview_of_what_restates_fills_says_what_the_member_pays_then(traded: None, run: Run) -> None:
    """The second fill of 500 at 0.025 % in place of 0.25 %, and the first of 6.25 in place of the trial's 0.03 %."""
    backdated = ("2024-10-04T11:00", *FOUR_EYES, "--validate-only")
    told = run("change-tier", "alice", "VIP4", "--from", *backdated)[1].splitlines()
    assert told[2:] == [
        "would record TierChanged in account/alice",
        "would record FactReleased in account/alice",
        "would record FeeAdjusted in fees/alice/2024-10-04",
        "would restate 2 fills recorded before: alice pays 1.1253125 USDT less",
    ]
    told = run("ban", "alice", "1", "ORDER_SPAM", "--start", *backdated)[1].splitlines()
    assert told[-1] == "would restate 2 fills recorded before: alice pays as much USDT as before"


def test_a_preview_that_is_refused_ends_as_the_command(run: Run) -> None:
    alone = ("change-tier", "alice", "VIP4", "--actor", "ops-7")
    previewed = run(*alone, "--validate-only")
    assert previewed[0] == 1
    assert previewed == run(*alone)
