"""QueryService: what auditors and reconciliation scripts ask, folded from the log on demand."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

from ledger import programmes
from ledger.config import Config
from ledger.domain.instants import EARLIEST_NS
from ledger.domain.refusal import Reason, Refusal
from ledger.domain.rulebook import fold_rulebook
from ledger.domain.state import fold_account
from ledger.domain.streams import account_stream
from ledger.store.log import Log
from ledger.v1 import query_service_pb2 as pb
from ledger.v1 import query_service_pb2_grpc as pb_grpc
from ledger.wire import RefusedError, optional_id, read_ns, refusals, refuse, required_id
from projections.as_of import Instant, resolve
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
            account_id = required_id(request.account_id, "account_id")
            programme_id = optional_id(request.programme_id, "programme_id")
            instant = self._resolve(request)
            known = instant.known.position
            book = fold_rulebook(programmes.parse, self._log.rulebook(known))
            programme = book.programme(programme_id, instant.as_of_ns)
            if isinstance(programme, Refusal):
                raise RefusedError(programme)
            account = fold_account(account_id, self._log.streams([account_stream(account_id)], known))
            response = vip_state(account, programme, instant.as_of_ns)
            response.basis.CopyFrom(instant.basis(self._ledger_id))
            response.known_account = self._log.has_account(account_id, known)
            return response
        raise AssertionError("refusals end the call")

    def ListFeeHistory(self, request: pb.ListFeeHistoryRequest, context: Any) -> pb.ListFeeHistoryResponse:
        with refusals(context):
            return self._history(request)
        raise AssertionError("refusals end the call")

    def _history(self, request: pb.ListFeeHistoryRequest) -> pb.ListFeeHistoryResponse:
        account_id = required_id(request.account_id, "account_id")
        from_ns = read_ns(request.from_time, "from_time") if request.HasField("from_time") else EARLIEST_NS
        if request.page_size < 0:
            refuse(Reason.PAGE_SIZE_OUT_OF_RANGE, "page_size", f"{request.page_size} is negative")
        size = min(request.page_size or self._config.page_size, self._config.page_size_max)
        if request.page_token:
            token = decode_token(request.page_token, self._ledger_id, request)
            known = self._log.head_at_position(token.known_position)
            instant, after = Instant(token.as_of_ns, known, known_at_open=False), token.place
        else:
            instant, after = self._resolve(request), Place(0, 0, -1)
        until_ns = instant.as_of_ns + 1  # facts at exactly as_of are included
        if request.HasField("until_time"):
            until_ns = min(until_ns, read_ns(request.until_time, "until_time"))
            if until_ns <= from_ns and request.HasField("from_time"):
                refuse(Reason.INTERVAL_EMPTY, "until_time", "it is at or before from_time")
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

    def _resolve(self, request: pb.GetVipStateRequest | pb.ListFeeHistoryRequest) -> Instant:
        return resolve(request.at, self._log, clock_ns=self._clock_ns, wait_ms_max=self._config.read_wait_ms_max)
