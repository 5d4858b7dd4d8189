"""CSV that a spreadsheet opens: with --spreadsheet no cell runs, without it each is what the ledger has."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from ledger.tools.csv_rows import CsvRows, defused
from tests.conftest import Ledger
from tests.samples import batch, fill, symbol
from tests.server.calls import await_tables, send
from tests.tools import running

COMMAND = "=cmd|' /C calc'!A0"


@pytest.mark.parametrize(
    "cell",
    [
        COMMAND,
        "=1+1",
        "+1+1",
        "-1+1",
        "-2-3",
        "- 1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        "=",
        "-",
        "--1",
        "-1e",
        "\uff1d1",
    ],
)
def test_what_a_spreadsheet_would_run_gets_an_apostrophe(cell: str) -> None:
    assert defused(cell) == f"'{cell}"


@pytest.mark.parametrize(
    "cell", ["", "0", "-0.0125", "+5", "-1e-7", "-.5", "E1", "a=1", "1-2", "2024-10-04", "'=1", " x"]
)
def test_numbers_and_other_texts_stay_as_they_are(cell: str) -> None:
    assert defused(cell) == cell


def test_cells_are_quoted_as_they_must_be_and_those_that_change_are_counted() -> None:
    for spreadsheet, changed in ((False, 0), (True, 2)):
        file = io.StringIO(newline="")
        rows = CsvRows(file, spreadsheet=spreadsheet)
        rows.write(('=HYPERLINK("http://x","y")', "-0.5", "@a,b"))
        assert rows.changed == changed
        (read,) = csv.reader(io.StringIO(file.getvalue(), newline=""))
        mark = "'" * spreadsheet
        assert read == [f'{mark}=HYPERLINK("http://x","y")', "-0.5", f"{mark}@a,b"]
        assert file.getvalue().endswith("\r\n")


def test_the_fees_of_an_account(ledger: Ledger, tmp_path: Path) -> None:
    send(ledger, symbol())
    assert not send(ledger, batch(fill(exec_id="-1:A", order_id=COMMAND), fill(exec_id="-7", trade_id="@x"))).refusals
    path = tmp_path / "alice.csv"

    def cells(*more: str) -> tuple[list[tuple[str, ...]], str]:
        ran = running.run("history", "alice", "--csv", path, *more, "--address", ledger.address)
        assert ran.code == 0
        rows = csv.DictReader(path.read_text(encoding="utf-8").splitlines())
        return [(row["exec_id"], row["order_id"], row["trade_id"]) for row in rows], ran.err

    assert cells() == ([("-1:A", COMMAND, ""), ("-7", "", "@x")], "")
    told = f"fee-ledger: {path}: 3 cells have an apostrophe in front that is not the ledger's\n"
    assert cells("--spreadsheet") == ([("'-1:A", f"'{COMMAND}", ""), ("-7", "", "'@x")], told)


def test_the_breaks_of_a_reconciliation(ledger: Ledger, dsn: str, schema: str, tmp_path: Path) -> None:
    file = tmp_path / "fills.csv"
    file.write_text(f'exec_id,account_id,transact_time\n"{COMMAND}",alice,2024-10-04\n')
    asked = ("reconcile", file, "--venue", "bitmart", "--out", "csv", "--dsn", dsn, "--schema", schema)

    def named(*more: str) -> tuple[str, list[str]]:
        ran = running.run(*asked, *more)
        (row,) = csv.DictReader(ran.out.splitlines())
        return row["exec_id"], ran.err.splitlines()

    assert named() == (COMMAND, ["fee-ledger: 1 break"])
    told = "fee-ledger: the breaks: 1 cell has an apostrophe in front that is not the ledger's"
    assert named("--spreadsheet") == (f"'{COMMAND}", [told, "fee-ledger: 1 break"])


@pytest.mark.parametrize(
    ("asked", "remedy"),
    [
        (("history", "alice", "--jsonl", "fees.jsonl"), "--csv FILE"),
        (("evaluate", "--plan"), "--csv FILE"),
        (("reconcile", "fills.csv", "--html", "page.html"), "--out csv"),
    ],
)
def test_a_run_that_writes_no_csv_refuses_it(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: tuple[str, ...], remedy: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FEE_LEDGER_ADDRESS", ledger.address)
    told = f"fee-ledger: --spreadsheet is for CSV, and this run writes none: give {remedy} too\n"
    assert running.run(*asked, "--spreadsheet") == (2, "", told)
    assert list(tmp_path.iterdir()) == []


def test_the_accounts_of_a_plan(ledger: Ledger, tmp_path: Path) -> None:
    send(ledger, symbol())
    send(ledger, batch(fill(account_id="-a:b")))
    path = tmp_path / "plan.csv"
    await_tables(ledger)
    asked = ("evaluate", "--plan", "--csv", path, "--address", ledger.address, "--instant", "2024-10-08")
    for more, named in (((), "-a:b"), (("--spreadsheet",), "'-a:b")):
        ran = running.run(*asked, *more)
        assert ran.code != 2, ran
        assert [row["account_id"] for row in csv.DictReader(path.read_text().splitlines())] == [named]
        assert ("1 cell has" in ran.err) is bool(more)
