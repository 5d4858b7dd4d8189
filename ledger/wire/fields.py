"""The shape of requests: reading them field by field, and saying all that is wrong at once."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from ledger.domain.instants import DAY_NS, EARLIEST_NS, LATEST_NS, SECOND_NS, day_number
from ledger.domain.money import is_decimal
from ledger.domain.refusal import Reason, Refusal
from ledger.domain.rules.bug_bounty import round_ends_ns
from ledger.fills.batch import canonical
from ledger.v1 import fill_pb2
from ledger.wire.status import RefusedError, refuse, refuse_all

ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")
STREAM: Final = re.compile(r"[a-z]{1,20}(?:/[A-Za-z0-9._:-]{1,64}){0,2}")
REASON_TEXT_CHARACTERS_MAX: Final = 2_000
PRICE_SOURCE_CHARACTERS_MAX: Final = 200
SHA256_BYTES: Final = 32


class Shape:
    """Reads a request field by field and gathers what is wrong, so that the caller hears of everything at once.

    At the end of the block the refusal with the lowest reason ends the request, and all are its field violations.
    """

    def __init__(self) -> None:
        self.faults: list[Refusal] = []

    def __call__(self, read: Callable[..., Any], *arguments: Any) -> Any:
        """Return what `read` makes of a field; None where it is at fault, which nobody gets to see."""
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


@contextmanager
def within(path: str) -> Iterator[None]:
    """Put a path before the fields of what is refused in the block: they are of the message at that path."""
    try:
        yield
    except RefusedError as error:
        first, *others = (replace(fault, field=f"{path}.{fault.field}") for fault in (error.refusal, *error.others))
        error.refusal, error.others = first, tuple(others)
        raise


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


def stream_name(value: str, field: str) -> str:
    """Name of a stream of the log, or nothing."""
    if value and not STREAM.fullmatch(value):
        refuse(Reason.ID_MALFORMED, field, f"{_shown(value)} is not the name of a stream, for example account/alice")
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


def required_position(value: int, field: str) -> int:
    """Read the position of an event."""
    if not value:
        refuse(Reason.FIELD_REQUIRED, field, f"{field} is required")
    return value


def required_decimal(value: str, field: str) -> str:
    """A decimal that must be given."""
    if not value:
        refuse(Reason.FIELD_REQUIRED, field, f"{field} is required")
    return decimal(value, field)


def positive(value: str, field: str) -> str:
    """A decimal greater than zero."""
    required_decimal(value, field)
    if value.startswith("-") or not value.strip("0."):
        refuse(Reason.NOT_POSITIVE, field, f"{value} is not greater than zero")
    return value


def amount(value: str, field: str) -> str:
    """A decimal greater than zero, in canonical form."""
    return canonical(positive(value, field))


def measure(value: str, field: str) -> str:
    """Any decimal that must be given, in canonical form."""
    return canonical(required_decimal(value, field))


def volume(value: str, field: str) -> str:
    """A decimal that is not negative; not given: zero. In canonical form."""
    if not value:
        return "0"
    if decimal(value, field).startswith("-"):
        refuse(Reason.NOT_POSITIVE, field, f"{value} is negative")
    return canonical(value)


def digest(value: bytes, field: str) -> bytes:
    """A SHA-256, or nothing."""
    if value and len(value) != SHA256_BYTES:
        refuse(Reason.DIGEST_MALFORMED, field, f"{len(value)} bytes, a SHA-256 has {SHA256_BYTES}")
    return value


def required_digest(value: bytes, field: str) -> bytes:
    """A SHA-256 that must be given."""
    if not value:
        refuse(Reason.FIELD_REQUIRED, field, f"{field} is required")
    return digest(value, field)


def week(value: str, field: str) -> str:
    """An ISO 8601 week, as 2024-W40."""
    if not value:
        refuse(Reason.FIELD_REQUIRED, field, f"{field} is required")
    try:
        end_ns = round_ends_ns(value)
    except ValueError:
        refuse(Reason.TIME_MALFORMED, field, f"{_shown(value)} is not an ISO week, for example 2024-W40")
    if not EARLIEST_NS < end_ns <= LATEST_NS:
        refuse(Reason.TIME_OUT_OF_RANGE, field, "before 2009-01-01 or after 2200-01-01")
    return value


def utc_day(value: str, field: str) -> int:
    """A UTC day YYYY-MM-DD that must be given, as its number since 1970."""
    if not value:
        refuse(Reason.FIELD_REQUIRED, field, f"{field} is required")
    try:
        day = day_number(value)
    except ValueError:
        refuse(Reason.TIME_MALFORMED, field, f"{_shown(value)} is not a day YYYY-MM-DD")
    if not EARLIEST_NS <= day * DAY_NS < LATEST_NS:
        refuse(Reason.TIME_OUT_OF_RANGE, field, "before 2009-01-01 or after 2200-01-01")
    return day


def ids(values: Sequence[str], field: str, entries_max: int) -> tuple[str, ...]:
    """At least one id, at most so many."""
    if not values:
        refuse(Reason.FIELD_REQUIRED, field, f"{field} is required")
    return optional_ids(values, field, entries_max)


def optional_ids(values: Sequence[str], field: str, entries_max: int) -> tuple[str, ...]:
    """At most so many ids."""
    with Shape() as shape:
        shape(at_most, values, field, entries_max)
        for index, value in enumerate(values[:entries_max]):
            shape(required_id, value, f"{field}[{index}]")
    return tuple(values)


def at_most(values: Sequence[Any], field: str, entries_max: int) -> tuple[Any, ...]:
    """A list of at most so many entries."""
    if len(values) > entries_max:
        refuse(Reason.LIST_TOO_LONG, field, f"{len(values)} entries, at most {entries_max}")
    return tuple(values)


def interval(from_ns: int | None, until_ns: int | None, field: str) -> None:
    """Refuse [from, until) that holds no instant; `field` is that of its end."""
    if from_ns is not None and until_ns is not None and until_ns <= from_ns:
        refuse(Reason.INTERVAL_EMPTY, field, "it would end before or when it starts")


def required_ns(message: Message, field: str, read: Callable[..., int] = time_ns, *limits: int) -> int:
    """An instant that must be given; `read` is one of the functions above, with its limits."""
    if not message.HasField(field):
        refuse(Reason.FIELD_REQUIRED, field, f"{field} is required")
    return read(getattr(message, field), field, *limits)


def optional_ns(message: Message, field: str, read: Callable[..., int] = time_ns, *limits: int) -> int | None:
    """An instant, or None where it is not given; `read` is one of the functions above, with its limits."""
    return read(getattr(message, field), field, *limits) if message.HasField(field) else None


def number(value: int, known: Sequence[int], field: str) -> int:
    """The number of an enum, out of those this release knows."""
    if value not in known:
        refuse(Reason.ENUM_UNSPECIFIED, field, f"{field} is {value}: not given, or not known to this release")
    return value


def named(value: int, names: Sequence[str], field: str) -> str:
    """The domain's name of a member of an enum that counts from 1."""
    return names[number(value, range(1, len(names) + 1), field) - 1]


def payment(value: fill_pb2.TokenPayment, field: str) -> fill_pb2.TokenPayment:
    """A wish to pay in a token."""
    with Shape() as shape:
        shape(required_id, value.token, f"{field}.token")
        if value.price:
            shape(positive, value.price, f"{field}.price")
        shape(text, value.price_source, f"{field}.price_source", PRICE_SOURCE_CHARACTERS_MAX)
    return value


def _shown(value: str) -> str:
    return repr(value if len(value) <= 40 else value[:40] + "...")
