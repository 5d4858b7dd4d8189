"""Requests that are right in every way; tests change what they are about."""

from __future__ import annotations

from itertools import count
from typing import Any, Final

from ledger.v1 import command_service_pb2 as commands_pb
from ledger.v1 import fill_pb2, fill_service_pb2, query_service_pb2, read_pb2
from ledger.v1.command_pb2 import Authority
from tests.conftest import NOON_NS, Ledger, at

_numbers = count(1)

# Who stands behind a command that the packaged programme leaves to no one person.
FOUR_EYES: Final = Authority(actor="ops-1", approver="ops-2", reason="agreed on the phone")


def request_id() -> str:
    """A request_id nobody used."""
    return f"request-{next(_numbers)}"


def fill(**changes: Any) -> fill_pb2.Fill:
    """A taker's buy of 10 XRP_USDT at 0.5, by `alice`, at the instant the tests' clock starts."""
    values: dict[str, Any] = {
        "account_id": "alice",
        "exec_id": f"E{next(_numbers)}",
        "symbol": "XRP_USDT",
        "side": fill_pb2.SIDE_BUY,
        "liquidity": fill_pb2.LIQUIDITY_TAKER,
        "last_px": "0.5",
        "last_qty": "10",
        "transact_time": at(NOON_NS),
        "channel": fill_pb2.CHANNEL_API,
    }
    return fill_pb2.Fill(**{**values, **changes})


def batch(*fills: fill_pb2.Fill, **changes: Any) -> fill_service_pb2.RecordFillsRequest:
    """A batch that asks for its fees."""
    return fill_service_pb2.RecordFillsRequest(fills=fills, include_fees=True, **changes)


def symbol(name: str = "XRP_USDT", **changes: Any) -> commands_pb.RegisterSymbolRequest:
    """A symbol of class A with 8 decimals of price and 4 of quantity."""
    base, _, quote = name.partition("_")
    values: dict[str, Any] = {
        "request_id": request_id(),
        "symbol": name,
        "base_currency": base,
        "quote_currency": quote,
        "price_scale": 8,
        "quantity_scale": 4,
        "pair_class": "A",
    }
    return commands_pb.RegisterSymbolRequest(**{**values, **changes})


def state(ledger: Ledger, account_id: str = "alice", **read_at: Any) -> query_service_pb2.GetVipStateResponse:
    """GetVipState; keywords are fields of ReadAt."""
    request = query_service_pb2.GetVipStateRequest(account_id=account_id, at=read_pb2.ReadAt(**read_at))
    answer: query_service_pb2.GetVipStateResponse = ledger.queries.GetVipState(request)
    return answer


def history(ledger: Ledger, account_id: str = "alice", **read_at: Any) -> list[query_service_pb2.FeeLine]:
    """All lines of ListFeeHistory; keywords are fields of ReadAt."""
    request = query_service_pb2.ListFeeHistoryRequest(account_id=account_id, at=read_pb2.ReadAt(**read_at))
    lines: list[query_service_pb2.FeeLine] = []
    while True:
        page = ledger.queries.ListFeeHistory(request)
        lines += page.lines
        if not page.next_page_token:
            return lines
        request.page_token = page.next_page_token
