"""Queries about fees and accounts that take other values than the contract has."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from itertools import chain
from typing import Any, Unpack

from ledger.client.generated import Generated
from ledger.client.plain import Amount, Time, Values, amount, member, message, timestamp, utc_day
from ledger.client.requests import At, Conditions
from ledger.v1 import fill_pb2
from ledger.v1 import query_service_pb2 as pb


class Reads(Generated):
    """Queries: of what a fill would cost, of one fill, and of accounts by conditions."""

    def quote_fee(
        self,
        account_id: str,
        symbol: str,
        *,
        side: str | int,
        liquidity: str | int,
        last_px: Amount,
        last_qty: Amount,
        venue: str = "",
        channel: str | int = 0,
        product: str | int = 0,
        token_payment: fill_pb2.TokenPayment | Values | None = None,
        timeout_s: float | None = None,
        **at: Unpack[At],
    ) -> pb.QuoteFeeResponse:
        """Return what a fill would cost at as_of. Nothing is recorded."""
        token = message(fill_pb2.TokenPayment, token_payment, "token_payment") if token_payment is not None else None
        request = pb.QuoteFeeRequest(
            account_id=account_id,
            symbol=symbol,
            side=member(fill_pb2.Side, side, "side"),
            liquidity=member(fill_pb2.Liquidity, liquidity, "liquidity"),
            last_px=amount(last_px, "last_px"),
            last_qty=amount(last_qty, "last_qty"),
            venue=venue,
            channel=member(fill_pb2.Channel, channel, "channel"),
            product=member(fill_pb2.Product, product, "product"),
            token_payment=token,
            at=self._at(**at),
        )
        return self._call(self._query_service.QuoteFee, request, timeout_s)

    def get_fill(
        self,
        account_id: str,
        day: date | str,
        exec_id: str,
        *,
        venue: str = "",
        timeout_s: float | None = None,
        **at: Unpack[At],
    ) -> pb.GetFillResponse:
        """One fill and its fee; the day is the UTC day of its transact_time."""
        ref = fill_pb2.FillRef(venue=venue, account_id=account_id, day=utc_day(day, "day"), exec_id=exec_id)
        request = pb.GetFillRequest(fill_ref=ref, at=self._at(**at))
        return self._call(self._query_service.GetFill, request, timeout_s)

    def account_pages(self, **conditions: Unpack[Conditions]) -> Iterator[pb.ListAccountsResponse]:
        """Pages of accounts for which all conditions given hold, each with as_of and the position it was read at."""
        return self._pages(
            self._query_service.ListAccounts, self._accounts_request(**conditions), conditions.get("timeout_s")
        )

    def list_accounts(self, **conditions: Unpack[Conditions]) -> Iterator[pb.AccountSummary]:
        """Accounts for which all conditions given hold, by id; the conditions are those of `account_pages`."""
        return chain.from_iterable(page.accounts for page in self.account_pages(**conditions))

    def _accounts_request(
        self,
        *,
        as_of: Time | None = None,
        ending_before: Time | None = None,
        min_position: int = 0,
        timeout_s: float | None = None,  # noqa: ARG002 - of the call, not of the request
        **conditions: Any,
    ) -> pb.ListAccountsRequest:
        return pb.ListAccountsRequest(
            as_of=timestamp(as_of, "as_of"),
            ending_before=timestamp(ending_before, "ending_before"),
            min_position=self._at_least(min_position),
            **conditions,
        )
