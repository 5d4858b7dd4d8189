"""Any value that differs in meaning is never "agree", in any column of any format; one that differs in form is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest

from ledger.tools.reconcile.kinds import FIELDS
from tests.tools.engine_files import Row, write_csv, write_json_lines, write_json_list, write_parquet
from tests.tools.reconciled import Books, books
from tests.tools.test_reconcile import trade

FORMATS: Final = {
    "fills.csv": write_csv,
    "fills.jsonl": write_json_lines,
    "fills.json": write_json_list,
    "fills.parquet": write_parquet,
}
# Another value of each column, and the field by which the verdict names it; the key of a fill has none.
OTHERS: Final[dict[str, tuple[str, str]]] = {
    "exec_id": ("E9", ""),
    "account_id": ("carol", ""),
    "transact_time": ("2024-10-03T12:00:00.000000008Z", ""),
    "symbol": ("XRP_USDC", "symbol"),
    "side": ("buy", "side"),
    "last_px": ("0.50000001", "price"),
    "last_qty": ("10.0001", "quantity"),
    "fee_amount": ("0.012500000000000001", "fee"),
    "fee_currency": ("USDC", "fee_currency"),
    "liquidity": ("taker", "liquidity"),
    "notional": ("5.000000000000000001", "notional"),
    "fee_rate": ("0.002501", "rate"),
    "counterparty_owner_id": ("carol", "counterparty"),
    "order_id": ("o1", "order_id"),
    "trade_id": ("01", "trade_id"),
}
REQUIRED: Final = ("symbol", "side", "last_px", "last_qty", "fee_amount", "fee_currency")
OPTIONAL: Final = ("liquidity", "notional", "fee_rate", "counterparty_owner_id", "order_id", "trade_id")


@pytest.fixture(scope="module")
def book(dsn: str) -> Iterator[Books]:
    """Both legs of eight trades: a fill for each column."""
    with books(dsn, "test_values", [leg for number in range(1, 9) for leg in trade(number)]) as found:
        yield found


def changed(row: Row, column: str) -> Row:
    """A fill with another value in a column."""
    value = OTHERS[column][0]
    if value == row[column]:
        value = {"buy": "sell", "taker": "maker"}[value]
    return {**row, column: value}


def lacking(row: Row, *columns: str) -> Row:
    """A fill that says nothing in some columns, which are there."""
    return {**row, **dict.fromkeys(columns, "")}


def dropped(rows: Sequence[Row], *columns: str) -> list[Row]:
    """Fills without some columns."""
    return [{name: value for name, value in row.items() if name not in columns} for row in rows]


def fields(columns: Sequence[str]) -> list[str]:
    """The fields of some columns, in the order of the verdict."""
    return [field for field in FIELDS if field in {OTHERS[column][1] for column in columns}]


def test_the_columns_tried_are_all_that_the_files_have(book: Books) -> None:
    assert set(OTHERS) == set(book.rows[0])
    assert {*REQUIRED, *OPTIONAL} == {name for name, (_, field) in OTHERS.items() if field}
    assert {*fields(REQUIRED), *fields(OPTIONAL), "time"} == set(FIELDS)


@pytest.mark.parametrize("column", OTHERS)
def test_one_value_that_means_something_else_is_never_agreement(book: Books, tmp_path: Path, column: str) -> None:
    rows = book.copy()
    rows[0] = changed(rows[0], column)
    found = book.reconcile(write_csv(tmp_path / "fills.csv", rows))
    assert (found.code, found.summary["agrees"]) == (1, False)
    assert found.kinds
    assert "agree" not in found.verdict


@pytest.mark.parametrize("name", FORMATS)
def test_a_value_of_any_column_that_means_something_else_is_found_in_every_format(
    book: Books, tmp_path: Path, name: str
) -> None:
    rows, found = book.copy(), set[str]()
    for number, column in enumerate(OTHERS):
        rows[number] = changed(rows[number], column)
    told = book.reconcile(FORMATS[name](tmp_path / name, rows), "--no-legs")
    found = {row["exec_id"] for row in told.breaks if row["kind"] != "MISSING_IN_ENGINE"}
    assert told.code == 1
    assert found == {row["exec_id"] for row in rows[: len(OTHERS)]}


@pytest.mark.parametrize("name", FORMATS)
def test_values_that_differ_in_form_alone_agree(book: Books, tmp_path: Path, name: str) -> None:
    rows = [_in_another_form(row) for row in book.copy()]
    if name == "fills.parquet":
        rows = [{**row, "transact_time": row["transact_time"].removesuffix("+00:00") + "Z"} for row in rows]
    found = book.reconcile(FORMATS[name](tmp_path / name, rows))
    assert (found.code, found.verdict, found.kinds) == (0, "engine and ledger agree", {})


def _in_another_form(row: Row) -> Row:
    amounts = {column: f"{row[column]}{'' if '.' in row[column] else '.'}00" for column in ("last_px", "last_qty")}
    return {
        **row,
        **amounts,
        "side": row["side"].upper(),
        "liquidity": f"LIQUIDITY_{row['liquidity'].upper()}",
        "symbol": row["symbol"].replace("_", "/"),
        "fee_amount": f"{row['fee_amount']}0",
        "fee_rate": f"{row['fee_rate']}0",
        "transact_time": row["transact_time"].replace("Z", "+00:00"),
    }


def test_a_required_value_that_is_absent_is_a_break_of_each_such_fill(book: Books, tmp_path: Path) -> None:
    rows = book.copy()
    for number, column in enumerate(REQUIRED):
        rows[number] = lacking(rows[number], column)
    found = book.reconcile(write_csv(tmp_path / "fills.csv", rows))
    assert (found.code, found.kinds) == (1, {"NOT_COMPARED": len(REQUIRED)})
    told = {row["exec_id"]: row["engine"] for row in found.breaks}
    assert told == {rows[number]["exec_id"]: f"no {OTHERS[column][1]}" for number, column in enumerate(REQUIRED)}


@pytest.mark.parametrize("name", FORMATS)
def test_a_required_column_that_is_absent_is_a_break_of_every_fill(book: Books, tmp_path: Path, name: str) -> None:
    found = book.reconcile(FORMATS[name](tmp_path / name, dropped(book.rows, "fee_amount", "fee_currency")))
    assert (found.code, found.kinds) == (1, {"NOT_COMPARED": 16})
    assert {row["engine"] for row in found.breaks} == {"no fee, no fee_currency"}
    assert found.verdict == "16 breaks"


@pytest.mark.parametrize("column", REQUIRED)
def test_a_required_field_is_left_out_knowingly_and_the_verdict_names_it(
    book: Books, tmp_path: Path, column: str
) -> None:
    rows, field = book.copy(), OTHERS[column][1]
    rows[:2] = changed(rows[0], column), lacking(rows[1], column)
    found = book.reconcile(write_csv(tmp_path / "fills.csv", rows), "--without", field)
    assert (found.code, found.verdict) == (0, f"engine and ledger agree, {field} not compared")
    assert found.summary["not_compared"] == [f"{field}: left out by --without"]
    assert found.summary["without"] == [field]


def test_all_that_can_be_left_out_is_named(book: Books, tmp_path: Path) -> None:
    file = write_csv(tmp_path / "fills.csv", dropped(book.rows, *REQUIRED))
    options = [text for field in FIELDS for text in ("--without", field)]
    *most, last = FIELDS
    named = f"{', '.join(most)} and {last}"
    assert book.reconcile(file, *options).verdict == f"engine and ledger agree, {named} not compared"


def test_a_time_that_is_left_out_still_says_the_day(book: Books, tmp_path: Path) -> None:
    rows = book.copy()
    rows[0]["transact_time"] = "2024-10-03T23:59:59Z"
    file = write_csv(tmp_path / "fills.csv", rows)
    assert book.reconcile(file, "--without", "time").verdict == "engine and ledger agree, time not compared"
    rows[0]["transact_time"] = "2024-10-04T00:00:00Z"
    assert book.reconcile(write_csv(file, rows), "--without", "time").kinds == {"TIMING": 1}


@pytest.mark.parametrize("name", FORMATS)
def test_optional_columns_that_are_not_compared_are_named_in_the_verdict(
    book: Books, tmp_path: Path, name: str
) -> None:
    *most, last = fields(OPTIONAL)
    found = book.reconcile(FORMATS[name](tmp_path / name, dropped(book.rows, *OPTIONAL)))
    assert (found.code, found.verdict) == (0, f"engine and ledger agree, {', '.join(most)} and {last} not compared")


def test_optional_values_that_some_fills_lack_are_counted_in_the_verdict(book: Books, tmp_path: Path) -> None:
    rows = book.copy()
    rows[0], rows[1] = lacking(rows[0], *OPTIONAL), lacking(rows[1], "order_id")
    *most, last = (f"{field} of {'2 fills' if field == 'order_id' else '1 fill'}" for field in fields(OPTIONAL))
    found = book.reconcile(write_csv(tmp_path / "fills.csv", rows))
    assert (found.code, found.verdict) == (0, f"engine and ledger agree, {', '.join(most)} and {last} not compared")
