"""Paging and totals of a fee history."""

from __future__ import annotations

from decimal import Decimal
from random import Random

import pytest

from ledger.domain.instants import DAY_NS
from ledger.v1.query_service_pb2 import FeeLine, ListFeeHistoryRequest
from tests.conftest import NOON_NS, Ledger, at
from tests.samples import batch, fill, symbol

SEED = 20_241_004


@pytest.fixture(autouse=True)
def _symbol(ledger: Ledger) -> None:
    ledger.commands.RegisterSymbol(symbol())
    ledger.commands.RegisterSymbol(symbol("XRP_ETH"))


def record_some(ledger: Ledger, random: Random, batches: int) -> None:
    """Fills of alice over five days, out of order, a few to a batch."""
    for _ in range(batches):
        times = (NOON_NS - random.randrange(5 * DAY_NS) for _ in range(random.randint(1, 9)))
        symbols = ("XRP_USDT", "XRP_ETH")
        ledger.fills.RecordFills(
            batch(*(fill(transact_time=at(time_ns), symbol=random.choice(symbols)) for time_ns in times))
        )


def key(line: FeeLine) -> tuple[str, int, int]:
    return line.fill_ref.day, line.line_ref.position, line.line_ref.line


@pytest.mark.parametrize("page_size", [1, 7, 50])
def test_a_page_sequence_is_one_read_though_fills_arrive_meanwhile(ledger: Ledger, page_size: int) -> None:
    random = Random(SEED)
    record_some(ledger, random, 30)
    request = ListFeeHistoryRequest(account_id="alice", page_size=page_size)
    first = ledger.queries.ListFeeHistory(request)
    whole = ListFeeHistoryRequest(account_id="alice")
    whole.at.known_at_position = first.basis.known_at_position
    whole.at.as_of.CopyFrom(first.basis.as_of)
    expected = [key(line) for line in ledger.queries.ListFeeHistory(whole).lines]
    found, page = [key(line) for line in first.lines], first
    while page.next_page_token:
        assert len(page.lines) == page_size
        record_some(ledger, random, 1)
        request.page_token = page.next_page_token
        page = ledger.queries.ListFeeHistory(request)
        assert page.basis.known_at_position == first.basis.known_at_position
        assert page.totals == first.totals
        found += [key(line) for line in page.lines]
    assert found == expected == sorted(expected)
    assert len(set(found)) == len(found)


def test_totals_are_the_sums_of_the_lines_whatever_span_is_asked(ledger: Ledger) -> None:
    random = Random(SEED)
    record_some(ledger, random, 40)
    for _ in range(25):
        start_ns, end_ns = sorted(NOON_NS - random.randrange(6 * DAY_NS) for _ in range(2))
        request = ListFeeHistoryRequest(account_id="alice", from_time=at(start_ns), until_time=at(end_ns + 1))
        request.at.as_of.CopyFrom(at(NOON_NS - random.randrange(DAY_NS)))
        request.at.known_at_position = random.randint(1, ledger.log.head().position)
        answer = ledger.queries.ListFeeHistory(request)
        sums: dict[str, tuple[Decimal, int]] = {}
        for line in answer.lines:
            amount, lines = sums.get(line.fee_currency, (Decimal(0), 0))
            sums[line.fee_currency] = amount + Decimal(line.fee_amount), lines + 1
        assert {total.currency: (Decimal(total.net), total.lines) for total in answer.totals} == sums, f"seed {SEED}"


def test_from_is_included_and_until_is_not(ledger: Ledger) -> None:
    ledger.fills.RecordFills(batch(*(fill(exec_id=f"E{n}", transact_time=at(NOON_NS - n)) for n in range(4))))
    request = ListFeeHistoryRequest(account_id="alice", from_time=at(NOON_NS - 2), until_time=at(NOON_NS))
    lines = ledger.queries.ListFeeHistory(request).lines
    assert sorted(line.fill_ref.exec_id for line in lines) == ["E1", "E2"]


def test_a_line_carries_all_that_the_engine_sent(ledger: Ledger) -> None:
    sent = fill(
        trade_id="007",
        order_id="12",
        cl_ord_id="mine",
        order_time=at(NOON_NS - 5),
        owner_id="acme",
        counterparty_owner_id="other",
        token_payment={"token": "BMX", "price": "0.250", "price_source": "close of the day"},
        charged_fee={"amount": "-0.10", "currency": "USDT", "rate": "0.0025"},
    )
    ledger.fills.RecordFills(batch(sent, source="engine", first_sequence=1, actor="engine-1"))
    (line,) = ledger.queries.ListFeeHistory(ListFeeHistoryRequest(account_id="alice")).lines
    for name in ("symbol", "side", "liquidity", "last_px", "last_qty", "transact_time", "trade_id", "order_id"):
        assert getattr(line, name) == getattr(sent, name), name
    for name in ("cl_ord_id", "order_time", "owner_id", "counterparty_owner_id", "channel"):
        assert getattr(line, name) == getattr(sent, name), name
    assert (line.token_payment.price, line.token_payment.price_source) == ("0.25", "close of the day")
    assert (line.charged_fee.amount, line.charged_fee.currency) == ("-0.1", "USDT")
    assert (line.source, line.sequence) == ("engine", 1)
    assert (line.notional, line.fee_currency, line.basis.discount) == ("5", "BMX", "0.25")
    assert line.fee_amount == "0.0375"


def test_amounts_far_beyond_int64_are_exact(ledger: Ledger) -> None:
    ledger.commands.RegisterSymbol(symbol("PEPE_BTC", price_scale=18, quantity_scale=18))
    big = fill(symbol="PEPE_BTC", last_px="0.000000000000000001", last_qty="98765432109876543210.123456789012345678")
    ledger.fills.RecordFills(batch(big, fill(symbol="PEPE_BTC", last_px="12345678901234567890.5", last_qty="3")))
    tiny, large = ledger.queries.ListFeeHistory(ListFeeHistoryRequest(account_id="alice")).lines
    assert (tiny.last_qty, tiny.notional) == (big.last_qty, "98.765432109876543210123456789012345678")
    assert (large.notional, large.fee_amount) == ("37037036703703703671.5", "92592591759259259.17875")
