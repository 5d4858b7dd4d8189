"""Calls to a ledger: tried again while it cannot answer; every other no is a typed error."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from ledger.domain.refusal import Reason

_ATTEMPT_S: Final = 10.0  # the first attempt may take so long, each later one twice as long as the one before
_PAUSE_S: Final = 0.05  # after the first attempt, then doubled
_PAUSE_S_MAX: Final = 2.0
_MESSAGE_TOO_LARGE: Final = "larger than max"  # gRPC's own RESOURCE_EXHAUSTED, which no patience cures

Response = TypeVar("Response")


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
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: Unavailable,
}


class Calls:
    """Makes calls until they are answered or their time is up. Every call may safely be sent twice."""

    def __init__(self, timeout_s: float, connect_timeout_s: float | None) -> None:
        self._timeout_s = timeout_s
        self._connect_timeout_s = connect_timeout_s
        self._answered = False  # the ledger has answered once

    def __call__(self, method: Callable[..., Response], request: Message, timeout_s: float | None) -> Response:
        """The answer to a request. Raises LedgerError."""
        timeout_s = self._timeout_s if timeout_s is None else timeout_s
        began_s, attempt_s, pause_s = time.monotonic(), _ATTEMPT_S, _PAUSE_S
        while True:
            left_s = began_s + timeout_s - time.monotonic()
            try:
                response = method(request, timeout=max(0.0, min(attempt_s, left_s)))
            except grpc.RpcError as error:
                failure = error_of(error, getattr(request, "request_id", ""))
                self._answered |= failure.reason is not None
                wait_s = max(failure.retry_after_s, pause_s * random.uniform(0.5, 1))  # noqa: S311 - no secret
                end_s = began_s + self._patience_s(failure, timeout_s)
                if not isinstance(failure, Unavailable) or time.monotonic() + wait_s >= end_s:
                    raise failure from error
            else:
                self._answered = True
                return response
            time.sleep(wait_s)
            attempt_s, pause_s = 2 * attempt_s, min(2 * pause_s, _PAUSE_S_MAX)

    def messages(
        self, method: Callable[..., Iterator[Response]], request: Message, timeout_s: float | None, *, resumed: bool
    ) -> Iterator[Response]:
        """The messages of an answer that is streamed, for as long as they come. Raises LedgerError.

        If `resumed`, one that breaks off is asked for again, for up to `timeout_s` after its last message.
        """
        timeout_s = self._timeout_s if timeout_s is None else timeout_s
        last_s, pause_s = time.monotonic(), _PAUSE_S
        while True:
            try:
                for message in method(request):
                    self._answered, last_s, pause_s = True, time.monotonic(), _PAUSE_S
                    yield message
            except grpc.RpcError as error:
                failure = error_of(error, getattr(request, "request_id", ""))
                self._answered |= failure.reason is not None
                wait_s = max(failure.retry_after_s, pause_s)
                over_s = last_s + self._patience_s(failure, timeout_s)
                if not resumed or not isinstance(failure, Unavailable) or time.monotonic() + wait_s >= over_s:
                    raise failure from error
            else:
                return
            time.sleep(wait_s)
            pause_s = min(2 * pause_s, _PAUSE_S_MAX)

    def _patience_s(self, failure: LedgerError, timeout_s: float) -> float:
        """Where nobody has ever answered, perhaps nobody is there."""
        if self._answered or self._connect_timeout_s is None or failure.code is not grpc.StatusCode.UNAVAILABLE:
            return timeout_s
        return min(timeout_s, self._connect_timeout_s)


def error_of(error: Any, request_id: str = "") -> LedgerError:
    """The typed error of a grpc.RpcError, with or without details."""
    code: grpc.StatusCode = error.code()
    message = " ".join((error.details() or "no details").split())
    info, faults, retry = ErrorInfo(), BadRequest(), RetryInfo()
    for detail in _details(error):
        _ = detail.Unpack(info) or detail.Unpack(faults) or detail.Unpack(retry)
    kind = InvalidRequest if _MESSAGE_TOO_LARGE in message else _KINDS.get(code, LedgerError)
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
