"""ledger/tools/bulk/command.py: many commands from a file, first said, then done, once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import NOON_NS, Ledger, at
from tests.samples import state
from tests.server.calls import head, send
from tests.server.orders import ban, flag, request_match, tier

TOOL = ("-m", "ledger.tools.bulk.command")
TWO = ("--actor", "ops-1", "--approver", "ops-2", "--reason", "agreed")
TIERS = "VIP1, VIP2, VIP3, VIP4, VIP5"
HEADER = "command,account,tier,grant,match,from,until,at,ticket,reason"

Run = Callable[..., tuple[int, list[str], str]]


@pytest.fixture
def run(ledger: Ledger, tmp_path: Path) -> Run:
    """Runs the script on rows under the header: (exit code, printed, told on stderr)."""

    def run(rows: str, *options: str, header: str = HEADER) -> tuple[int, list[str], str]:
        path = tmp_path / "rows.csv"
        path.write_text(f"{header}\n{rows}")
        command = [sys.executable, *TOOL, path, "--address", ledger.address, *(options or TWO)]
        output = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        return output.returncode, output.stdout.splitlines(), output.stderr.replace(str(path), "FILE")

    return run


def test_a_dry_run_says_what_would_happen_and_records_nothing(ledger: Ledger, run: Run) -> None:
    send(ledger, ban("bob", start_time=at(NOON_NS)))
    before = head(ledger)
    code, told, err = run(
        "change-tier,alice,VIP4,,,2024-11-01,,,T-17,\n"
        "revoke-tier,alice,,g1,,,,,,\n"
        "lift-ban,bob,,,,,,,,\n"
        "lift-ban,bob,,,,,,,,\n"
        "change-tier,carol,VIP9,,,,,,,\n"
    )
    assert told == [
        "     2  change-tier alice VIP4: would be recorded, TierChanged",
        "     3  revoke-tier alice g1: would be recorded, TierRevoked",
        "     4  lift-ban bob: would be recorded, BanLifted",
        "     5  lift-ban bob: refused, NOT_BANNED: no ban of bob runs at this instant (lift_time)",
        f"     6  change-tier carol VIP9: refused, TIER_UNKNOWN: VIP9 is not a tier of bitmart-api-vip: {TIERS} (tier)",
        "3 would be recorded, 2 refused",
    ]
    assert (code, err, head(ledger)) == (1, "", before)


def test_what_a_dry_run_says_is_what_happens_and_a_second_run_does_nothing_twice(ledger: Ledger, run: Run) -> None:
    for request in (ban("bob"), flag("dave"), request_match("carol"), tier("erin", "VIP1")):
        send(ledger, request)
    rows = (
        "change-tier,alice,VIP4,,,,,,T-17,asked by mail\n"
        "lift-ban,bob,,,,,,,,\n"
        "approve-match,carol,,,m1,,,,,\n"
        "unflag,dave,,,,,,,,\n"
        "revoke-tier,erin,,g1,,,,,,\n"
        "revoke-tier,erin,,g9,,,,,,\n"
    )
    _, planned, _ = run(rows)
    code, done, _ = run(rows, *TWO, "--apply")
    assert [line.split(",")[0] for line in planned[:5]] == [
        line.split(",")[0].replace(": recorded", ": would be recorded") for line in done[:5]
    ]
    assert (code, done[-1]) == (1, "5 recorded, 1 refused")
    assert done[5].endswith("refused, GRANT_UNKNOWN: erin has no grant g9 (grant_id)")
    assert [state(ledger, name).tier for name in ("alice", "carol", "erin")] == ["VIP4", "VIP2", "NONE"]
    assert not state(ledger, "bob").banned
    position = head(ledger)
    code, again, _ = run(rows, *TWO, "--apply")
    assert (code, again[-1], head(ledger)) == (1, "5 recorded before, 1 refused", position)
    assert run(rows)[1][-1] == "5 recorded before, 1 refused"
    event = ledger.log.streams(["account/alice"], position)[0]
    assert (event.envelope.actor, event.envelope.approver, event.envelope.ticket) == ("ops-1", "ops-2", "T-17")
    assert event.envelope.request_id.endswith("-2")


def test_one_person_alone_is_told_before_anything_is_done(run: Run) -> None:
    code, told, _ = run("change-tier,alice,VIP4,,,,,,,\n", "--actor", "ops-1", "--reason", "agreed")
    assert (code, told[0].split(": ")[1]) == (1, "refused, APPROVER_REQUIRED")
    code, told, _ = run("change-tier,alice,VIP4,,,,,,,\n", "--actor", "ops-1", "--approver", "ops-2")
    assert (code, "REASON_REQUIRED" in told[0]) == (1, True)


@pytest.mark.parametrize(
    ("rows", "header", "why"),
    [
        ("", HEADER, "FILE: no rows"),
        ("x,alice\n", "command,account", "FILE:2: 'x' is none of change-tier, "),
        ("lift-ban,alice,1\n", "command,account,colour", "FILE:1: an unknown column 'colour'"),
        ("alice\n", "account", "FILE:1: no column command"),
        ("lift-ban\n", "command,account", "FILE:2: not as many cells"),
        ("lift-ban,alice,,\n", "command,account", "FILE:2: not as many cells"),
        ("lift-ban,\n", "command,account", "FILE:2: lift-ban needs account"),
        ("lift-ban,ali ce\n", "command,account", "FILE:2: lift-ban needs account"),
        ("change-tier,alice\n", "command,account", "FILE:2: change-tier needs tier"),
        ("lift-ban,alice,VIP1\n", "command,account,tier", "FILE:2: lift-ban takes no tier"),
        ("lift-ban,alice,soon\n", "command,account,at", "FILE:2: 'soon' is no time"),
        ('lift-ban,"alice\n', "command,account", "FILE:1: unexpected end of data"),
    ],
    ids=lambda value: value[:24],
)
def test_a_file_that_cannot_be_sent_is_one_line_and_nothing_is_done(
    ledger: Ledger, run: Run, rows: str, header: str, why: str
) -> None:
    before = head(ledger)
    code, told, err = run(rows, *TWO, "--apply", header=header)
    assert (code, told, err.count("\n")) == (2, [], 1)
    assert err.startswith(f"bulk.py: {why}")
    assert head(ledger) == before


def test_without_a_ledger_it_says_how_to_get_one(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("command,account\nlift-ban,alice\n")
    command = [sys.executable, *TOOL, path, *TWO, "--address", "127.0.0.1:1"]
    output = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (output.returncode, output.stdout) == (2, "")
    assert "start one with `make run`" in output.stderr


def test_help_shows_how_a_file_looks() -> None:
    output = subprocess.run([sys.executable, *TOOL, "--help"], capture_output=True, text=True, check=False)
    assert output.returncode == 0
    assert "change-tier,alice,VIP4,2024-11-01,2024-12-01,T-17" in output.stdout
