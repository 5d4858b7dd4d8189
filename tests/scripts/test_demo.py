"""The demo: it adds up, it is the same for a seed, and it leaves nothing behind."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import pytest

from scripts.demo.__main__ import main
from tests.data_folders import reachable_folder

ROOT = Path(__file__).parent.parent.parent
DAYS, FILLS = 20, 2_000
RUN_S_MAX = 50
NAMES = ("alba", "alba.bot", "brook", "cedar", "dune", "ember", "fjord", "grove")


class Row(NamedTuple):
    """A row of the fee table."""

    account: str
    tier: str
    fills: int
    volume: Decimal
    charges: Decimal
    rebates: Decimal
    net: Decimal
    bps: Decimal


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Where the demo puts what it needs."""
    folder = reachable_folder()
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Not waited for."""
    command = [sys.executable, "-m", "scripts.demo", *arguments]
    environment = {**os.environ, "TMPDIR": str(folder), "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )  # fmt: skip


def finish(demo: subprocess.Popen[str]) -> tuple[str, str]:
    """What it printed; a demo that does not end is stopped as a user would."""
    try:
        return demo.communicate(timeout=RUN_S_MAX)
    except subprocess.TimeoutExpired:
        demo.terminate()
        raise AssertionError(demo.communicate(timeout=RUN_S_MAX)) from None


@pytest.fixture(scope="module")
def printed(folder: Path) -> str:
    demo = start(folder, "--days", str(DAYS), "--fills", str(FILLS))
    out, err = finish(demo)
    assert (demo.returncode, err) == (0, "")
    return out


def fee_table(printed: str) -> list[Row]:
    """The rows below the heading, with the account in each."""
    _, _, rest = printed.partition("account   tier")
    rows: list[Row] = []
    for text in rest.partition("\n\n")[0].splitlines()[1:]:
        cells = text.replace(",", "").split()
        numbers = [Decimal(cell) for cell in cells[-6:]]
        labels = cells[:-6]
        account = rows[-1].account if text.startswith(" ") else labels.pop(0)
        rows.append(Row(account, labels[0] if labels else "", int(numbers[0]), *numbers[1:]))
    return rows


def timeline(printed: str) -> dict[str, str]:
    """One sign per day, by label."""
    return dict(re.findall(rf"^(\S+| \*) +([.1-5xf]{{{DAYS}}})$", printed, re.MULTILINE))


def sources(printed: str, account: str) -> set[str]:
    """Where the tiers of an account come from: the letters below its row."""
    return set(re.findall(rf"^{re.escape(account)} +[.1-5xf]+\n +([temh ]+)$", printed, re.MULTILINE)[0]) - {" "}


def section(printed: str, heading: str) -> list[str]:
    """The lines below a heading."""
    _, found, rest = printed.partition(f"{heading}\n")
    assert found
    return rest.partition("\n\n")[0].splitlines()[1:]


def test_the_fee_table_adds_up(printed: str) -> None:
    *rows, total = fee_table(printed)
    assert total.account == "total"
    for row in [*rows, total]:
        assert row.net == row.charges + row.rebates
        assert row.bps == (row.net / row.volume * 10_000).quantize(Decimal("0.01"))
        assert row.rebates <= 0 <= row.charges
    by_tier = [row for row in rows if row.tier != "all"]
    for place in range(2, 7):
        assert sum(row[place] for row in by_tier) == total[place]  # type: ignore[misc]
    for every in (row for row in rows if row.tier == "all"):
        own = [row for row in by_tier if row.account == every.account]
        assert [sum(column) for column in list(zip(*own, strict=True))[2:7]] == list(every[2:7])
    in_btc = re.search(r"^([0-9,]+) more fills are of ETH_BTC, in BTC: .* -0.0\d+ paid back", printed, re.MULTILINE)
    assert in_btc
    assert total.fills + int(in_btc[1].replace(",", "")) == FILLS
    assert {row.account for row in rows} == set(NAMES)
    assert total.rebates < 0 < total.charges


def test_the_timeline_has_a_sign_for_each_day_and_each_turn_of_the_story(printed: str) -> None:
    rows = timeline(printed)
    assert set(rows) == {*NAMES, " *"}
    assert "t" in sources(printed, "alba")
    assert "f" in rows["alba.bot"]
    assert "x" in rows["cedar"]
    assert "x" in rows["dune"]
    assert rows["brook"].endswith("4")
    assert "5" in rows["brook"]
    assert set(rows[" *"]) == {"."}
    assert "1" in rows["ember"]
    assert "alba.bot  asks for a trial and is refused: TRIAL_ALREADY_USED" in printed


def test_tiers_come_of_trials_evaluations_matches_and_by_hand(printed: str) -> None:
    assert "m" in sources(printed, "fjord")
    assert "e" in sources(printed, "grove")
    assert sources(printed, "brook") == {"h"}


def test_an_evaluation_moves_accounts_and_one_waits_for_a_close(printed: str) -> None:
    rows = [line.split() for line in section(printed, "Evaluations that moved an account")[1:]]
    moves = {(row[0], row[4]) for row in rows}
    assert ("dune", "GAINED") in moves
    assert {account for account, move in moves if move == "BLOCKED"} == {"brook", "grove"}
    assert re.search(r"^\S+ \S+ +BTC +close of \S+ is recorded at last", printed, re.MULTILINE)
    assert re.search(r"^[1-9]\d* volumes were evaluated, and each is what the demo reckons", printed, re.MULTILINE)


def test_fees_charged_before_a_late_evaluation_are_adjusted(printed: str) -> None:
    head, *rows = section(printed, "Fees adjusted: charged between an evaluation's instant and its run")
    assert head.split()[0] == "account"
    for row in rows:
        before, after, difference = (Decimal(cell.replace(",", "")) for cell in row.split()[-3:])
        assert after - before == difference
        assert difference < 0
    assert rows


def test_the_lives_touch_every_part_of_the_programme(printed: str) -> None:
    for told in (
        "has the match approved by others",
        "has the application granted",
        "is flagged",
        "is unflagged",
        "is banned for 7 days on that evidence",
        "is awarded 250 USDT",
        "promotion spring-api",
    ):
        assert told in printed


def test_the_controls_have_findings_and_none_of_them_says_that_money_was_pumped(printed: str) -> None:
    counts = {line.split()[0]: int(line.split()[1]) for line in section(printed, "What the controls find at the end")}
    assert counts["trades-below-zero"] == 0
    assert counts["applications-due"] == 1
    assert counts["fills-during-bans"] > 0


def test_one_fee_is_explained_and_was_not_known_earlier(printed: str) -> None:
    assert re.search(r"^The fee is [0-9.]+ USDT: [0-9.]+ %, the (maker|taker)'s rate of VIP1", printed, re.MULTILINE)
    assert re.search(r"^tier when it traded +NONE +VIP1 \(g1\)$", printed, re.MULTILINE)
    assert re.search(r"^this fee +not there yet +[0-9.]+ USDT$", printed, re.MULTILINE)


def test_a_second_run_prints_the_same_and_nothing_is_left_behind(printed: str, folder: Path) -> None:
    demo = start(folder, "--days", str(DAYS), "--fills", str(FILLS))
    assert finish(demo) == (printed, "")
    assert not list(folder.iterdir())


def test_ctrl_c_leaves_nothing_behind(folder: Path) -> None:
    demo = start(folder)
    until_s = time.monotonic() + RUN_S_MAX
    while not list(folder.glob("ledger-demo-*/data/postmaster.pid")) and time.monotonic() < until_s:
        time.sleep(0.02)
    demo.send_signal(signal.SIGINT)
    assert finish(demo) == ("", "demo: interrupted, nothing is left behind\n")
    assert demo.returncode == 130
    assert not list(folder.iterdir())


@pytest.mark.parametrize("arguments", [("--days", "9"), ("--days", "121"), ("--fills", "199"), ("--seed", "-1")])
def test_what_it_cannot_do_is_refused_in_one_line(
    arguments: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match=r"^2$"):
        main(arguments)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("demo: ")
    assert err.count("\n") == 1


def test_a_kept_ledger_is_audited_clean_and_its_folder_is_not_used_again(folder: Path) -> None:
    kept = folder / "kept"
    out, told = finish(start(folder, "--days", "10", "--fills", "200", "--keep", str(kept)))
    assert (out != "", told) == (True, "")
    audit = [sys.executable, "-m", "ledger", "audit", "--data", kept, "--jobs", "1"]
    clean = subprocess.run(audit, capture_output=True, text=True, timeout=RUN_S_MAX, check=False)
    assert (clean.returncode, " 200 fills, 8 accounts, 0 findings, " in clean.stdout) == (0, True), clean.stdout
    assert finish(start(folder, "--keep", str(kept)))[1].startswith(f"demo: {kept} is there already")
