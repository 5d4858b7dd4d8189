"""A matching engine nobody here wrote, its totals against the ledger's."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict

from ledger.v1 import fill_pb2
from tests.conftest import Ledger
from tests.examples import Example, assert_printed
from tests.samples import batch, fill, history

NAMES = ("ada", "bob", "cyd", "dan", "dan.2", "eve")


@pytest.fixture
def example(node_order_book: Example) -> Example:
    return node_order_book


def engine_fills(file: Path, source: str) -> list[Any]:
    """The fills of the engine's own file, which numbers them without gaps."""
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(row["source"], row["sequence"]) for row in rows] == [(source, n) for n in range(1, len(rows) + 1)]
    return [ParseDict(row["fill"], fill_pb2.Fill()) for row in rows]


def test_the_run_of_the_readme_has_equal_totals_and_a_second_records_nothing(example: Example, ledger: Ledger) -> None:
    first = example.run(ledger.address)
    assert (first.code, first.err) == (0, "")
    assert_printed(first.out, example.transcript())
    head = ledger.log.head()
    second = example.run(ledger.address)
    assert (second.code, second.err) == (0, "")
    assert "fills: 0 recorded, 2368 replayed, 0 refused, 0 priced otherwise\n" in second.out
    assert second.out.endswith("ledger totals equal the engine's own\n")
    assert ledger.log.head() == head, "a second run left something in the log"


def test_the_fills_file_holds_what_the_ledger_recorded(example: Example, ledger: Ledger) -> None:
    file = example.folder / "fills.jsonl"
    ran = example.run(ledger.address, "--seed", "11", "--orders", "400", "--fills-out", str(file))
    assert (ran.code, ran.err) == (0, "")
    fills = engine_fills(file, "ob-11-400")
    lines = [line for name in NAMES for line in history(ledger, f"ob-11-400.{name}")]
    assert Counter(sent.account_id for sent in fills) == Counter(line.fill_ref.account_id for line in lines)
    by_number = {line.sequence: line for line in lines}
    for number, sent in enumerate(fills, start=1):
        line = by_number[number]
        assert (line.fill_ref.exec_id, line.last_px, line.last_qty) == (sent.exec_id, sent.last_px, sent.last_qty)
        assert Decimal(line.fee_amount) == Decimal(sent.charged_fee.amount)
        assert line.charged_fee == sent.charged_fee
        assert line.self_trade == (sent.owner_id == sent.counterparty_owner_id)
    assert any(line.self_trade for line in lines)
    assert any(line.basis.rate_source == "REBATE_SUPPRESSED" for line in lines)
    assert any(line.fee_type == "REBATE" for line in lines)


def test_each_trade_has_a_buyer_and_a_seller_of_the_same_lots_in_rising_time(example: Example, ledger: Ledger) -> None:
    file = example.folder / "pairs.jsonl"
    assert example.run(ledger.address, "--seed", "12", "--orders", "300", "--fills-out", str(file)).code == 0
    fills = engine_fills(file, "ob-12-300")
    for maker, taker in zip(fills[::2], fills[1::2], strict=True):
        assert (maker.liquidity, taker.liquidity) == (fill_pb2.LIQUIDITY_MAKER, fill_pb2.LIQUIDITY_TAKER)
        assert {maker.side, taker.side} == {fill_pb2.SIDE_BUY, fill_pb2.SIDE_SELL}
        assert (maker.trade_id, maker.last_px, maker.last_qty) == (taker.trade_id, taker.last_px, taker.last_qty)
        assert maker.counterparty_owner_id == taker.owner_id
        assert maker.order_id != taker.order_id
    times = [maker.transact_time.ToNanoseconds() for maker in fills[::2]]
    assert times == sorted(set(times))


def test_totals_that_differ_end_with_exit_code_1(example: Example, ledger: Ledger) -> None:
    arguments = ("--seed", "13", "--orders", "100")
    assert example.run(ledger.address, *arguments).code == 0
    ledger.fills.RecordFills(batch(fill(account_id="ob-13-100.eve", symbol="LTC_USDT", last_px="65")))
    ran = example.run(ledger.address, *arguments)
    assert ran.code == 1
    assert ran.err == "main.mjs: ledger and engine differ: eve\n"


def test_without_a_ledger_it_says_so_in_one_line(example: Example) -> None:
    ran = example.run("127.0.0.1:1")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("main.mjs: no ledger answers at 127.0.0.1:1:")
    assert ran.err.count("\n") == 1
