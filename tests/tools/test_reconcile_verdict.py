"""The verdict of a reconciliation: that both agree is said of what was compared, and of nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Final

import pytest

from ledger.domain.instants import DAY_NS
from ledger.tools.duck.database import Database
from ledger.tools.reconcile import command
from ledger.tools.reconcile.breaks import find_breaks
from ledger.tools.reconcile.terms import Terms
from ledger.v1 import fill_pb2
from tests.conftest import NOON_NS, Ledger, at
from tests.samples import batch, fill, history, symbol
from tests.server.calls import send
from tests.server.orders import publish
from tests.tools.engine_files import row_of, write_csv
from tests.tools.reconciled import Books, books
from tests.tools.test_reconcile import trade

AT_NS: Final = 1_706_704_336_944_000_000  # 2024-01-31T12:32:16.944Z
NOTHING: Final = "nothing was compared: neither side has a fill in the period"


@pytest.fixture(scope="module")
def book(dsn: str) -> Iterator[Books]:
    """Both legs of three trades."""
    with books(dsn, "test_verdict", [leg for number in (1, 2, 3) for leg in trade(number)]) as found:
        yield found


def test_a_cell_of_a_fee_that_is_empty_is_no_agreement(dsn: str, tmp_path: Path) -> None:
    sold = {"side": fill_pb2.SIDE_SELL, "last_px": "0.6", "last_qty": "1000", "transact_time": at(AT_NS)}
    file = tmp_path / "fills.csv"
    file.write_text(
        "exec_id,symbol,side,last_px,last_qty,transact_time,fee_amount,fee_currency\n"
        "Q1,XRP_USDT,sell,0.6,1000,2024-01-31T12:32:16.944Z,,\n"
        "Q2,XRP_USDT,sell,0.6,1000,2024-01-31T12:32:16.944Z,1.5,USDT\n"
        "Q3,XRP_USDT,sell,0.6,1000,2024-01-31T12:32:16.944Z,1.5,\n"
    )
    with books(dsn, "test_fee_empty", [fill(exec_id=f"Q{n}", account_id="r1", **sold) for n in (1, 2, 3)]) as book:
        found = book.reconcile(file, "--account", "r1")
        assert (found.code, found.kinds) == (1, {"NOT_COMPARED": 2})
        assert [(row["exec_id"], row["engine"], row["ledger"]) for row in found.breaks] == [
            ("Q1", "no fee, no fee_currency", "sell 1000 XRP_USDT at 0.6 for 1.5 USDT"),
            ("Q3", "no fee_currency", "sell 1000 XRP_USDT at 0.6 for 1.5 USDT"),
        ]
        assert found.summary["not_compared"][:2] == [
            "fee of 1 fill: the engine says nothing there",
            "fee_currency of 2 fills: the engine says nothing there",
        ]


@pytest.mark.parametrize(
    ("content", "more", "verdict"),
    [
        ("", ("--from", "2024-01-01", "--until", "2024-01-02"), NOTHING),
        ("E1M,alice,2024-10-03T12:00:01Z\n", ("--from", "2024-01-01", "--until", "2024-01-02"), NOTHING),
        ("", (), "6 breaks"),
    ],
    ids=["an empty file", "a file outside the period", "a ledger with fills"],
)
def test_where_nothing_is_compared_it_never_says_that_both_agree(
    book: Books, tmp_path: Path, content: str, more: tuple[str, ...], verdict: str
) -> None:
    file = tmp_path / "fills.csv"
    file.write_text(f"exec_id,account_id,transact_time\n{content}")
    found = book.reconcile(file, *more)
    assert (found.code, found.verdict, found.summary["agrees"]) == (1, verdict, False)
    assert "agree" not in book.reconcile(file, *more, "--out", "table").out


def test_a_terminal_acts_on_nothing_that_a_file_has(book: Books, tmp_path: Path) -> None:
    file = write_csv(tmp_path / "fills.csv", [{**book.rows[0], "exec_id": "\x1b[2J\u202e"}, *book.rows])
    found = book.reconcile(file, "--out", "table")
    assert (found.code, found.out.replace("\n", "").isprintable()) == (1, True)
    assert r" \x1b[2J\u202e  " in found.out


def test_what_lies_outside_the_period_and_legs_are_named_too(book: Books, tmp_path: Path) -> None:
    rows = [{**book.rows[0], "exec_id": "E0", "transact_time": "2024-09-01T00:00:00Z"}, *book.rows]
    file = write_csv(tmp_path / "fills.csv", rows)
    named = "engine and ledger agree, legs of trades and 1 fill of the engine not compared"
    found = book.reconcile(file, "--from", "2024-10-03", "--no-legs")
    assert (found.code, found.verdict) == (0, named)
    assert found.summary["not_compared"][-1] == "1 fill of the engine: outside the period"


def test_the_verdict_is_one_in_every_output(book: Books, tmp_path: Path) -> None:
    file, page = write_csv(tmp_path / "fills.csv", book.rows), tmp_path / "page.html"
    asked = (file, "--without", "fee", "--html", page)
    verdict = "engine and ledger agree, fee not compared"
    assert book.reconcile(*asked).verdict == verdict
    assert f"<h1>E{verdict[1:]}</h1>" in page.read_text()
    table = book.reconcile(*asked, "--out", "table")
    assert (table.code, table.out.splitlines()[-1], table.err) == (0, verdict, "")
    assert "fills agree" not in table.out
    assert "not compared: fee: left out by --without\n" in table.out
    as_csv = book.reconcile(*asked, "--out", "csv")
    assert (as_csv.code, len(as_csv.out.splitlines()), as_csv.err) == (0, 1, f"fee-ledger: {verdict}\n")


def test_a_fill_of_the_ledger_whose_instant_the_period_cuts_off_is_seen_in_the_totals(
    book: Books, tmp_path: Path
) -> None:
    rows = [{**row, "transact_time": f"{row['transact_time'][:19]}Z"} for row in book.rows]
    file = write_csv(tmp_path / "fills.csv", rows)
    assert book.reconcile(file, "--time-unit", "s").verdict == "engine and ledger agree"
    cut = book.reconcile(file, "--time-unit", "s", "--from", "2024-10-03T12:00:01.000000001Z")
    assert (cut.code, cut.kinds) == (1, {})
    assert cut.verdict == "control totals differ and no fill tells why: by day, currency, symbol, account"


def test_totals_may_differ_by_the_tolerances_of_their_fills_together(book: Books, tmp_path: Path) -> None:
    rows = [{**row, "fee_amount": str(Decimal(row["fee_amount"]) + Decimal("0.01"))} for row in book.rows]
    file = write_csv(tmp_path / "fills.csv", rows)
    found = book.reconcile(file, "--tolerance", "USDT=0.01")
    assert (found.code, found.verdict) == (0, "engine and ledger agree")
    assert [row["differs"] for row in found.document["totals"]["day"]] == [False]
    assert found.document["totals"]["day"][0]["difference_fee"] == "0.06"


def test_totals_that_are_printed_as_differing_differ_in_what_is_printed(book: Books, tmp_path: Path) -> None:
    rows = [{**book.rows[0], "symbol": "LTC/USDT:USDT", "exec_id": "X1"}, *book.rows]
    found = book.reconcile(write_csv(tmp_path / "fills.csv", rows), "--out", "table")
    lines = [line.split() for line in found.out.partition("totals by")[2].splitlines()]
    sums = [line for line in lines if line[-1:] and any(name in line for name in ("fills", "volume", "fee"))]
    assert [line[1:] for line in sums if line[0] == "LTC_USDT:USDT"] == [
        ["USDT", "fills", "1", "0", "1"],
        ["USDT", "volume", "5", "0", "5"],
        ["USDT", "fee", "0.0125", "0", "0.0125"],
    ]
    assert all(line[-1] != "0" for line in sums)
    assert "USDT:USDT" not in {line[0] for line in sums}


def test_fees_in_further_currencies_are_a_break_of_their_own(
    book: Books, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reading of files puts them in `other_fees`; here the table is told."""

    def with_other_fees(database: Database, terms: Terms) -> None:
        database.run("UPDATE engine SET other_fees = '0.1 BMX' WHERE exec_id = 'E1M'")
        find_breaks(database, terms)

    monkeypatch.setattr(command, "find_breaks", with_other_fees)
    file = write_csv(tmp_path / "fills.csv", book.rows)
    found = book.reconcile(file)
    assert (found.code, found.kinds) == (1, {"OTHER_FEES": 1})
    assert [(row["exec_id"], row["engine"]) for row in found.breaks] == [("E1M", "0.1 BMX")]
    assert book.reconcile(file, "--without", "fee").verdict == "engine and ledger agree, fee not compared"


# --- rows of one exec_id


def test_a_row_that_says_the_same_again_is_a_duplicate_and_nothing_else(book: Books, tmp_path: Path) -> None:
    again = {**book.rows[0], "last_qty": f"{book.rows[0]['last_qty']}.00"}
    found = book.reconcile(write_csv(tmp_path / "fills.csv", [*book.rows, again]))
    assert found.kinds == {"DUPLICATE": 1}
    assert found.breaks[0]["engine"] == "2 times"


@pytest.mark.parametrize("place", [0, 6], ids=["before it", "after it"])
def test_a_second_fill_of_one_id_is_missing_in_the_ledger(book: Books, tmp_path: Path, place: int) -> None:
    rows = book.copy()
    rows.insert(place, {**rows[0], "last_px": "0.7"})
    found = book.reconcile(write_csv(tmp_path / "fills.csv", rows))
    assert found.kinds == {"MISSING_IN_LEDGER": 1, "DUPLICATE": 1}
    told = {row["kind"]: row["engine"] for row in found.breaks}
    assert told["DUPLICATE"] == "2 times, not the same"
    assert told["MISSING_IN_LEDGER"].startswith("sell 10 XRP_USDT at 0.7 for ")


def test_every_row_of_one_id_is_accounted_for_once(book: Books, tmp_path: Path) -> None:
    first = book.rows[0]
    others = [{**first, "last_px": price} for price in ("0.7", "0.8", "0.7")]
    new = [{**first, "exec_id": "N1", "last_px": price} for price in ("0.7", "0.8")]
    found = book.reconcile(write_csv(tmp_path / "fills.csv", [*others, *book.rows, *new]), "--no-legs")
    assert found.kinds == {"MISSING_IN_LEDGER": 4, "DUPLICATE": 2}
    assert len({row["id"] for row in found.breaks}) == 6
    assert sorted(row["engine"] for row in found.breaks if row["kind"] == "DUPLICATE") == [
        "2 times, not the same",
        "4 times, not the same",
    ]


# --- what earlier runs found


def test_a_break_of_what_is_not_compared_any_more_is_not_resolved(book: Books, tmp_path: Path) -> None:
    state, rows = tmp_path / "state.jsonl", book.copy()
    rows[0] |= {"fee_amount": "9", "order_id": "other"}
    file = write_csv(tmp_path / "fills.csv", rows)
    assert book.reconcile(file, "--state", state).kinds == {"ORDER_ID": 1, "FEE": 1}
    before = sorted(state.read_text().splitlines())

    left_out = book.reconcile(file, "--state", state, "--without", "fee", "--columns", "order_id=")
    assert left_out.verdict.startswith("engine and ledger agree, fee and order_id not compared: 0 new, 0 known, 0 res")
    assert sorted(state.read_text().splitlines()) == before
    silent = book.reconcile(
        write_csv(file, [{**rows[0], "order_id": "", "fee_amount": ""}, *rows[1:]]), "--state", state
    )
    assert (silent.kinds, silent.document["resolved"]) == ({"NOT_COMPARED": 1}, [])
    assert set(before) < set(state.read_text().splitlines())

    right = book.reconcile(write_csv(file, book.rows), "--state", state)
    assert right.verdict == "engine and ledger agree: 0 new, 0 known, 3 resolved since"
    assert state.read_text() == ""


def test_a_fill_that_was_not_compared_is_resolved_by_a_run_that_compares_all(book: Books, tmp_path: Path) -> None:
    state, file = tmp_path / "state.jsonl", tmp_path / "fills.csv"
    silent = [{**book.rows[0], "fee_amount": ""}, *book.rows[1:]]
    assert book.reconcile(write_csv(file, silent), "--state", state).kinds == {"NOT_COMPARED": 1}
    assert book.reconcile(file, "--state", state, "--without", "fee").document["resolved"] == []
    assert len(book.reconcile(write_csv(file, book.rows), "--state", state).document["resolved"]) == 1


def test_legs_that_are_not_looked_at_are_not_resolved(dsn: str, tmp_path: Path) -> None:
    state = tmp_path / "state.jsonl"
    with books(dsn, "test_verdict_legs", [trade(1)[0]]) as book:
        file = write_csv(tmp_path / "fills.csv", book.rows)
        assert book.reconcile(file, "--state", state).kinds == {"LEG_MISSING": 1}
        assert book.reconcile(file, "--state", state, "--no-legs").document["resolved"] == []
        assert book.reconcile(file, "--state", state).breaks[0]["status"] == "KNOWN"


def test_a_field_that_there_is_not_cannot_be_left_out(book: Books, tmp_path: Path) -> None:
    file = write_csv(tmp_path / "fills.csv", book.rows)
    for name in ("exec_id", "account_id", "fees"):
        found = book.reconcile(file, "--without", name)
        assert (found.code, found.out) == (2, "")
        assert f"argument --without: invalid choice: '{name}'" in found.err


def test_a_venue_that_no_file_names_is_not_compared_and_named(
    ledger: Ledger, dsn: str, schema: str, tmp_path: Path
) -> None:
    elsewhere = ('id = "bitmart-api-vip"', 'id = "another"'), ('venues = ["bitmart"]', 'venues = ["elsewhere"]')
    send(ledger, symbol())
    send(ledger, publish("1", *elsewhere, valid_from=at(NOON_NS - 9 * DAY_NS)))
    assert not send(ledger, batch(*trade(1), venue="bitmart")).refusals
    assert not send(ledger, batch(*trade(2), venue="elsewhere")).refusals
    rows = [row_of(line) for name in ("alice", "bob") for line in history(ledger, name)]
    here = [{**row, "venue": "bitmart"} for row in rows if row["trade_id"] == "1"]
    book, file = Books(dsn, schema, here), write_csv(tmp_path / "fills.csv", here)
    assert book.reconcile(file).verdict == "engine and ledger agree, venue elsewhere not compared"
    assert book.reconcile(file, "--venue", "bitmart").verdict == "engine and ledger agree"
    both = [*here, {**rows[0], "exec_id": "X1", "venue": "elsewhere"}]
    assert book.reconcile(write_csv(file, both)).code == 1
