"""Between the wire and the house: times, refusals as google.rpc statuses, and reading the shape of requests."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Final, NoReturn

import grpc
import psycopg
from eventsourcing.persistence import PersistenceError
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.code_pb2 import Code
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from ledger.caller import caller
from ledger.defects import Defects
from ledger.domain.instants import SECOND_NS
from ledger.domain.refusal import Reason, Refusal
from ledger.seldom import Seldom
from ledger.wire.store_faults import refusal_of

_log: Final = logging.getLogger(__name__)
_failing: Final = Seldom(_log)
_defects: Final = Defects(_log)

DOMAIN: Final = "ledger.v1"
_RETRY_AFTER_MS: Final = 250
_RETRY_FULL_AFTER_MS: Final = 2_000  # nobody makes room on a disk at once
_VIOLATIONS_BYTES_MAX: Final = 4_000  # details travel in a trailer, of which clients take 8 kB

_CODES: Final[Mapping[Reason, int]] = {
    Reason.REQUEST_ID_REUSED: Code.ALREADY_EXISTS,
    Reason.FILL_CONFLICT: Code.ALREADY_EXISTS,
    Reason.ACCOUNT_ALREADY_REGISTERED: Code.ALREADY_EXISTS,
    Reason.SYMBOL_ALREADY_REGISTERED: Code.ALREADY_EXISTS,
    Reason.CURRENCY_ALREADY_REGISTERED: Code.ALREADY_EXISTS,
    Reason.PROGRAMME_VERSION_EXISTS: Code.ALREADY_EXISTS,
    Reason.CLOSE_ALREADY_RECORDED: Code.ALREADY_EXISTS,
    Reason.EVALUATION_ALREADY_COMPLETED: Code.ALREADY_EXISTS,
    Reason.IDENTITY_ALREADY_VERIFIED: Code.ALREADY_EXISTS,
    Reason.APPLICATION_ALREADY_OPEN: Code.ALREADY_EXISTS,
    Reason.BOUNTY_ALREADY_AWARDED: Code.ALREADY_EXISTS,
    Reason.PROMOTION_ALREADY_ANNOUNCED: Code.ALREADY_EXISTS,
    Reason.BONUS_ALREADY_AWARDED: Code.ALREADY_EXISTS,
    Reason.ACCOUNT_ALREADY_FLAGGED: Code.ALREADY_EXISTS,
    Reason.FACT_ALREADY_RELEASED: Code.ALREADY_EXISTS,
    Reason.FACT_ALREADY_WITHDRAWN: Code.ALREADY_EXISTS,
    Reason.CREDIT_ALREADY_WITHDRAWN: Code.ALREADY_EXISTS,
    Reason.VENUE_UNKNOWN: Code.NOT_FOUND,
    Reason.PROGRAMME_UNKNOWN: Code.NOT_FOUND,
    Reason.SYMBOL_UNKNOWN: Code.NOT_FOUND,
    Reason.PAIR_CLASS_UNKNOWN: Code.NOT_FOUND,
    Reason.TIER_UNKNOWN: Code.NOT_FOUND,
    Reason.GRANT_UNKNOWN: Code.NOT_FOUND,
    Reason.FILL_UNKNOWN: Code.NOT_FOUND,
    Reason.FACT_UNKNOWN: Code.NOT_FOUND,
    Reason.ACCOUNT_UNKNOWN: Code.NOT_FOUND,
    Reason.CURRENCY_UNKNOWN: Code.NOT_FOUND,
    Reason.CREDIT_UNKNOWN: Code.NOT_FOUND,
    Reason.CONTROL_UNKNOWN: Code.NOT_FOUND,
    Reason.PROMOTION_TYPE_UNKNOWN: Code.NOT_FOUND,
    Reason.MATCH_UNKNOWN: Code.NOT_FOUND,
    Reason.APPLICATION_UNKNOWN: Code.NOT_FOUND,
    Reason.FEEDBACK_UNKNOWN: Code.NOT_FOUND,
    Reason.PROMOTION_UNKNOWN: Code.NOT_FOUND,
    Reason.METRIC_UNKNOWN: Code.NOT_FOUND,
    Reason.CLOSE_UNKNOWN: Code.NOT_FOUND,
    Reason.VOLUME_CURRENCY_UNKNOWN: Code.NOT_FOUND,
    Reason.EVALUATION_UNKNOWN: Code.NOT_FOUND,
    Reason.OUTCOME_UNKNOWN: Code.UNAVAILABLE,
    Reason.NOT_THE_WRITER: Code.UNAVAILABLE,
    Reason.QUEUE_FULL: Code.RESOURCE_EXHAUSTED,
    Reason.STREAMS_EXHAUSTED: Code.RESOURCE_EXHAUSTED,
    Reason.CLOCK_LEAP: Code.UNAVAILABLE,
    Reason.STREAM_IDLE: Code.UNAVAILABLE,
    Reason.POSITION_NOT_REACHED: Code.UNAVAILABLE,
    Reason.POSITION_AHEAD: Code.OUT_OF_RANGE,
    Reason.STORE_UNAVAILABLE: Code.UNAVAILABLE,
    Reason.STORE_FULL: Code.RESOURCE_EXHAUSTED,
    Reason.INTERNAL: Code.INTERNAL,
}


# Refusals of the service itself, by whoever waits for it.
OUTCOME_UNKNOWN: Final = Refusal(Reason.OUTCOME_UNKNOWN, "", "it may have been recorded: resend the same request")
NOT_THE_WRITER: Final = Refusal(Reason.NOT_THE_WRITER, "", "this process does not write the ledger now")
INTERNAL: Final = Refusal(Reason.INTERNAL, "", "a defect of the ledger; nothing was recorded")
_INTERNAL_AFTER: Final = Refusal(Reason.INTERNAL, "", "a defect of the ledger; what was sent is recorded all the same")


class RefusedError(Exception):
    """A request ends here with a refusal; the handler's frame turns it into a status."""

    def __init__(self, refusal: Refusal, *others: Refusal, **metadata: str) -> None:
        super().__init__(f"{refusal.reason.name}: {refusal.detail}")
        self.refusal = refusal
        self.others = others
        self.metadata = {**refusal.metadata, **metadata}


def refuse_all(faults: Sequence[Refusal]) -> NoReturn:
    """End the request with the lowest reason of several faults of shape; all that fit are told."""
    first = min(faults, key=lambda fault: fault.reason)
    raise RefusedError(first, *(fault for fault in faults if fault is not first))


def refuse(reason: Reason, field: str, detail: str, **metadata: str) -> NoReturn:
    """End the request with a reason from the documented list."""
    raise RefusedError(Refusal(reason, field, detail), **metadata)


def code_of(reason: Reason) -> int:
    """google.rpc.Code of a reason: shape is INVALID_ARGUMENT, state FAILED_PRECONDITION, unless listed."""
    if reason < Reason.REQUEST_ID_REUSED:
        return int(Code.INVALID_ARGUMENT)
    return _CODES.get(reason, Code.FAILED_PRECONDITION)


def abort(context: grpc.ServicerContext, error: RefusedError) -> NoReturn:
    """Answer a status with details: ErrorInfo always, BadRequest for shape, RetryInfo where a retry helps.

    For a defect it says the id under which the log has it.
    """
    refusal, detail = error.refusal, error.refusal.detail
    caller().refused(refusal.reason)
    metadata = dict(error.metadata)
    if refusal.field:
        metadata["field"] = refusal.field
    if refusal.reason == Reason.INTERNAL and (call_id := caller().call_id):
        metadata["call_id"] = call_id
        detail = f"{detail}; to ask what it was, quote call_id {call_id}"
    code = code_of(refusal.reason)
    packed = [_packed(ErrorInfo(reason=refusal.reason.name, domain=DOMAIN, metadata=metadata))]
    if code == Code.INVALID_ARGUMENT:
        packed.append(_packed(_bad_request((refusal, *error.others))))
    if code in (Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED):
        retry = RetryInfo()
        is_full = refusal.reason == Reason.STORE_FULL
        retry.retry_delay.FromMilliseconds(_RETRY_FULL_AFTER_MS if is_full else _RETRY_AFTER_MS)
        packed.append(_packed(retry))
    status = Status(code=code, message=f"{refusal.reason.name}: {detail}", details=packed)
    context.abort_with_status(rpc_status.to_status(status))
    raise AssertionError("abort_with_status raises")


def _bad_request(faults: Sequence[Refusal]) -> BadRequest:
    """As many faults as fit, the first one always."""
    told = BadRequest()
    for fault in faults:
        told.field_violations.add(field=fault.field, description=fault.detail, reason=fault.reason.name)
        if told.ByteSize() > _VIOLATIONS_BYTES_MAX and len(told.field_violations) > 1:
            del told.field_violations[-1]
            break
    return told


def _packed(detail: ErrorInfo | BadRequest | RetryInfo) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(detail)
    return packed


def end_call(context: grpc.ServicerContext, error: Exception) -> NoReturn:
    """End a call with the status of what it raised; a defect is logged and never shown."""
    if isinstance(error, grpc.RpcError) or context.code() is not None:  # type: ignore[attr-defined] # it is over already
        raise error
    if isinstance(error, RefusedError):
        abort(context, error)
    if isinstance(error, PersistenceError | psycopg.Error):
        told = {}
        if context.is_active() and _failing.warning(  # or what it had asked PostgreSQL was cancelled
            "a call could not use the store: %s", " ".join(str(error).split())
        ):
            told = {"call_id": caller().call_id}
        abort(context, RefusedError(refusal_of(error), **told))
    _defects.tell(error, "a call failed")
    abort(context, RefusedError(_INTERNAL_AFTER if caller().has_recorded else INTERNAL))


def timestamp(time_ns: int) -> Timestamp:
    """An instant on the wire."""
    seconds, nanos = divmod(time_ns, SECOND_NS)
    return Timestamp(seconds=seconds, nanos=nanos)
