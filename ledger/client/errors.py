"""The errors of a client: every no of a ledger is a typed one, with what the ledger said of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import grpc
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from ledger.domain.refusal import Reason

_CLOSED: Final = "Channel closed!"  # gRPC's own CANCELLED; that of a ledger means that too many calls came in
_MESSAGE_TOO_LARGE: Final = "larger than max"  # gRPC's own RESOURCE_EXHAUSTED, which no patience cures


class Violation(NamedTuple):
    """One thing wrong with a request."""

    field: str  # path of the field
    reason: Reason | None  # None: a reason this release does not know
    description: str  # a sentence for a person


class LedgerError(Exception):
    """A call that gave no answer; str() is one sentence. A server without details leaves `reason` None."""

    def __init__(
        self,
        code: grpc.StatusCode,
        message: str,
        *,
        reason: Reason | None = None,
        metadata: Mapping[str, str] | None = None,
        violations: Sequence[Violation] = (),
        retry_after_s: float = 0,
        request_id: str = "",
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.metadata = dict(metadata or {})
        self.field = self.metadata.pop("field", "")  # path of the field at fault; empty: none
        self.violations = list(violations)  # of an InvalidRequest: everything that is wrong with it
        self.retry_after_s = retry_after_s  # the ledger asks to be left alone so long
        self.request_id = request_id  # of a command: resend with it, and it is done once


class InvalidRequest(LedgerError):
    """The shape of the request is wrong: never send it again as it is."""


class Conflict(LedgerError):
    """The same name was used for something else."""


class Refused(LedgerError):
    """The state of the ledger does not allow it."""


class Unavailable(LedgerError):
    """The ledger could not answer within the timeout. A write may have been recorded: resend the same one."""


_KINDS: Final[Mapping[grpc.StatusCode, type[LedgerError]]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequest,
    grpc.StatusCode.ALREADY_EXISTS: Conflict,
    grpc.StatusCode.NOT_FOUND: Refused,
    grpc.StatusCode.FAILED_PRECONDITION: Refused,
    grpc.StatusCode.OUT_OF_RANGE: Refused,
    grpc.StatusCode.CANCELLED: Unavailable,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: Unavailable,
}


def error_of(error: Any, request_id: str = "") -> LedgerError:
    """The typed error of a grpc.RpcError, with or without details."""
    code: grpc.StatusCode = error.code()
    message = " ".join((error.details() or "no details").split())
    info, faults, retry = ErrorInfo(), BadRequest(), RetryInfo()
    for detail in _details(error):
        _ = detail.Unpack(info) or detail.Unpack(faults) or detail.Unpack(retry)
    kind = LedgerError if message == _CLOSED else _KINDS.get(code, LedgerError)
    if _MESSAGE_TOO_LARGE in message:
        kind = InvalidRequest
    return kind(
        code,
        message if info.reason else f"{code.name}: {message}",
        reason=_reason(info.reason),
        metadata=info.metadata,
        violations=[Violation(at.field, _reason(at.reason), at.description) for at in faults.field_violations],
        retry_after_s=retry.retry_delay.ToMilliseconds() / 1000,
        request_id=request_id,
    )


def _details(error: Any) -> Sequence[Any]:
    """Details of a status; none where the server sent none, or what is not a status."""
    try:
        status: Status | None = rpc_status.from_call(error)
    except (ValueError, DecodeError):
        return ()
    return status.details if status else ()


def _reason(name: str) -> Reason | None:
    return Reason.__members__.get(name)
