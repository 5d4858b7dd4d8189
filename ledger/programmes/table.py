"""Reading a TOML table key by key: every fault is noted and reading goes on, so that one look finds them all."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any, Final, TypeVar

from ledger.domain.instants import EARLIEST_NS, LATEST_NS, SECOND_NS, day_number
from ledger.domain.money import is_decimal, mantissa
from ledger.domain.state.volume_cells import NOTIONAL_SCALE
from ledger.programmes.bounds import FAULTS_MAX
from ledger.programmes.faults import Fault
from ledger.programmes.rates import RateError, rate_ppm

T = TypeVar("T")

NAME: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_KEY_MAX, _DETAIL_MAX, _SHOWN_MAX = 200, 500, 80  # characters of a key, of what a fault says, and of a value in it
EVERY_DAY: Final = frozenset(range(1, 32))  # of a month
REQUIRED: Final[Any] = object()  # a default that is none: the key must be there


class Table:
    """One table of a file. A value that is at fault reads as `instead`: the faults tell, nobody uses it."""

    def __init__(self, values: dict[str, Any], path: str, faults: list[Fault]) -> None:
        self._values, self._path, self.faults = values, path, faults
        self._asked: set[str] = set()

    def key(self, name: str) -> str:
        """The path of a key from the top of the file."""
        return f"{self._path}.{name}" if self._path else name

    def note(self, code: str, name: str, detail: str) -> None:
        """A fault of a key; nothing more is said of the keys of a table that is at fault, nor of the 201st fault."""
        key = self.key(name)
        if len(self.faults) < FAULTS_MAX and not any(key.startswith(f"{fault.key}.") for fault in self.faults):
            self.faults.append(Fault(code, _cut(key, _KEY_MAX), _cut(detail, _DETAIL_MAX)))

    def has(self, name: str) -> bool:
        """True if the key is there."""
        return name in self._values

    def names(self) -> tuple[str, ...]:
        """The keys that are there, in the order of the file; whoever asks reads them all."""
        self._asked.update(self._values)
        return tuple(self._values)

    def table(self, name: str, *, required: bool = False) -> Table:
        """A table below this one; one that is missing reads as empty."""
        return Table(self._read(name, REQUIRED if required else {}, _table, {}), self.key(name), self.faults)

    def tables(self) -> dict[str, Table]:
        """Every table below this one."""
        return {name: self.table(name) for name in self.names()}

    def tables_beside_keys(self) -> dict[str, Table]:
        """The tables below this one, which holds plain keys too."""
        return {name: self.table(name) for name, value in self._values.items() if isinstance(value, dict)}

    def name(self, name: str, default: Any = REQUIRED) -> str:
        """An id, a tier, a currency."""
        return self._read(name, default, _name, "")

    def text(self, name: str, default: Any = REQUIRED) -> str:
        """Any text."""
        return self._read(name, default, _text, "")

    def matching(self, name: str, pattern: re.Pattern[str], default: str, wrong: str) -> str:
        """A text of one form; `wrong` says what one of another form is."""
        value = self._read(name, default, _text, default)
        if not pattern.fullmatch(value):
            self.note("VALUE_UNKNOWN", name, f"= {_shown(value)} is {wrong}")
        return value

    def list_of_names(self, name: str, default: Any = REQUIRED) -> tuple[str, ...]:
        """Names, none twice."""
        return self._read(name, default, _list_of_names, ())

    def list_of_choices(self, name: str, choices: Sequence[str]) -> tuple[str, ...]:
        """Some of the choices, none twice."""
        values = self.list_of_names(name)
        for value in values:
            if value not in choices:
                self.note("VALUE_UNKNOWN", name, f"= {value!r} is none of {', '.join(choices)}")
        return tuple(value for value in values if value in choices)

    def flag(self, name: str, default: Any = REQUIRED) -> bool:
        """true or false."""
        return self._read(name, default, _flag, False)

    def choice(self, name: str, choices: Sequence[str]) -> str:
        """A switch; the first of its values is the default."""
        return self.one_of(name, choices, choices[0])

    def one_of(self, name: str, choices: Sequence[str], default: str) -> str:
        """A switch whose default is said elsewhere."""
        value = self._read(name, default, _text, default)
        if value in choices:
            return value
        self.note("VALUE_UNKNOWN", name, f"= {_shown(value)} is none of {', '.join(choices)}")
        return default

    def whole(self, name: str, default: Any = REQUIRED, *, least: int = 0, most: int = 10**6) -> int:
        """A whole number within bounds."""
        value = self._read(name, default, _whole, least)
        if not least <= value <= most:
            self.note("VALUE_OUT_OF_RANGE", name, f"= {value} is not {least} to {most}")
        return value

    def rate(self, name: str) -> int:
        """A rate in signed ppm."""
        text = self._read(name, REQUIRED, _text, "0ppm", wrong="RATE_UNIT_AMBIGUOUS")
        try:
            return rate_ppm(text)
        except RateError as error:
            self.note(error.code, name, f"= {_shown(text)} {error}")
            return 0

    def volume(self, name: str, default: Any = REQUIRED) -> int:
        """A volume as text, with 36 decimals."""
        return self._read(name, default, _volume, 0)

    def day(self, name: str) -> int | None:
        """A date as UTC day number."""
        return self._read(name, None, _day, None)

    def days(self, name: str) -> frozenset[int]:
        """Dates as UTC day numbers."""
        return self._read(name, frozenset(), _days, frozenset())

    def days_of_month(self, name: str) -> frozenset[int]:
        """Days that every month has; or "every", for an exchange that looks at each day."""
        return self._read(name, REQUIRED, _days_of_month, EVERY_DAY, wrong="DAYS_OUT_OF_RANGE")

    def instant(self, name: str) -> int | None:
        """A date-time with its offset, in ns."""
        return self._read(name, None, _instant, None)

    def end(self) -> None:
        """Notes every key that nobody asked for, here: a switch with a typing error must not read as its default."""
        for name in self._values:
            if name not in self._asked:
                self.note("KEY_UNKNOWN", name, "is no key of a programme file")

    def _read(self, name: str, default: Any, take: Callable[[Any], T], instead: T, wrong: str = "VALUE_MALFORMED") -> T:
        self._asked.add(name)
        if name not in self._values:
            if default is not REQUIRED:
                return default  # type: ignore[no-any-return]
            self.note("KEY_MISSING", name, "is not there")
            return instead
        try:
            return take(self._values[name])
        except ValueError as error:
            self.note(wrong, name, f"= {_shown(self._values[name])} {error}")
            return instead


def _shown(value: Any) -> str:
    """A value as a fault tells of it."""
    return _cut(repr(value), _SHOWN_MAX)


def _cut(text: str, characters_max: int) -> str:
    return text if len(text) <= characters_max else f"{text[:characters_max]}..."


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("is no text: write it in quotation marks")
    return value


def _name(value: Any) -> str:
    if not NAME.fullmatch(_text(value)):
        raise ValueError("is no name: 1 to 64 letters, digits and . _ : -")
    return str(value)


def _list_of_names(value: Any) -> tuple[str, ...]:
    names = tuple(_name(entry) for entry in _list(value))
    if len(set(names)) != len(names):
        raise ValueError("names something twice")
    return names


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("is no list: write it in [ ]")
    return value


def _table(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("is no table")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("is neither true nor false")
    return value


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError("is no whole number")
    return value


def _volume(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not is_decimal(_text(value)) or value.startswith("-"):
        raise ValueError("is no volume: digits, with a point at most")
    volume = mantissa(value, NOTIONAL_SCALE)
    assert volume is not None, value
    return volume


def _day(value: Any) -> int:
    if isinstance(value, datetime) or not isinstance(value, date):
        raise ValueError("is no date: write it as 2027-12-31, without quotation marks")
    return day_number(value.isoformat())


def _days(value: Any) -> frozenset[int]:
    return frozenset(_day(entry) for entry in _list(value))


def _days_of_month(value: Any) -> frozenset[int]:
    if value == "every":
        return EVERY_DAY
    if not isinstance(value, list) or not value or not all(type(day) is int and 1 <= day <= 28 for day in value):
        raise ValueError('is neither days 1 to 28, which every month has, nor "every"')
    return frozenset(value)


def _instant(value: Any) -> int:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ValueError("is no instant: write it as 2026-01-01T00:00:00Z, without quotation marks")
    since = value - datetime.fromisoformat("1970-01-01T00:00:00+00:00")
    at_ns = (since.days * 86_400 + since.seconds) * SECOND_NS + since.microseconds * 1000
    if not EARLIEST_NS <= at_ns <= LATEST_NS:
        raise ValueError("is not between 2009 and 2200")
    return at_ns
