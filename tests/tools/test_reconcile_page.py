"""The page of `fee-ledger reconcile`: tables add up, also where rows are left out; a hostile file stays text."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from ledger.tools.reconcile import page as reconcile_page
from tests.conftest import Ledger
from tests.samples import batch, symbol
from tests.server.calls import send
from tests.tools import running
from tests.tools.engine_files import Row, write_csv
from tests.tools.page_reading import PageRead, Read, amount
from tests.tools.test_reconcile import rows_of, trade


@pytest.fixture
def rows(ledger: Ledger) -> list[Row]:
    """Five trades in two currencies, as an engine that agrees would export them."""
    for name in ("XRP_USDT", "XRP_BTC"):
        send(ledger, symbol(name))
    legs = [leg for number in range(1, 6) for leg in trade(number, symbol="XRP_BTC" if number == 2 else "XRP_USDT")]
    assert not send(ledger, batch(*legs)).refusals
    return rows_of(ledger)


def page_of(dsn: str, schema: str, folder: Path, rows: list[Row], *arguments: object) -> tuple[str, PageRead]:
    """(last line that is printed, page) of a run on an engine's rows."""
    file, path = write_csv(folder / "fills.csv", rows), folder / "page.html"
    _, out, _ = running.run("reconcile", file, "--html", path, *arguments, "--dsn", dsn, "--schema", schema)
    return out.splitlines()[-1], PageRead(path)


def sides(table: Read, rows: list[dict[str, str]], head: str, currency: str, side: int) -> Decimal:
    """Both sides stand in a cell where they differ: the engine's first."""
    cells = (row[head].split() for row in rows if row["currency"] == currency)
    return sum((amount(cell[min(side, len(cell) - 1)])[0] for cell in cells), Decimal())


def test_totals_end_in_sums_that_are_those_by_currency_also_where_rows_are_left_out(
    dsn: str, schema: str, rows: list[Row], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile_page, "_TOTALS_SHOWN", 2)
    for row in rows[:3]:
        row["fee_amount"] = str(Decimal(row["fee_amount"]) + Decimal("0.000000000000000001"))
    del rows[-1]
    told, page = page_of(dsn, schema, tmp_path, rows)
    assert page.tree.findtext("body/main/header/h1") == told
    tables = page.tables()
    by_currency = tables["Control totals by currency"]
    assert any(row["account"] == "others" for row in tables["Control totals by account"].rows)
    for dimension in ("day", "symbol", "account"):
        table = tables[f"Control totals by {dimension}"]
        for currency in ("USDT", "BTC"):
            for head in ("fills", "volume", "fees"):
                for side in (0, 1):
                    whole = sides(by_currency, by_currency.rows, head, currency, side)
                    added, shown = (sides(table, part, head, currency, side) for part in (table.rows, table.sums))
                    assert added == shown == whole, (dimension, currency, head)
    differences = {row["currency"]: amount(row["difference"])[0] for row in by_currency.rows}  # of fees: the last
    assert page.sums("fees, engine less ledger") == differences
    kinds = tables["What differs"]
    assert kinds.column("breaks") == amount(kinds.sums[0]["breaks"])[0] == amount(page.cards()["breaks"][0])[0]


def test_differences_of_fees_end_in_a_sum_with_those_that_are_not_shown(
    dsn: str, schema: str, rows: list[Row], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile_page, "_BREAKS_SHOWN", 2)
    fees = [row for row in rows if row["fee_currency"] == "USDT"]
    for place, row in enumerate(fees):
        row["fee_amount"] = str(Decimal(row["fee_amount"]) + place)
    _, page = page_of(dsn, schema, tmp_path, rows)
    assert page.cards()["fees, engine less ledger"] == [f"{sum(range(len(fees)))} USDT", "0 BTC"]
    table = next(one for one in page.tree.iter("section") if one.get("id") == "FEE")
    shown = [Decimal("".join(row.findall("td")[4].itertext()).split()[0]) for row in table.findall(".//tbody/tr")]
    hidden, total = [Decimal((row.findtext("td") or "").split()[0]) for row in table.findall(".//tfoot/tr")]
    assert len(shown) == 2
    assert sum(shown) + hidden == total == sum(range(len(fees)))


def test_a_hostile_file_is_text_on_the_page(dsn: str, schema: str, rows: list[Row], tmp_path: Path) -> None:
    hostile = ["<script>alert(1)</script>", '"><svg onload=alert(1)>', "javascript:alert(1)", "a\u202eb"]
    for row, name in zip(rows, hostile, strict=False):
        row["exec_id"] = name
        row["order_id"] = name
    _, page = page_of(dsn, schema, tmp_path, rows)
    shown = " ".join(page.tree.itertext())
    assert all(name.replace("\u202e", r"\u202e") in shown for name in hostile)
    assert "\u202e" not in page.text
    assert not [one for one in page.tree.iter() if one.tag == "script" or one.get("onload")]
    links = [one.get("href") or "" for one in page.tree.iter("a")]
    assert all(link.startswith("#") for link in links)


def test_engine_and_ledger_agree_is_the_headline_and_what_is_printed(
    dsn: str, schema: str, rows: list[Row], tmp_path: Path
) -> None:
    told, page = page_of(dsn, schema, tmp_path, rows)
    assert told == "engine and ledger agree"
    assert page.tree.findtext("body/main/header/h1") == "Engine and ledger agree"
    assert page.sums("fees, engine less ledger") == {"USDT": 0, "BTC": 0}


def test_where_nothing_was_compared_no_section_is_empty(dsn: str, schema: str, rows: list[Row], tmp_path: Path) -> None:
    told, page = page_of(dsn, schema, tmp_path, rows, "--from", "2020-01-01", "--until", "2020-01-02")
    assert told == "nothing was compared: neither side has a fill in the period"
    assert [heading.text for heading in page.tree.iter("h2")] == ["Not compared"]
    assert page.cards()["breaks"] == ["0"]


def test_one_fill_agrees_and_not_all_1_fills(dsn: str, schema: str, rows: list[Row], tmp_path: Path) -> None:
    one, path = rows[0], tmp_path / "page.html"
    file, until = write_csv(tmp_path / "fills.csv", [one]), f"{one['transact_time'][:19]}.999999999Z"
    alone = ("--account", one["account_id"], "--from", one["transact_time"], "--until", until, "--html", path)
    _, out, _ = running.run("reconcile", file, *alone, "--dsn", dsn, "--schema", schema)
    assert out.endswith("engine and ledger agree, legs of trades not compared\n")
    assert "<h2>The one fill agrees" in path.read_text()
    assert "<summary>by day: 1 agrees</summary>" in path.read_text()
