"""Between the wire and the house: times, refusals as google.rpc statuses, and reading the shape of requests."""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, NoReturn

import grpc
from eventsourcing.persistence import PersistenceError
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.code_pb2 import Code
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from ledger.domain.instants import EARLIEST_NS, LATEST_NS, SECOND_NS
from ledger.domain.money import is_decimal
from ledger.domain.refusal import Reason, Refusal

_log: Final = logging.getLogger(__name__)

DOMAIN: Final = "ledger.v1"
ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")
REASON_TEXT_CHARACTERS_MAX: Final = 2_000
_RETRY_AFTER_MS: Final = 250
_VIOLATIONS_MAX: Final = 100  # details travel in a trailer, which is bounded

_CODES: Final[Mapping[Reason, int]] = {
    Reason.REQUEST_ID_REUSED: Code.ALREADY_EXISTS,
    Reason.FILL_CONFLICT: Code.ALREADY_EXISTS,
    Reason.ACCOUNT_ALREADY_REGISTERED: Code.ALREADY_EXISTS,
    Reason.SYMBOL_ALREADY_REGISTERED: Code.ALREADY_EXISTS,
    Reason.CURRENCY_ALREADY_REGISTERED: Code.ALREADY_EXISTS,
    Reason.VENUE_UNKNOWN: Code.NOT_FOUND,
    Reason.PROGRAMME_UNKNOWN: Code.NOT_FOUND,
    Reason.SYMBOL_UNKNOWN: Code.NOT_FOUND,
    Reason.PAIR_CLASS_UNKNOWN: Code.NOT_FOUND,
    Reason.TIER_UNKNOWN: Code.NOT_FOUND,
    Reason.GRANT_UNKNOWN: Code.NOT_FOUND,
    Reason.OUTCOME_UNKNOWN: Code.UNAVAILABLE,
    Reason.NOT_THE_WRITER: Code.UNAVAILABLE,
    Reason.QUEUE_FULL: Code.RESOURCE_EXHAUSTED,
    Reason.POSITION_NOT_REACHED: Code.UNAVAILABLE,
    Reason.POSITION_AHEAD: Code.OUT_OF_RANGE,
    Reason.STORE_UNAVAILABLE: Code.UNAVAILABLE,
    Reason.INTERNAL: Code.INTERNAL,
}


# Refusals of the service itself, by whoever waits for it.
OUTCOME_UNKNOWN: Final = Refusal(Reason.OUTCOME_UNKNOWN, "", "it may have been recorded: resend the same request")
NOT_THE_WRITER: Final = Refusal(Reason.NOT_THE_WRITER, "", "this process does not write the ledger now")
STORE_UNAVAILABLE: Final = Refusal(Reason.STORE_UNAVAILABLE, "", "PostgreSQL cannot be reached: resend later")
INTERNAL: Final = Refusal(Reason.INTERNAL, "", "a defect of the ledger; nothing was recorded")


class RefusedError(Exception):
    """A request ends here with a refusal; the handler's frame turns it into a status."""

    def __init__(self, refusal: Refusal, *others: Refusal, **metadata: str) -> None:
        super().__init__(f"{refusal.reason.name}: {refusal.detail}")
        self.refusal = refusal
        self.others = others
        self.metadata = {**refusal.metadata, **metadata}


class Shape:
    """Reads a request field by field and gathers what is wrong, so that the caller hears of everything at once.

    At the end of the block the refusal with the lowest reason ends the request, and all are its field violations.
    """

    def __init__(self) -> None:
        self.faults: list[Refusal] = []

    def __call__(self, read: Callable[..., Any], *arguments: Any) -> Any:
        """What `read` makes of a field; None where it is at fault, which nobody gets to see."""
        try:
            return read(*arguments)
        except RefusedError as error:
            self.faults += [error.refusal, *error.others]
            return None

    def __enter__(self) -> Shape:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self.faults and kind is None:
            refuse_all(self.faults)


def refuse_all(faults: Sequence[Refusal]) -> NoReturn:
    """End the request with the lowest reason of several faults of shape; all of them are told, up to a limit."""
    first = min(faults, key=lambda fault: fault.reason)
    others = [fault for fault in faults if fault is not first]
    raise RefusedError(first, *others[: _VIOLATIONS_MAX - 1])


def refuse(reason: Reason, field: str, detail: str, **metadata: str) -> NoReturn:
    """End the request with a reason from the documented list."""
    raise RefusedError(Refusal(reason, field, detail), **metadata)


def code_of(reason: Reason) -> int:
    """google.rpc.Code of a reason: shape is INVALID_ARGUMENT, state FAILED_PRECONDITION, unless listed."""
    if reason < Reason.REQUEST_ID_REUSED:
        return int(Code.INVALID_ARGUMENT)
    return _CODES.get(reason, Code.FAILED_PRECONDITION)


def abort(context: grpc.ServicerContext, error: RefusedError) -> NoReturn:
    """Answer a status with details: ErrorInfo always, BadRequest for shape, RetryInfo where a retry helps."""
    refusal = error.refusal
    metadata = dict(error.metadata)
    if refusal.field:
        metadata["field"] = refusal.field
    code = code_of(refusal.reason)
    packed = [_packed(ErrorInfo(reason=refusal.reason.name, domain=DOMAIN, metadata=metadata))]
    if code == Code.INVALID_ARGUMENT:
        violations = [
            BadRequest.FieldViolation(field=fault.field, description=fault.detail, reason=fault.reason.name)
            for fault in (refusal, *error.others)
        ]
        packed.append(_packed(BadRequest(field_violations=violations)))
    if code in (Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED):
        retry = RetryInfo()
        retry.retry_delay.FromMilliseconds(_RETRY_AFTER_MS)
        packed.append(_packed(retry))
    status = Status(code=code, message=f"{refusal.reason.name}: {refusal.detail}", details=packed)
    context.abort_with_status(rpc_status.to_status(status))
    raise AssertionError("abort_with_status raises")


def _packed(detail: ErrorInfo | BadRequest | RetryInfo) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(detail)
    return packed


@contextmanager
def refusals(context: grpc.ServicerContext) -> Iterator[None]:
    """Turn what ends a call into its status; a defect is logged and never shown."""
    try:
        yield
    except RefusedError as error:
        abort(context, error)
    except PersistenceError as error:
        _log.warning("a call could not reach the store: %s", str(error).strip())
        abort(context, RefusedError(STORE_UNAVAILABLE))
    except Exception:
        _log.exception("a call failed")
        abort(context, RefusedError(INTERNAL))


def timestamp(time_ns: int) -> Timestamp:
    """An instant on the wire."""
    seconds, nanos = divmod(time_ns, SECOND_NS)
    return Timestamp(seconds=seconds, nanos=nanos)


def time_ns(value: Timestamp, field: str) -> int:
    """An instant off the wire, within the years the ledger knows."""
    if not 0 <= value.nanos < SECOND_NS:
        refuse(Reason.TIME_MALFORMED, field, f"nanos is {value.nanos}, not 0 to 999,999,999")
    found = value.seconds * SECOND_NS + value.nanos
    if not EARLIEST_NS <= found < LATEST_NS:
        refuse(Reason.TIME_OUT_OF_RANGE, field, "before 2009-01-01 or after 2200-01-01")
    return found


def read_ns(value: Timestamp, field: str) -> int:
    """An instant that a read asks about: before anything was traded is a fair question too."""
    if 0 <= value.seconds < EARLIEST_NS // SECOND_NS and 0 <= value.nanos < SECOND_NS:
        return value.seconds * SECOND_NS + value.nanos
    return time_ns(value, field)


def past_ns(value: Timestamp, field: str, latest_ns: int) -> int:
    """An instant of something that has happened: at most `latest_ns`, the clock and its skew."""
    found = time_ns(value, field)
    if found > latest_ns:
        refuse(Reason.TIME_IN_FUTURE, field, "lies in the future")
    return found


def required_id(value: str, field: str) -> str:
    """An id that must be given."""
    if not value:
        refuse(Reason.FIELD_REQUIRED, field, f"{field} is required")
    return optional_id(value, field)


def optional_id(value: str, field: str) -> str:
    """An id, or nothing."""
    if value and not ID.fullmatch(value):
        refuse(Reason.ID_MALFORMED, field, f"{_shown(value)} does not match [A-Za-z0-9._:-]{{1,64}}")
    return value


def text(value: str, field: str, characters_max: int) -> str:
    """Free text: bounded, no control characters, in NFC, so that equal texts have equal bytes."""
    if len(value) > characters_max:
        refuse(Reason.TEXT_MALFORMED, field, f"{len(value)} characters, at most {characters_max}")
    if any(unicodedata.category(character) == "Cc" for character in value):
        refuse(Reason.TEXT_MALFORMED, field, "it has control characters")
    if not unicodedata.is_normalized("NFC", value):
        refuse(Reason.TEXT_MALFORMED, field, "it is not in Unicode NFC")
    return value


def decimal(value: str, field: str) -> str:
    """A decimal as the contract defines it."""
    if not is_decimal(value):
        refuse(Reason.DECIMAL_MALFORMED, field, f"{_shown(value)} is not a plain decimal (20 digits, 18 decimals)")
    return value


def _shown(value: str) -> str:
    return repr(value if len(value) <= 40 else value[:40] + "...")
