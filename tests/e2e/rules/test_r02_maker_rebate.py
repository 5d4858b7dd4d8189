"""R2 over gRPC: the maker of a pair of class A earns a rebate from VIP3 on, unless it trades with itself (A20)."""

from __future__ import annotations

import pytest

from ledger.domain.events import VolumeRecorded
from ledger.domain.instants import DAY_NS
from ledger.v1 import fill_pb2
from ledger.v1.query_service_pb2 import GetRatesRequest, QuoteFeeRequest
from tests.conftest import NOON_NS, Ledger, at
from tests.samples import batch, fill, history, symbol
from tests.server.calls import refused, send
from tests.server.orders import own_rates, tier

MAKER = fill_pb2.LIQUIDITY_MAKER


@pytest.fixture(autouse=True)
def _member(ledger: Ledger) -> None:
    send(ledger, symbol())
    send(ledger, tier("alice", "VIP3", valid_from=at(NOON_NS - DAY_NS)))


def test_a_maker_is_paid_and_the_event_and_every_read_say_so(ledger: Ledger) -> None:
    answer = ledger.fills.RecordFills(batch(fill(liquidity=MAKER, last_qty="2000"), fill(last_qty="2000")))
    assert [fee.fee_amount for fee in answer.fees] == ["-0.01", "0.3"]
    run = ledger.log.at(answer.position).event
    assert isinstance(run, VolumeRecorded)
    assert [fee.rebates for cell in run.totals for fee in cell.fees] == ["-0.01"]
    assert [(line.fee_type, line.basis.rate) for line in history(ledger)] == [
        ("REBATE", "-0.00001"),
        ("CHARGE", "0.0003"),
    ]
    (earned,) = send(ledger, GetRatesRequest(account_id="alice")).rebates_earned
    assert (earned.currency, earned.amount) == ("USDT", "-0.01")
    assert history(ledger, as_of=at(NOON_NS - 1)) == []


def test_a_self_trade_earns_nothing(ledger: Ledger) -> None:
    own = fill(liquidity=MAKER, owner_id="alice", counterparty_owner_id="alice", last_qty="2000")
    (fee,) = ledger.fills.RecordFills(batch(own)).fees
    assert (fee.fee_amount, history(ledger)[0].basis.rate_source) == ("0", "REBATE_SUPPRESSED")
    (missed,) = send(ledger, GetRatesRequest(account_id="alice")).rebates_suppressed
    assert missed.amount == "-0.01"


def test_paying_in_a_token_never_shrinks_a_rebate(ledger: Ledger) -> None:
    quote = QuoteFeeRequest(
        account_id="alice", symbol="XRP_USDT", side=1, liquidity=MAKER, last_px="0.5", last_qty="2000",
        token_payment=fill_pb2.TokenPayment(token="BMX", price="0.2"),
    )  # fmt: skip
    found = send(ledger, quote)
    assert (found.fee_amount, found.fee_currency, found.fee_basis.discount) == ("-0.01", "USDT", "0")


def test_no_rebate_may_be_greater_than_what_the_other_side_pays(ledger: Ledger) -> None:
    assert refused(ledger, own_rates("XRP_USDT", maker="-0.001")).reason == "NEGATIVE_NET_PAIR"
