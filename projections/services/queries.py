"""QueryService: what auditors, market makers and scripts ask. What each RPC answers lies in a module of its own."""

from __future__ import annotations

from typing import Any

from ledger.v1 import query_service_pb2 as pb
from ledger.v1 import query_service_pb2_grpc as pb_grpc
from ledger.wire.status import refusals
from projections.answers.accounts import list_accounts
from projections.answers.events import list_events
from projections.answers.fills import get_fill, list_fee_history
from projections.answers.ledger_info import get_ledger_info
from projections.answers.quote import quote_fee
from projections.answers.rates import get_rates
from projections.answers.vip_state import get_vip_state
from projections.as_of import Reader


class QueryService(pb_grpc.QueryServiceServicer):
    """Handlers of the read RPCs. Every answer says at which position it was read."""

    def __init__(self, reader: Reader, schema: str) -> None:
        self._reader = reader
        self._schema = schema

    def GetVipState(self, request: pb.GetVipStateRequest, context: Any) -> pb.GetVipStateResponse:
        with refusals(context):
            return get_vip_state(self._reader, request)
        raise AssertionError("refusals end the call")

    def ListFeeHistory(self, request: pb.ListFeeHistoryRequest, context: Any) -> pb.ListFeeHistoryResponse:
        with refusals(context):
            return list_fee_history(self._reader, request)
        raise AssertionError("refusals end the call")

    def GetRates(self, request: pb.GetRatesRequest, context: Any) -> pb.GetRatesResponse:
        with refusals(context):
            return get_rates(self._reader, request)
        raise AssertionError("refusals end the call")

    def QuoteFee(self, request: pb.QuoteFeeRequest, context: Any) -> pb.QuoteFeeResponse:
        with refusals(context):
            return quote_fee(self._reader, request)
        raise AssertionError("refusals end the call")

    def GetFill(self, request: pb.GetFillRequest, context: Any) -> pb.GetFillResponse:
        with refusals(context):
            return get_fill(self._reader, request)
        raise AssertionError("refusals end the call")

    def ListAccounts(self, request: pb.ListAccountsRequest, context: Any) -> pb.ListAccountsResponse:
        with refusals(context):
            return list_accounts(self._reader, self._schema, request)
        raise AssertionError("refusals end the call")

    def ListEvents(self, request: pb.ListEventsRequest, context: Any) -> pb.ListEventsResponse:
        with refusals(context):
            return list_events(self._reader, request)
        raise AssertionError("refusals end the call")

    def GetLedgerInfo(self, request: pb.GetLedgerInfoRequest, context: Any) -> pb.GetLedgerInfoResponse:
        with refusals(context):
            return get_ledger_info(self._reader, self._schema, request)
        raise AssertionError("refusals end the call")
