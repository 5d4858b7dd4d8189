"""QueryService: what auditors and reconciliation scripts ask, folded from the log on demand."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

from ledger import programmes
from ledger.config import Config
from ledger.domain.instants import EARLIEST_NS, LATEST_NS
from ledger.domain.refusal import Reason, Refusal
from ledger.domain.rulebook import fold_rulebook
from ledger.domain.state import fold_account
from ledger.domain.streams import account_stream
from ledger.store.log import Log
from ledger.v1 import query_service_pb2 as pb
from ledger.v1 import query_service_pb2_grpc as pb_grpc
from ledger.wire import RefusedError, Shape, optional_id, read_ns, refusals, refuse, required_id
from projections.as_of import Instant, check_times, resolve
from projections.fee_history import Place, Span, fee_line, lines_after, totals
from projections.page_token import PageToken, decode_token, encode_token
from projections.vip_state import vip_state


class QueryService(pb_grpc.QueryServiceServicer):
    """Handlers of the read RPCs. Every answer says at which position it was read."""

    def __init__(self, config: Config, log: Log, ledger_id: str, clock_ns: Callable[[], int]) -> None:
        self._config = config
        self._log = log
        self._ledger_id = ledger_id
        self._clock_ns = clock_ns

    def GetVipState(self, request: pb.GetVipStateRequest, context: Any) -> pb.GetVipStateResponse:
        with refusals(context):
            return self._state(request)
        raise AssertionError("refusals end the call")

    def ListFeeHistory(self, request: pb.ListFeeHistoryRequest, context: Any) -> pb.ListFeeHistoryResponse:
        with refusals(context):
            return self._history(request)
        raise AssertionError("refusals end the call")

    def _state(self, request: pb.GetVipStateRequest) -> pb.GetVipStateResponse:
        with Shape() as shape:
            account_id = shape(required_id, request.account_id, "account_id")
            programme_id = shape(optional_id, request.programme_id, "programme_id")
            shape(check_times, request.at)
        instant = self._resolve(request)
        known = instant.known.position
        book = fold_rulebook(programmes.parse, self._log.rulebook(known))
        found = book.programme(programme_id, instant.as_of_ns)
        if isinstance(found, Refusal) and (book.programmes or programme_id):
            raise RefusedError(found)
        # Before the first programme was published there are no tiers and no rates.
        programme = None if isinstance(found, Refusal) else found
        account = fold_account(account_id, self._log.streams([account_stream(account_id)], known))
        response = vip_state(account, programme, instant.as_of_ns)
        response.basis.CopyFrom(instant.basis(self._ledger_id))
        response.known_account = self._log.has_account(account_id, known)
        return response

    def _history(self, request: pb.ListFeeHistoryRequest) -> pb.ListFeeHistoryResponse:
        with Shape() as shape:
            account_id = shape(required_id, request.account_id, "account_id")
            from_ns = shape(_bound_ns, request, "from_time", EARLIEST_NS)
            until_ns = shape(_bound_ns, request, "until_time", LATEST_NS)
            shape(_check_bounds, from_ns, until_ns)
            size = shape(self._page_size, request.page_size)
            shape(check_times, request.at)
            token = shape(self._token, request)
        instant, after = self._start(request, token)
        until_ns = min(until_ns, instant.as_of_ns + 1)  # facts at exactly as_of are included
        span = Span(account_id, from_ns, until_ns, instant.known.position)
        entries = list(islice(lines_after(self._log, span, after), size + 1))
        response = pb.ListFeeHistoryResponse(
            basis=instant.basis(self._ledger_id),
            lines=[fee_line(account_id, entry) for entry in entries[:size]],
            totals=totals(self._log, span),
        )
        if len(entries) > size:
            token = PageToken(instant.as_of_ns, instant.known.position, entries[size - 1][0])
            response.next_page_token = encode_token(token, self._ledger_id, request)
        return response

    def _token(self, request: pb.ListFeeHistoryRequest) -> PageToken | None:
        return decode_token(request.page_token, self._ledger_id, request) if request.page_token else None

    def _start(self, request: pb.ListFeeHistoryRequest, token: PageToken | None) -> tuple[Instant, Place]:
        """What the page sequence is frozen at, and where this page begins."""
        if token is None:
            return self._resolve(request), Place(0, 0, -1)
        known = self._log.head_at_position(token.known_position)
        return Instant(token.as_of_ns, known, known_at_open=False), token.place

    def _page_size(self, size: int) -> int:
        if size < 0:
            refuse(Reason.PAGE_SIZE_OUT_OF_RANGE, "page_size", f"{size} is negative")
        return min(size or self._config.page_size, self._config.page_size_max)

    def _resolve(self, request: pb.GetVipStateRequest | pb.ListFeeHistoryRequest) -> Instant:
        return resolve(request.at, self._log, clock_ns=self._clock_ns, wait_ms_max=self._config.read_wait_ms_max)


def _bound_ns(request: pb.ListFeeHistoryRequest, field: str, default: int) -> int:
    return read_ns(getattr(request, field), field) if request.HasField(field) else default  # type: ignore[arg-type]


def _check_bounds(from_ns: int | None, until_ns: int | None) -> None:
    if from_ns is not None and until_ns is not None and until_ns <= from_ns:
        refuse(Reason.INTERVAL_EMPTY, "until_time", "it is at or before from_time")
