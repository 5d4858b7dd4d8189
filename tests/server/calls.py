"""Calls of any RPC by its descriptor, and how they are refused."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import grpc
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from ledger.domain.refusal import Reason
from ledger.v1.fill_pb2 import Fill
from ledger.v1.query_service_pb2 import GetLedgerInfoRequest
from tests.conftest import Ledger, Status, refusal
from tests.server.good_requests import METHODS, path_of

CALL_S_MAX: Final = 20  # a call without an answer by then hangs

# The status code of each reason; those of shape, below 100, are all INVALID_ARGUMENT.
CODES: Final[Mapping[Reason, grpc.StatusCode]] = {
    Reason.REQUEST_ID_REUSED: grpc.StatusCode.ALREADY_EXISTS,
    Reason.SEQUENCE_GAP: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.ACCOUNT_ALREADY_REGISTERED: grpc.StatusCode.ALREADY_EXISTS,
    Reason.SYMBOL_ALREADY_REGISTERED: grpc.StatusCode.ALREADY_EXISTS,
    Reason.CURRENCY_ALREADY_REGISTERED: grpc.StatusCode.ALREADY_EXISTS,
    Reason.PROGRAMME_VERSION_EXISTS: grpc.StatusCode.ALREADY_EXISTS,
    Reason.IDENTITY_ALREADY_VERIFIED: grpc.StatusCode.ALREADY_EXISTS,
    Reason.APPLICATION_ALREADY_OPEN: grpc.StatusCode.ALREADY_EXISTS,
    Reason.BOUNTY_ALREADY_AWARDED: grpc.StatusCode.ALREADY_EXISTS,
    Reason.PROMOTION_ALREADY_ANNOUNCED: grpc.StatusCode.ALREADY_EXISTS,
    Reason.BONUS_ALREADY_AWARDED: grpc.StatusCode.ALREADY_EXISTS,
    Reason.ACCOUNT_ALREADY_FLAGGED: grpc.StatusCode.ALREADY_EXISTS,
    Reason.CLOSE_ALREADY_RECORDED: grpc.StatusCode.ALREADY_EXISTS,
    Reason.EVALUATION_ALREADY_COMPLETED: grpc.StatusCode.ALREADY_EXISTS,
    Reason.EVALUATION_NOT_DUE: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.NOT_AN_EVALUATION_DAY: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.EVALUATION_WAITING: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.EVALUATION_RUNNING: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.EVALUATION_UNKNOWN: grpc.StatusCode.NOT_FOUND,
    Reason.READ_POSITION_TOO_EARLY: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.CLOSE_UNKNOWN: grpc.StatusCode.NOT_FOUND,
    Reason.CLOCK_LEAP: grpc.StatusCode.UNAVAILABLE,
    Reason.CLOSE_DAY_NOT_OVER: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.VOLUME_CURRENCY_UNKNOWN: grpc.StatusCode.NOT_FOUND,
    Reason.VENUE_UNKNOWN: grpc.StatusCode.NOT_FOUND,
    Reason.PROGRAMME_UNKNOWN: grpc.StatusCode.NOT_FOUND,
    Reason.SYMBOL_UNKNOWN: grpc.StatusCode.NOT_FOUND,
    Reason.PAIR_CLASS_UNKNOWN: grpc.StatusCode.NOT_FOUND,
    Reason.TIER_UNKNOWN: grpc.StatusCode.NOT_FOUND,
    Reason.GRANT_UNKNOWN: grpc.StatusCode.NOT_FOUND,
    Reason.FILL_UNKNOWN: grpc.StatusCode.NOT_FOUND,
    Reason.FACT_UNKNOWN: grpc.StatusCode.NOT_FOUND,
    Reason.FACT_ALREADY_RELEASED: grpc.StatusCode.ALREADY_EXISTS,
    Reason.FACT_DECLINED: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.ACCOUNT_UNKNOWN: grpc.StatusCode.NOT_FOUND,
    Reason.CURRENCY_UNKNOWN: grpc.StatusCode.NOT_FOUND,
    Reason.AMOUNT_TOO_FINE: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.CREDIT_UNKNOWN: grpc.StatusCode.NOT_FOUND,
    Reason.CREDIT_ALREADY_WITHDRAWN: grpc.StatusCode.ALREADY_EXISTS,
    Reason.FACT_ALREADY_WITHDRAWN: grpc.StatusCode.ALREADY_EXISTS,
    Reason.FACT_NOT_WITHDRAWABLE: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.FACT_IN_USE: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.CONTROL_UNKNOWN: grpc.StatusCode.NOT_FOUND,
    Reason.PROMOTION_TYPE_UNKNOWN: grpc.StatusCode.NOT_FOUND,
    Reason.MATCH_EXPIRED: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.PRODUCT_WITHOUT_RATES: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.PRICE_TOO_FINE: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.QUANTITY_TOO_FINE: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.TRIAL_ALREADY_USED: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.NOT_A_NEW_MEMBER: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.GRANT_ENDED: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.NOT_BANNED: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.ACTOR_REQUIRED: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.APPROVER_REQUIRED: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.REASON_REQUIRED: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.PROGRAMME_IN_THE_PAST: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.VENUE_ALREADY_GOVERNED: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.NEGATIVE_NET_PAIR: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.ACCOUNT_FLAGGED: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.VIP_IN_PAST_90_DAYS: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.EXTERNAL_VOLUME_TOO_LOW: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.NOT_FLAGGED: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.MATCH_UNKNOWN: grpc.StatusCode.NOT_FOUND,
    Reason.MATCH_SETTLED: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.NOT_VERIFIED: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.APPLICATION_INCOMPLETE: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.APPLICATION_UNKNOWN: grpc.StatusCode.NOT_FOUND,
    Reason.APPLICATION_SETTLED: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.FEEDBACK_UNKNOWN: grpc.StatusCode.NOT_FOUND,
    Reason.NOT_A_MEMBER: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.BOUNTY_ROUND_CLOSED: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.BOUNTY_ROUND_RUNNING: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.PROMOTION_UNKNOWN: grpc.StatusCode.NOT_FOUND,
    Reason.PROMOTION_NOT_ELIGIBLE: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.NOT_ENTITLED: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.METRIC_UNKNOWN: grpc.StatusCode.NOT_FOUND,
    Reason.ACTOR_REQUIRED: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.APPROVER_REQUIRED: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.APPROVER_IS_ACTOR: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.POSITION_NOT_REACHED: grpc.StatusCode.UNAVAILABLE,
    Reason.POSITION_AHEAD: grpc.StatusCode.OUT_OF_RANGE,
}


def calling(ledger: Ledger, method: str) -> Callable[[Any], Any]:
    """Calls a method by its descriptor, for its last message; a hang becomes DEADLINE_EXCEEDED."""
    rpc = METHODS[method]
    kinds = {
        (False, False): ledger.channel.unary_unary,
        (False, True): ledger.channel.unary_stream,
        (True, True): ledger.channel.stream_stream,
    }
    kind = kinds[rpc.client_streaming, rpc.server_streaming]
    call: Any = kind(
        path_of(rpc),
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=GetMessageClass(rpc.output_type).FromString,
    )
    if rpc.client_streaming:
        return lambda request: list(call(iter([request]), timeout=CALL_S_MAX))
    if rpc.server_streaming:
        return lambda request: list(call(request, timeout=CALL_S_MAX))[-1]
    return lambda request: call(request, timeout=CALL_S_MAX)


def method_of(request: Message) -> str:
    """The method that takes the request."""
    return type(request).__name__.removesuffix("Request")


def send(ledger: Ledger, request: Message) -> Any:
    """The answer to a request, by its type."""
    return calling(ledger, method_of(request))(request)


def refused(ledger: Ledger, request: Message) -> Status:
    """How a request is refused, by its type."""
    return refusal(calling(ledger, method_of(request)), request)


def said(status: Status) -> tuple[grpc.StatusCode, str, str]:
    """(status code, reason, field) of a refusal."""
    return status.code, status.reason, status.field


def expected(reason: Reason, field: str) -> tuple[grpc.StatusCode, str, str]:
    """The same, by the reason."""
    return CODES.get(reason, grpc.StatusCode.INVALID_ARGUMENT), reason.name, field


def head(ledger: Ledger) -> int:
    """Position of the last event."""
    return ledger.log.head().position


def await_tables(ledger: Ledger) -> int:
    """The position that the materialised tables have reached, once that is the last one."""
    until_s = time.monotonic() + CALL_S_MAX
    while (found := ledger.queries.GetLedgerInfo(GetLedgerInfoRequest()).projections).lag_positions:
        assert time.monotonic() < until_s, found
        time.sleep(0.005)
    return int(found.position)


def outcome(ledger: Ledger, request: Message) -> tuple[str, str]:
    """Return whether a command was accepted, and its position."""
    try:
        return "accepted", str(send(ledger, request).receipt.position)
    except grpc.RpcError:
        found = refused(ledger, request)
        return found.reason, found.metadata["position"]


def sha256(record: Fill) -> bytes:
    """As the log names a refused fill."""
    return hashlib.sha256(record.SerializeToString(deterministic=True)).digest()
