"""Values on the good side of a limit: each request is otherwise the good one of its method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pytest

from ledger.v1.fill_pb2 import Fill
from ledger.v1.fill_service_pb2 import RecordFillsResponse
from tests.conftest import NOON_NS, Ledger, at
from tests.samples import fill
from tests.server.calls import calling
from tests.server.good_requests import BATCH_MAX, good
from tests.server.instants import AT_SKEW, BEFORE_NOON, FIRST, LAST, NOON

LEAST: Final = {"account_id": "alice", "exec_id": "least", "symbol": "XRP_USDT", "side": 2, "liquidity": 1}
LEAST_FILL: Final = Fill(**LEAST, last_px="1", last_qty="1", transact_time=NOON)  # type: ignore[arg-type]
WIDEST: Final = {"fills.last_px": "9" * 20 + ".12345678", "fills.last_qty": "9" * 20 + ".1234"}
WIDEST_QUOTE: Final = {path.removeprefix("fills."): value for path, value in WIDEST.items()}
UNSAID: Final = ("token_payment", "at")
ACCOUNTS_SAID: Final = ("as_of", "tier", "ending_before", "banned", "owner_id", "programme_id", "page_size")
WIDEST_CHARGE: Final = {"fills.charged_fee.amount": "-" + "9" * 20 + "." + "9" * 18}
AT_LIMIT: Final = [fill() for _ in range(BATCH_MAX)]

JUST_INSIDE: Final[Sequence[tuple[str, str, Mapping[str, Any]]]] = [
    ("RegisterAccount", "id of 64 characters", {"account_id": "i" * 64}),
    ("RegisterAccount", "id of one character", {"account_id": "-"}),
    ("RegisterAccount", "id of every kind of character", {"account_id": "aZ09._:-"}),
    ("RegisterAccount", "time at the skew", {"registered_time": AT_SKEW, "account_id": "inside-1"}),
    ("RegisterAccount", "first instant of 2009", {"registered_time": FIRST, "account_id": "inside-2"}),
    ("RegisterAccount", "ticket of 200 characters", {"authority.ticket": "\u00e9" * 200, "account_id": "inside-3"}),
    ("RegisterAccount", "reason of 2,000 characters", {"authority.reason": "\u00e9" * 2_000, "account_id": "inside-4"}),
    ("RegisterAccount", "no authority", {"authority": None, "account_id": "inside-5"}),
    ("RegisterSymbol", "scales of 18", {"price_scale": 18, "quantity_scale": 18, "symbol": "INSIDE_1"}),
    ("RegisterSymbol", "scales of 0", {"price_scale": 0, "quantity_scale": 0, "symbol": "INSIDE_2"}),
    ("RegisterSymbol", "no product", {"product": 0, "symbol": "INSIDE_3"}),
    ("RegisterSymbol", "no pair class", {"pair_class": "", "symbol": "INSIDE_4"}),
    ("RegisterCurrency", "18 decimals", {"decimals": 18, "currency": "INSIDE-1"}),
    ("RegisterCurrency", "no decimals", {"decimals": 0, "currency": "INSIDE-2"}),
    ("StartTrial", "time at the skew", {"start_time": AT_SKEW, "account_id": "inside-6"}),
    ("ChangeTier", "last instant before 2200", {"valid_until": LAST, "account_id": "inside-7"}),
    ("ChangeTier", "a nanosecond", {"valid_until": at(NOON_NS + 1), "account_id": "inside-8"}),
    ("ChangeTier", "no end", {"valid_until": None, "account_id": "inside-9"}),
    ("BanAccount", "1 day", {"days": 1, "account_id": "inside-10"}),
    ("BanAccount", "7 days", {"days": 7, "account_id": "inside-11"}),
    ("RecordFills", "batch at the limit", {"fills": AT_LIMIT}),
    ("RecordFills", "fill at the skew", {"fills.transact_time": AT_SKEW}),
    ("RecordFills", "order at the skew", {"fills.order_time": AT_SKEW}),
    ("RecordFills", "fill of the first instant of 2009", {"fills.transact_time": FIRST}),
    ("RecordFills", "20 digits and all decimals of the symbol", WIDEST),
    ("RecordFills", "zeros around a price", {"fills.last_px": "00.500000000000000000"}),
    ("RecordFills", "token price of 18 decimals", {"fills.token_payment.price": "0.000000000000000001"}),
    ("RecordFills", "price source of 200 characters", {"fills.token_payment.price_source": "\u00e9" * 200}),
    ("RecordFills", "charge of 20 digits and 18 decimals", WIDEST_CHARGE),
    ("RecordFills", "charge of zero", {"fills.charged_fee.amount": "0", "fills.charged_fee.rate": "-0.00001"}),
    ("RecordFills", "only what is required", {"fills": [LEAST_FILL]}),
    ("GetVipState", "as_of the last instant before 2200", {"at.as_of": LAST}),
    ("GetVipState", "as_of the first instant of 1970", {"at.as_of": at(0)}),
    ("ListFeeHistory", "until the last instant before 2200", {"at.as_of": LAST, "until_time": LAST}),
    ("ListFeeHistory", "from the first instant of 1970", {"from_time": at(0)}),
    ("ListFeeHistory", "all until the first instant of 2009", {"until_time": FIRST, "from_time": None}),
    ("ListFeeHistory", "all until the first instant of 1970", {"until_time": at(0), "from_time": None}),
    ("ListFeeHistory", "page of the greatest size", {"page_size": 2**31 - 1}),
    ("ListFeeHistory", "page of the size left to us", {"page_size": 0}),
    ("ListFeeHistory", "a nanosecond", {"from_time": NOON, "until_time": at(NOON_NS + 1)}),
    ("GetRates", "as_of the last instant before 2200", {"at.as_of": LAST}),
    ("GetRates", "as_of the first instant of 2009", {"at.as_of": FIRST}),
    ("GetRates", "as_of the first instant of 1970", {"at.as_of": at(0)}),
    ("GetRates", "known at the first instant of 1970", {"at.known_at_time": at(0), "programme_id": None}),
    ("GetRates", "only what is required", {"at": None, "programme_id": None}),
    ("QuoteFee", "as_of the last instant before 2200", {"at.as_of": LAST}),
    ("QuoteFee", "as_of the first instant of 1970", {"at.as_of": at(0)}),
    ("QuoteFee", "20 digits and all decimals of the symbol", WIDEST_QUOTE),
    ("QuoteFee", "zeros around a price", {"last_px": "00.500000000000000000"}),
    ("QuoteFee", "token price of 18 decimals", {"token_payment.price": "0.000000000000000001"}),
    ("QuoteFee", "token price of 20 digits", {"token_payment.price": "9" * 20 + "." + "9" * 18}),
    ("QuoteFee", "token without a price", {"token_payment.price": None, "token_payment.price_source": None}),
    ("QuoteFee", "token of another name", {"token_payment.token": "i" * 64}),
    ("QuoteFee", "price source of 200 characters", {"token_payment.price_source": "\u00e9" * 200}),
    ("QuoteFee", "account of 64 characters", {"account_id": "i" * 64}),
    ("QuoteFee", "only what is required", dict.fromkeys(("venue", "channel", "product", *UNSAID))),
    ("GetFill", "no venue", {"fill_ref.venue": None}),
    ("GetFill", "no clocks", {"at": None}),
    ("GetFill", "as_of before the fill", {"at.as_of": at(0)}),
    ("GetFill", "known in the far future", {"at.known_at_time": LAST}),
    ("ListAccounts", "as_of the last instant before 2200", {"as_of": LAST}),
    ("ListAccounts", "as_of the first instant of 1970", {"as_of": at(0)}),
    ("ListAccounts", "ending before the first instant of 1970", {"ending_before": at(0)}),
    ("ListAccounts", "ending before the last instant before 2200", {"ending_before": LAST}),
    ("ListAccounts", "ending before as_of", {"ending_before": BEFORE_NOON}),
    ("ListAccounts", "the best tier", {"tier": "VIP5"}),
    ("ListAccounts", "owner of 64 characters", {"owner_id": "i" * 64}),
    ("ListAccounts", "page of the greatest size", {"page_size": 2**31 - 1}),
    ("ListAccounts", "nothing said", dict.fromkeys(ACCOUNTS_SAID)),
    ("ListEvents", "stream without an id", {"stream": "ledger"}),
    ("ListEvents", "stream of two ids of 64 characters", {"stream": "a" * 20 + ("/" + "i" * 64) * 2}),
    ("ListEvents", "stream of every kind of character", {"stream": "account/aZ09._:-"}),
    ("ListEvents", "after the greatest position", {"after_position": 2**64 - 1}),
    ("ListEvents", "after a position beyond bigint", {"after_position": 2**63}),
    ("ListEvents", "known at position 0", {"at.known_at_position": 0}),
    ("ListEvents", "as_of the first instant of 1970", {"at.as_of": at(0)}),
    ("ListEvents", "page of the greatest size", {"page_size": 2**31 - 1}),
    ("ListEvents", "nothing said", dict.fromkeys(("stream", "after_position", "at", "page_size"))),
    ("GetLedgerInfo", "nothing said", {}),
]


@pytest.mark.parametrize(("method", "kind", "values"), JUST_INSIDE, ids=[f"{row[0]} {row[1]}" for row in JUST_INSIDE])
def test_a_value_just_inside_its_limit_is_taken(
    shared: Ledger, method: str, kind: str, values: Mapping[str, Any]
) -> None:
    answer = calling(shared, method)(good(method, values))
    if isinstance(answer, RecordFillsResponse):
        assert list(answer.refusals) == []
