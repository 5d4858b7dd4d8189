"""Subcommands about members."""

from __future__ import annotations

import re

import pytest

from ledger.program import main
from tests.cli.running import FOUR_EYES, Run, table
from tests.conftest import Ledger
from tests.server.calls import await_tables


def test_a_flag_takes_the_tier_away_until_it_is_lifted_and_state_shows_it(run: Run) -> None:
    run(
        "change-tier",
        "alice",
        "VIP4",
        "--from",
        "2024-10-01",
        "--actor",
        "ops-7",
        "--approver",
        "ops-8",
        "--reason",
        "agreed",
    )
    code, out, err = run("flag", "alice", "robot", "--at", "2024-10-02", "--evidence", "0" * 64)
    assert (code, err) == (0, "")
    assert out.startswith("alice: flagged ROBOT (f1) from 2024-10-02 00:00:00 UTC on\nrecorded at position")
    _, out, _ = run("state", "alice")
    assert out.startswith("alice: NONE, flagged, in LEDGER")
    assert re.search(r"^f1 +ROBOT +2024-10-02 00:00:00 +-$", out, re.MULTILINE)
    code, out, _ = run("unflag", "alice", "--at", "2024-10-03", "--actor", "ops-7", "--approver", "ops-8")
    assert (code, out.splitlines()[0]) == (0, "alice: not flagged from 2024-10-03 00:00:00 UTC on")
    assert run("state", "alice")[1].startswith("alice: VIP4 (MANUAL g1), in LEDGER")
    assert run("unflag", "alice", "--actor", "ops-7", "--approver", "ops-8")[0] == 1


def test_a_match_is_requested_by_one_person_and_approved_by_another(run: Run) -> None:
    claim = (
        "--venue",
        "okx",
        "--level",
        "VIP2",
        "--from",
        "2024-09-01",
        "--until",
        "2024-10-01",
        "--evidence",
        "0" * 64,
    )
    code, out, _ = run("request-match", "carol", *claim, "--spot", "500000", "--actor", "ops-7")
    assert (code, out.splitlines()[0]) == (0, "carol: match m1 is worth VIP2 and waits for approval")
    code, _, err = run("approve-match", "carol", "m1", "--actor", "ops-7", "--approver", "ops-9")
    assert (code, err.partition(":")[0]) == (1, "APPROVER_IS_ACTOR")
    code, out, _ = run("approve-match", "carol", "m1", "--actor", "ops-8", "--approver", "ops-9")
    assert (code, out.splitlines()[0].startswith("carol: VIP2 (MATCH g1) from 2024-10-04")) == (0, True)
    _, out, _ = run("request-match", "dave", *claim, "--futures", "100000", "--actor", "ops-7")
    assert out.splitlines()[0] == "dave: match m1 is rejected, EXTERNAL_VOLUME_TOO_LOW"
    run("request-match", "erin", *claim, "--futures", "100000.01", "--actor", "ops-7")
    _, out, _ = run("reject-match", "erin", "m1", "EVIDENCE_FALSE")
    assert out.startswith("erin: match rejected at 2024-10-04")


def test_what_is_no_sha256_is_refused_before_anything_is_sent(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["flag", "alice", "fake", "--evidence", "abc"])
    assert caught.value.code == 2
    assert "'abc' is no SHA-256: give 64 hex digits" in capsys.readouterr().err


def test_an_application_is_submitted_verified_and_settled(ledger: Ledger, run: Run) -> None:
    _, out, _ = run("submit-application", "frank", "--received", "2024-09-02", "--community")
    assert out.splitlines()[0] == "frank: application p1 is received"
    code, _, err = run("submit-application", "gina", "--lacks", "form")
    assert (code, err.partition(":")[0]) == (1, "APPLICATION_INCOMPLETE")
    assert run("verify-identity", "frank", "--at", "2024-09-03")[1].startswith("frank: identity verified at 2024-09-03")
    await_tables(ledger)
    assert run("applications", "--overdue")[1].partition("\n\n")[2] == table("""
    account  application  deadline             is       received             verified
    frank    p1           2024-09-17 00:00:00  overdue  2024-09-02 00:00:00  2024-09-03 00:00:00
    """)
    assert run("applications", "--due-within", "3")[1].splitlines()[-1] == "none"
    _, out, _ = run("settle-application", "frank", "p1", "granted", "--at", "2024-10-01")
    assert out.splitlines()[0] == "frank: application settled at 2024-10-01 00:00:00 UTC"
    assert run("membership", "frank")[1].endswith(table("""
      identity verified    2024-09-03 00:00:00
      key account manager  -

    application  received             community  deadline             outcome  settled
    p1           2024-09-02 00:00:00  joined     2024-09-17 00:00:00  granted  2024-10-01 00:00:00
    """))  # fmt: skip


def test_a_tier_entitles_to_a_manager(run: Run) -> None:
    assert run("entitlements", "alice")[1].partition("\n")[2].partition("\n")[2] == table("""
      entitled to          nothing beside its rates
      key account manager  -
    """)
    assert run("assign-manager", "alice", "kam-3")[2].startswith("NOT_ENTITLED: ")
    run("change-tier", "alice", "VIP4", "--from", "2024-10-01", *FOUR_EYES)
    _, out, _ = run("assign-manager", "alice", "kam-3", "--at", "2024-10-02")
    assert out.startswith("alice: has this key account manager from 2024-10-02 00:00:00 UTC on\n")
    _, out, _ = run("entitlements", "alice")
    assert out.startswith("alice: VIP4, in LEDGER\n")
    assert out.splitlines()[2:] == ["  entitled to          support_24_7, key_account_manager",
                                    "  key account manager  kam-3"]  # fmt: skip


def test_a_metric_is_evidence_for_a_ban(run: Run) -> None:
    window = ("--from", "2024-09-01", "--until", "2024-09-02")
    _, out, _ = run("record-metric", "bob", "ORDER_SPAM", "0.97", *window)
    assert out.startswith("bob: metric recorded; a ban names it by --evidence 4\n")
    assert run("membership", "bob")[1].splitlines()[-1].split()[:3] == ["4", "ORDER_SPAM", "0.97"]
    assert run("ban", "bob", "1", "ORDER_SPAM", "--evidence", "4")[0] == 0
    assert run("ban", "bob", "1", "ORDER_SPAM", "--evidence", "3")[2].startswith("METRIC_UNKNOWN: ")


def test_a_match_is_checked_before_anybody_asks_for_it_and_membership_shows_it(run: Run) -> None:
    _, out, _ = run("check-match", "carol", "--spot", "500000", "--as-of", "2024-10-02")
    assert out.startswith("a match of carol: eligible, in LEDGER\n")
    assert out.splitlines()[2:] == [
        "  worth                       VIP2",
        "  if approved then, from      2024-10-02 00:00:00",
        "  until                       2024-11-01 00:00:00",
        "  member in the past 90 days  no",
    ]
    _, out, _ = run("check-match", "carol", "--spot", "1")
    assert out.startswith("a match of carol: not eligible, EXTERNAL_VOLUME_TOO_LOW, in LEDGER\n")
    claim = ("--venue", "okx", "--level", "VIP2", "--from", "2024-09-01", "--until", "2024-10-01", "--spot", "500000")
    run("request-match", "carol", *claim, "--evidence", "0" * 64, "--at", "2024-10-02", "--actor", "ops-7")
    run("reject-match", "carol", "m1", "EVIDENCE_FALSE", "--at", "2024-10-03")
    assert run("membership", "carol")[1].partition("\n\n")[2] == table("""
    match  status    tier  venues  level    spot  futures  requested            settled
        because
    m1     REJECTED  VIP2  okx     VIP2   500000        0  2024-10-02 00:00:00  2024-10-03 00:00:00
        EVIDENCE_FALSE
    """)
