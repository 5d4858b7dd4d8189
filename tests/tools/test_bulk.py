"""`fee-ledger bulk`: many commands from a file, first said, then done, once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest

from ledger.cli.errors import UnusableError
from ledger.client import Client, Unavailable
from ledger.fills import mend
from ledger.program import main
from ledger.tools.bulk.rows import read_rows
from tests.conftest import NOON_NS, Ledger, at
from tests.samples import batch, fill, state, symbol
from tests.server.calls import head, send
from tests.server.orders import ban, flag, request_match, tier

TWO = ("--actor", "ops-1", "--approver", "ops-2", "--reason", "agreed")
TIERS = "VIP1, VIP2, VIP3, VIP4, VIP5"
HEADER = "command,account,tier,grant,match,from,until,at,ticket,reason"

Run = Callable[..., tuple[int, list[str], str]]


@pytest.fixture
def run(ledger: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command on rows under the header: (exit code, printed, told on stderr)."""

    def run(rows: str, *options: str, header: str = HEADER) -> tuple[int, list[str], str]:
        path = tmp_path / "rows.csv"
        path.write_text(f"{header}\n{rows}")
        code = main(["bulk", str(path), "--address", ledger.address, *(options or TWO)])
        out, err = capsys.readouterr()
        return code, out.splitlines(), err.replace(str(path), "FILE")

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


def test_a_dry_run_says_what_commits_after_a_row_would_restate(
    ledger: Ledger, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mend, "LINES_AT_ONCE", 2)
    send(ledger, symbol())
    ledger.fills.RecordFills(batch(*(fill(last_qty="1000") for _ in range(3))))
    code, (told, _), _ = run("change-tier,alice,VIP4,,,2024-10-04,,,,\n")
    later = "would also restate 3 fills of 1 account in commits after it: alice pays 3.375 USDT less"
    assert told == f"     2  change-tier alice VIP4: would be recorded, TierChanged, {later}"
    assert code == 0


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
    event, *_ = ledger.log.with_erasable(ledger.log.streams(["account/alice"], position))
    assert (event.envelope.actor, event.envelope.approver, event.envelope.ticket) == ("ops-1", "ops-2", "T-17")
    assert event.envelope.request_id.endswith("-2")


def test_a_row_that_an_earlier_one_makes_right_or_wrong_is_judged_after_it(ledger: Ledger, run: Run) -> None:
    """Alone the ledger would refuse to revoke g1, which is to come, and lift the ban of bob twice."""
    send(ledger, ban("bob"))
    code, told, _ = run(
        "change-tier,alice,VIP4,,,,,,,\n"
        "revoke-tier,alice,,g1,,,,,,\n"
        "revoke-tier,alice,,g2,,,,,,\n"
        "lift-ban,bob,,,,,,,,\n"
        "lift-ban,bob,,,,,,,,\n"
    )
    assert [line.split(": ")[1].split(",")[0] for line in told[:5]] == [
        *("would be recorded", "would be recorded", "refused", "would be recorded", "refused")
    ]
    assert (code, told[5]) == (1, "3 would be recorded, 2 refused")


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
    assert err.startswith(f"fee-ledger: {why}")
    assert head(ledger) == before


def test_rows_as_json_are_a_document_each(run: Run) -> None:
    code, told, _ = run("change-tier,alice,VIP4,,,,,,,\n", *TWO, "--json")
    assert (code, [json.loads(line) for line in told]) == (
        0,
        [{"row": 2, "command": "change-tier alice VIP4", "outcome": "would be recorded", "detail": "TierChanged"}],
    )


def test_a_ledger_that_goes_away_is_told_with_how_to_go_on(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object, request_id: str, **__: object) -> None:
        raise Unavailable(grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE: no route", request_id=request_id)

    monkeypatch.setattr(Client, "change_tier", gone)
    code, told, err = run("change-tier,alice,VIP4,,,,,,,\n", *TWO, "--apply")
    assert (code, told, err.count("\n")) == (2, [], 1)
    assert err.endswith("; run the same file again, and nothing is done twice\n")


def test_a_file_that_is_too_large_is_not_held(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    with file.open("wb") as out:
        out.truncate(65 << 20)
    with pytest.raises(UnusableError, match="more than 64 MiB: split the file"):
        read_rows(file, "ops-1")
