"""The reading half of the client: every query of the contract, and page sequences as iterators."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from itertools import chain
from threading import Lock
from typing import Any, Final, TypedDict, TypeVar, Unpack

import grpc

from ledger.client.calls import Calls
from ledger.client.plain import Amount, Time, Values, amount, member, message, timestamp, utc_day
from ledger.v1 import fill_pb2, query_service_pb2_grpc, read_pb2
from ledger.v1 import query_service_pb2 as pb

Page = TypeVar("Page")


class At(TypedDict, total=False):
    """The two clocks of a read."""

    as_of: Time | None  # effective instant; default: now
    known_at_position: int | None  # what the ledger knew after the event at this position; default: all it knows
    known_at_time: Time | None  # or: at this time
    min_position: int  # wait until the ledger has reached this position


class Conditions(TypedDict, total=False):
    """The conditions that accounts are chosen by, and the page."""

    as_of: Time | None  # effective instant; default: now
    tier: str  # in effect; NONE for those without one
    ending_before: Time | None  # the tier in effect ends before this instant
    banned: bool | None  # banned or not
    flagged: bool | None  # flagged as fake or not
    owner_id: str  # beneficial owner
    programme_id: str  # default: the only one
    min_position: int  # wait until the materialised tables have reached this position
    page_size: int  # 0 is 1,000; at most 10,000
    timeout_s: float | None  # of each page


class Reads:
    """Queries. Each waits until the ledger has reached what this client has written, if it reads its writes."""

    def __init__(self, channel: grpc.Channel, call: Calls, *, read_your_writes: bool) -> None:
        self._queries: Final = query_service_pb2_grpc.QueryServiceStub(channel)
        self._call: Final = call
        self._read_your_writes = read_your_writes
        self._position = 0
        self._lock = Lock()  # two threads may raise the position

    @property
    def position(self) -> int:
        """The highest position of any answer to a write of this client; 0: it has written nothing."""
        return self._position

    def _wrote(self, position: int) -> None:
        with self._lock:
            self._position = max(self._position, position)

    def get_vip_state(
        self, account_id: str, *, programme_id: str = "", timeout_s: float | None = None, **at: Unpack[At]
    ) -> pb.GetVipStateResponse:
        """Tier, rates, grants and bans of an account."""
        request = pb.GetVipStateRequest(account_id=account_id, programme_id=programme_id, at=self._at(**at))
        return self._call(self._queries.GetVipState, request, timeout_s)

    def get_rates(
        self, account_id: str, *, programme_id: str = "", timeout_s: float | None = None, **at: Unpack[At]
    ) -> pb.GetRatesResponse:
        """Rates of an account, how long they hold, and where the volume of the next evaluation stands."""
        request = pb.GetRatesRequest(account_id=account_id, programme_id=programme_id, at=self._at(**at))
        return self._call(self._queries.GetRates, request, timeout_s)

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
        return self._call(self._queries.QuoteFee, request, timeout_s)

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
        return self._call(self._queries.GetFill, request, timeout_s)

    def get_ledger_info(self, *, timeout_s: float | None = None) -> pb.GetLedgerInfoResponse:
        """Return which ledger this is, and how far it is."""
        return self._call(self._queries.GetLedgerInfo, pb.GetLedgerInfoRequest(), timeout_s)

    def fee_history_pages(
        self,
        account_id: str,
        *,
        from_time: Time | None = None,
        until_time: Time | None = None,
        page_size: int = 0,
        timeout_s: float | None = None,
        **at: Unpack[At],
    ) -> Iterator[pb.ListFeeHistoryResponse]:
        """Pages of a fee history, each with the basis and the totals of the whole read; `timeout_s` is for each page.

        All pages are one read: what is recorded meanwhile does not change them. page_size 0 is 1,000 lines, at most
        10,000. from_time is included, until_time is not.
        """
        request = pb.ListFeeHistoryRequest(
            account_id=account_id,
            from_time=timestamp(from_time, "from_time"),
            until_time=timestamp(until_time, "until_time"),
            page_size=page_size,
            at=self._at(**at),
        )
        return self._pages(self._queries.ListFeeHistory, request, timeout_s)

    def list_fee_history(
        self,
        account_id: str,
        *,
        from_time: Time | None = None,
        until_time: Time | None = None,
        page_size: int = 0,
        timeout_s: float | None = None,
        **at: Unpack[At],
    ) -> Iterator[pb.FeeLine]:
        """Every fee of an account, by (UTC day, position, line), over all pages of one read."""
        pages = self.fee_history_pages(
            account_id,
            from_time=from_time,
            until_time=until_time,
            page_size=page_size,
            timeout_s=timeout_s,
            **at,
        )
        return chain.from_iterable(page.lines for page in pages)

    def account_pages(self, **conditions: Unpack[Conditions]) -> Iterator[pb.ListAccountsResponse]:
        """Pages of accounts for which all conditions given hold, each with as_of and the position it was read at."""
        return self._pages(
            self._queries.ListAccounts, self._accounts_request(**conditions), conditions.get("timeout_s")
        )

    def list_accounts(self, **conditions: Unpack[Conditions]) -> Iterator[pb.AccountSummary]:
        """Accounts for which all conditions given hold, by id; the conditions are those of `account_pages`."""
        return chain.from_iterable(page.accounts for page in self.account_pages(**conditions))

    def event_pages(
        self,
        stream: str = "",
        *,
        after_position: int = 0,
        page_size: int = 0,
        timeout_s: float | None = None,
        **at: Unpack[At],
    ) -> Iterator[pb.ListEventsResponse]:
        """Pages of the log, or of one stream of it such as account/alice; as_of is not used."""
        request = pb.ListEventsRequest(
            stream=stream, after_position=after_position, page_size=page_size, at=self._at(**at)
        )
        return self._pages(self._queries.ListEvents, request, timeout_s)

    def list_events(
        self,
        stream: str = "",
        *,
        after_position: int = 0,
        page_size: int = 0,
        timeout_s: float | None = None,
        **at: Unpack[At],
    ) -> Iterator[pb.StoredEvent]:
        """Events as they are stored, in position order; as_of is not used."""
        pages = self.event_pages(stream, after_position=after_position, page_size=page_size, timeout_s=timeout_s, **at)
        return chain.from_iterable(page.events for page in pages)

    def _pages(self, method: Callable[..., Page], request: Any, timeout_s: float | None) -> Iterator[Page]:
        while True:
            page: Any = self._call(method, request, timeout_s)
            yield page
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def _at(
        self,
        *,
        as_of: Time | None = None,
        known_at_position: int | None = None,
        known_at_time: Time | None = None,
        min_position: int = 0,
    ) -> read_pb2.ReadAt:
        if known_at_position is not None and known_at_time is not None:
            raise ValueError("give known_at_position or known_at_time, not both")
        at = read_pb2.ReadAt(as_of=timestamp(as_of, "as_of"), min_position=self._at_least(min_position))
        if known_at_position is not None:
            at.known_at_position = known_at_position
        if (known := timestamp(known_at_time, "known_at_time")) is not None:
            at.known_at_time.CopyFrom(known)
        return at

    def _at_least(self, min_position: int) -> int:
        return max(min_position, self._position) if self._read_your_writes else min_position

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
