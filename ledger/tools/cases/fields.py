"""Reading a case to the letter of its format: what is not in the format makes the whole file unreadable."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from ledger.domain.instants import DAY_NS, SECOND_NS, day_number, day_text

T = TypeVar("T")

REQUIRED: Final[Any] = object()  # a default that is none: the key must be there

_AMOUNT: Final = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]*[1-9])?")
_INSTANT: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?Z", re.ASCII)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class UnreadableError(Exception):
    """One line: where the file leaves the format, and how."""


class Fields:
    """The keys of one JSON object. Each is read once; `end` refuses those that nobody read."""

    def __init__(self, values: Any, path: str) -> None:
        if not isinstance(values, dict):
            raise UnreadableError(f"{path} is no object")
        self.values, self.path = values, path
        self._read: set[str] = set()

    def has(self, name: str) -> bool:
        """Return True if the key is there, with a value that is not null."""
        self._read.add(name)
        return self.values.get(name) is not None

    def read(self, name: str, take: Callable[[Any], T], default: Any = REQUIRED) -> T:
        """A value; ValueError of `take` says what is wrong with it."""
        self._read.add(name)
        if name not in self.values or (self.values[name] is None and default is None):
            if default is REQUIRED:
                raise UnreadableError(f"{self.path}.{name} is missing")
            return default  # type: ignore[no-any-return]
        try:
            return take(self.values[name])
        except ValueError as error:
            raise UnreadableError(f"{self.path}.{name} = {self.values[name]!r} {error}") from error

    def end(self) -> None:
        """Refuses what the format does not have."""
        for name in self.values:
            if name not in self._read:
                raise UnreadableError(f"{self.path}.{name} is no key of the format here")

    def text(self, name: str, default: Any = REQUIRED) -> str:
        """Any text."""
        return self.read(name, _text, default)

    def amount(self, name: str, default: Any = REQUIRED) -> str:
        """A canonical decimal."""
        return self.read(name, _amount, default)

    def scaled(self, name: str, scale: int, default: Any = REQUIRED) -> int:
        """A canonical decimal times 10^scale."""
        return self.read(name, lambda value: to_scale(_amount(value), scale), default)

    def choice(self, name: str, choices: Sequence[str], default: Any = REQUIRED) -> str:
        """One of some texts."""
        return self.read(name, lambda value: _one_of(value, choices), default)

    def flag(self, name: str, default: Any = REQUIRED) -> bool:
        """true or false."""
        return self.read(name, _flag, default)

    def whole(self, name: str, default: Any = REQUIRED) -> int:
        """A whole number."""
        return self.read(name, _whole, default)

    def instant(self, name: str, default: Any = REQUIRED) -> int:
        """An instant in ns."""
        return self.read(name, to_instant, default)

    def fields(self, name: str, default: Any = REQUIRED) -> Fields:
        """An object."""
        return Fields(self.read(name, lambda value: value, default), f"{self.path}.{name}")

    def rows(self, name: str, default: Any = REQUIRED) -> Iterator[Fields]:
        """A list of objects."""
        for place, row in enumerate(self.read(name, to_list, default)):
            yield Fields(row, f"{self.path}.{name}[{place}]")


def to_scale(amount: str, scale: int) -> int:
    """A canonical decimal times 10^scale, exactly."""
    whole, _, fraction = amount.partition(".")
    if len(fraction) > scale:
        raise ValueError(f"is finer than {scale} decimals")
    return int(whole + fraction.ljust(scale, "0"))


def to_day(value: Any) -> int:
    """YYYY-MM-DD as UTC day number."""
    try:
        return day_number(_text(value))
    except ValueError:
        raise ValueError("is no date such as 2026-03-10") from None


def to_list(value: Any) -> list[Any]:
    """A JSON list."""
    if not isinstance(value, list):
        raise ValueError("is no list")
    return value


def to_instant(value: Any) -> int:
    """YYYY-MM-DDTHH:MM:SS[.ffffff]Z in ns."""
    match = _INSTANT.fullmatch(_text(value))
    try:
        second = datetime.fromisoformat(f"{match[1]}+00:00") if match else None
    except ValueError:
        second = None
    if match is None or second is None:
        raise ValueError("is no instant such as 2026-03-10T12:00:00Z")
    since = second - _EPOCH
    return (since.days * 86_400 + since.seconds) * SECOND_NS + int((match[2] or "").ljust(9, "0"))


def instant_text(at_ns: int) -> str:
    """ns as the cases write instants: no fraction when it is zero, otherwise microseconds."""
    day, rest_ns = divmod(at_ns, DAY_NS)
    second, fraction_ns = divmod(rest_ns, SECOND_NS)
    fraction = f".{fraction_ns // 1000:06}" if fraction_ns else ""
    return f"{day_text(day)}T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}{fraction}Z"


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("is no text")
    return value


def _amount(value: Any) -> str:
    if not _AMOUNT.fullmatch(_text(value)) or value == "-0":
        raise ValueError("is no canonical decimal: no exponent, no trailing zeros, zero is 0")
    return str(value)


def _one_of(value: Any, choices: Sequence[str]) -> str:
    if _text(value) not in choices:
        raise ValueError(f"is none of {', '.join(choices)}")
    return str(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("is neither true nor false")
    return value


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError("is no whole number")
    return value
