"""Plain Python values onto the wire: times, amounts, names of enum members, and fills. Nothing is rounded."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final, TypeAlias, TypeVar

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from ledger.domain.instants import SECOND_NS
from ledger.v1 import fill_pb2

Time: TypeAlias = datetime | int  # an aware datetime, or nanoseconds since 1970 in UTC
Amount: TypeAlias = Decimal | str | int  # never a float
Values: TypeAlias = Mapping[str, Any]  # a message by field name

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DIGITS_MAX: Final = 100  # a Decimal beyond it is written out by nobody
_AMOUNTS: Final = frozenset({"last_px", "last_qty", "price", "amount", "rate"})
_ENUMS: Final[Mapping[str, Any]] = {
    "side": fill_pb2.Side,
    "liquidity": fill_pb2.Liquidity,
    "channel": fill_pb2.Channel,
    "product": fill_pb2.Product,
}

Made = TypeVar("Made", bound=Message)


def timestamp(value: Time | None, name: str) -> Timestamp | None:
    """A time on the wire. Raises TypeError for what is no time, ValueError for a datetime without a time zone."""
    if value is None:
        return None
    seconds, nanos = divmod(_time_ns(value, name), SECOND_NS)
    return Timestamp(seconds=seconds, nanos=nanos)


def _time_ns(value: object, name: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if not isinstance(value, datetime):
        raise TypeError(f"{name} is {value!r}: give an aware datetime, or nanoseconds since 1970 as an int")
    if value.utcoffset() is None:
        raise ValueError(f"{name} is {value!r}, which has no time zone: give tzinfo=UTC")
    since = value - _EPOCH
    return (since.days * 86_400 + since.seconds) * SECOND_NS + since.microseconds * 1_000


def utc_day(value: date | str, name: str) -> str:
    """A UTC day as YYYY-MM-DD. Raises TypeError for a datetime, whose day depends on its zone."""
    if isinstance(value, datetime):
        raise TypeError(f"{name} is {value!r}: give the UTC day as a date, or as YYYY-MM-DD")
    return value.isoformat() if isinstance(value, date) else value


def amount(value: Amount, name: str) -> str:
    """A decimal as it is written. Raises TypeError for a float, ValueError for a Decimal that is no number."""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, Decimal):
        raise TypeError(f"{name} is {value!r}, a {type(value).__name__}: amounts are exact, give a Decimal or a str")
    if not value.is_finite() or abs(value.adjusted()) > _DIGITS_MAX:
        raise ValueError(f"{name} is {value}, not an amount")
    return format(value, "f") if value else "0"


def member(enum: Any, value: str | int, name: str) -> Any:
    """A member of an enum by its name, with or without the prefix, or by its number. Raises ValueError."""
    if isinstance(value, int):
        return value
    if not isinstance(value, str):
        raise TypeError(f"{name} is {value!r}: give the name of a member as a str, or its number")
    prefix = enum.Name(0).removesuffix("UNSPECIFIED")
    full = value if value.startswith(prefix) else prefix + value
    if full not in enum.keys():  # noqa: SIM118 - it is no mapping
        names = ", ".join(key.removeprefix(prefix) for key, number in enum.items() if number)
        raise ValueError(f"{name} is {value!r}: give one of {names}")
    return enum.Value(full)


def message(kind: type[Made], values: Made | Values, name: str) -> Made:
    """A message from its fields by name; None leaves a field out. Raises TypeError or ValueError with the path."""
    if isinstance(values, kind):
        return values
    if not isinstance(values, Mapping):
        raise TypeError(f"{name} is {values!r}: give a {kind.DESCRIPTOR.name} or a mapping of its fields")
    return kind(**{
        field: _value(kind, field, value, f"{name}.{field}") for field, value in values.items() if value is not None
    })  # fmt: skip


def _value(kind: type[Message], field: str, value: Any, name: str) -> Any:
    found = kind.DESCRIPTOR.fields_by_name.get(field)
    if found is None:
        fields = ", ".join(sorted(kind.DESCRIPTOR.fields_by_name))
        raise ValueError(f"{name}: a {kind.DESCRIPTOR.name} has no such field, only {fields}")
    if found.enum_type:
        return member(_ENUMS[field], value, name)
    if found.message_type is Timestamp.DESCRIPTOR:
        return value if isinstance(value, Timestamp) else timestamp(value, name)
    if found.message_type:
        return message(getattr(fill_pb2, found.message_type.name), value, name)
    if field in _AMOUNTS:
        return amount(value, name)
    if not isinstance(value, str):
        raise TypeError(f"{name} is {value!r}: give a str")
    return value
