"""Files that were read wrongly once, as they were found: read to the last digit now, or refused with a remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tools.engine_files.conftest import INPUTS, Reconcile


def test_a_fee_that_stands_only_in_the_list_of_fees_is_read(reconcile: Reconcile) -> None:
    found = reconcile(INPUTS / "ccxt_fees_list.json", "--columns", "ccxt", "--account", "r1")
    (told,) = (one for one in found.breaks if one["kind"] == "FEE")
    assert (found.code, told["exec_id"]) == (1, "Q2")
    assert (told["engine"], told["ledger"], told["difference"]) == ("99", "1.5", "97.5")


@pytest.mark.parametrize("name", ["times_fraction_s.csv", "times_fraction_ms.csv"])
def test_decimals_of_an_epoch_are_read_exactly_also_before_midnight(reconcile: Reconcile, name: str) -> None:
    found = reconcile(INPUTS / name)
    assert {"TIMING", "MISSING_IN_LEDGER"}.isdisjoint(found.kinds)


def test_a_tenth_of_a_millisecond_that_differs_is_told(reconcile: Reconcile, tmp_path: Path) -> None:
    file = tmp_path / "fills.csv"
    file.write_text((INPUTS / "times_fraction_s.csv").read_text().replace(".9996", ".9995"))
    found = reconcile(file)
    (told,) = (one for one in found.breaks if one["kind"] == "TIMING")
    assert (told["exec_id"], told["difference"]) == ("K2", "-0.0001 s")


@pytest.mark.parametrize("name", ["time_offset.csv", "time_utc_suffix.csv"])
def test_utc_is_read_in_each_of_its_writings(reconcile: Reconcile, name: str) -> None:
    found = reconcile(INPUTS / name, "--account", "r1")
    assert (found.code, found.kinds) == (0, {})


def test_a_column_that_stands_twice_is_ambiguous_if_it_is_wanted(reconcile: Reconcile) -> None:
    twice = INPUTS / "header_twice.csv"
    assert reconcile(twice, "--account", "r1").fault == (
        f"{twice}: column fee_amount stands 2 times, which is ambiguous: rename the others in the file, or leave it out"
        " with --columns fee_amount="
    )
    left_out = reconcile(twice, "--account", "r1", "--columns", "fee_amount=")
    assert "FEE" not in left_out.kinds
    columns = "exec_id=Trade ID,transact_time=Date,fee_amount=Fee"
    three = INPUTS / "header_three_times.csv"
    assert (
        "column Cur. stands 3 times"
        in reconcile(three, "--account", "r1", "--columns", f"{columns},fee_currency=Cur.").fault
    )
    assert {"MISSING_IN_LEDGER"}.isdisjoint(
        reconcile(three, "--account", "r1", "--columns", columns, "--time-unit", "s").kinds
    )


def test_a_total_line_is_named_with_its_remedy(reconcile: Reconcile) -> None:
    file = INPUTS / "total_row.csv"
    assert reconcile(file, "--account", "r1").fault == (
        f"{file}:5: column transact_time: is empty; if the line is a total or a comment, take it out of the file"
    )


def test_a_line_is_counted_as_an_editor_does(reconcile: Reconcile, tmp_path: Path) -> None:
    file = tmp_path / "fills.csv"
    text = (INPUTS / "total_row.csv").read_text().replace("XRP_USDT", '"XRP_USDT"').replace("Total", "\n\nTotal")
    file.write_text(text.replace('"XRP_USDT"', '"XRP_\nUSDT"', 1))
    assert reconcile(file, "--account", "r1").fault.startswith(f"{file}:8: column transact_time: is empty")


def test_a_reply_is_read_as_it_comes(reconcile: Reconcile) -> None:
    unknown = reconcile(INPUTS / "reply_wrapped.json", "--account", "r1").fault
    assert "no column exec_id, and without exec_id no fill is known: it has tradeId, orderId, " in unknown
    assert unknown.endswith("; say which with --columns exec_id=NAME")
    found = reconcile(INPUTS / "reply_wrapped.json", "--columns", "bitmart", "--account", "r1")
    missing = [one for one in found.breaks if one["kind"] == "MISSING_IN_LEDGER"]
    assert [(one["exec_id"], one["engine"]) for one in missing] == [
        ("1001", "buy 0.087 LTC_USDT at 68.2782 for 0.0059402 USDT")
    ]
    named = "exec_id=tradeId,transact_time_ms=createTime"
    assert (
        reconcile(INPUTS / "reply_wrapped.json", "--columns", named, "--account", "r1").kinds["MISSING_IN_LEDGER"] == 1
    )


Q = (
    '{"exec_id":"Q%d","transact_time":"2024-01-31T12:32:16.944Z","symbol":"XRP_USDT","side":"SELL","last_px":0.6,'
    '"last_qty":1000,"fee_amount":1.5,"fee_currency":"USDT"}'
)
Q1, Q2, Q3 = Q % 1, Q % 2, Q % 3


@pytest.mark.parametrize(
    "content",
    [
        f"[{Q1},{Q2}]\n[{Q3}]\n",
        f"[{Q1}][][{Q2},{Q3}]",
        f"{Q1}\n{Q2}\n{Q3}\n",
        f"{Q1}{Q2}\n\n  {Q3}",
        f"[{Q1},{Q2}]{Q3}",
        f'{{"data":[{Q1},{Q2}],"code":0}}\n{{"data":[{Q3}],"code":0}}',
        f'{{"code":0,"result":{{"page":1,"list":[{Q1},{Q2},{Q3}]}}}}',
        f"\ufeff[{Q1},{Q2},{Q3}]",
    ],
    ids=["pages", "glued pages", "lines", "glued", "mixed", "replies", "deep reply", "byte order mark"],
)
def test_every_document_of_a_file_is_read_whole(reconcile: Reconcile, tmp_path: Path, content: str) -> None:
    file = tmp_path / "fills.json"
    file.write_text(content)
    found = reconcile(file, "--account", "r1")
    assert (found.code, found.kinds, found.err) == (0, {}, "")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (f"[{Q1}] garbage", ":2: no JSON: lexical error: invalid char in json text. near"),
        ("[,, {} {} ,,]", ":1: no JSON: parse error: unallowed token at this point in JSON text near"),
        (f"[{Q1},{Q2}", ":3: no JSON: parse error: premature EOF"),
        (f"[{Q1},{Q2[:30]}", ":2: no JSON: parse error: premature EOF"),
        (f"[{Q1}],[{Q2}]", ":2: no JSON: parse error: unallowed token"),
        (f"[{Q1},]", ":2: no JSON: parse error: unallowed token"),
        (f"[{Q1},NaN]", ":2: no JSON: lexical error"),
        (f"[{Q1}] 7", ":2: '7' stands where a list or an object must"),
        (f"[{Q1},[{Q2}]]", ":2: is no JSON object"),
        (f"[{Q1},{Q2[:-1]},\"exec_id\":\"Q3\"}}]", ":2: the name 'exec_id' stands twice in one object"),
        (f"[{Q1},{Q2[:-1]},\"x\":{'9' * 5000}}}]", ":1: 1,000 digits in a row, as no number of a fill has"),
        (f"[{Q1},{Q2[:-1]},\"x\":1e{'9' * 30}}}]", ":2: a number that is too large"),
        (f"[{Q1},{Q2[:-1]},\"trade_id\":[]}}]", ":2: trade_id is a list, and no text or number"),
        (f'{{"data":[{Q1}]}}{{"code":500,"msg":"slow down"}}', ":2: a reply without data: it holds no fills"),
        (f'{{"data":[{Q1}],"more":[{Q2}]}}', ":2: 'data' and 'more' are both lists of objects: say with"),
        ('{"code":500,"msg":"slow down"}', ": no column exec_id, and without exec_id no fill is known: it has"),
    ],
    ids=lambda value: None if value.startswith(":") else value[-12:],
)  # fmt: skip
def test_what_is_no_fill_is_named_with_its_place(reconcile: Reconcile, tmp_path: Path, content: str, why: str) -> None:
    file = tmp_path / "fills.json"
    file.write_text(content)
    fault = reconcile(file, "--account", "r1").fault
    assert fault.startswith(f"{file}{why}") or (why.startswith(": ") and why in fault), fault


def test_of_two_lists_the_one_that_is_named_is_read(reconcile: Reconcile, tmp_path: Path) -> None:
    file = tmp_path / "fills.json"
    file.write_text(f'{{"old":[{{"x":1}}],"data":{{"new":[{Q1},{Q2},{Q3}]}}}}')
    assert "no column exec_id" in reconcile(file, "--account", "r1").fault
    found = reconcile(file, "--account", "r1", "--columns", "fills=data.new")
    assert (found.code, found.kinds) == (0, {})
    assert "a reply without fills" in reconcile(file, "--account", "r1", "--columns", "fills=fills").fault
