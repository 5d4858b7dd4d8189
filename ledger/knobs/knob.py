"""The kinds of knobs, each with its limits, and how a value is read from text or TOML."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

from ledger.masked import masked

PREFIX: Final = "FEE_LEDGER_"  # of every variable of the environment that is ours

Value: TypeAlias = int | bool | str | Path | None

_DIGITS: Final = re.compile("[0-9]{1,18}")
_SHOWN_MAX: Final = 60  # characters of a name or value that is wrong


class KnobError(ValueError):
    """Somebody set a knob to what it cannot be, or one that is not there: one line with the remedy."""


class Origin(StrEnum):
    """Who sets a knob, the one that prevails first."""

    FLAG = "flag"
    ENVIRONMENT = "environment"
    FILE = "file"
    DEFAULT = "default"


class Said(NamedTuple):
    """A value of a knob, and who sets it."""

    origin: Origin
    place: str  # --lease-ms, FEE_LEDGER_LEASE_MS or /etc/fee-ledger.toml:3
    value: Value


def nearest(name: str, names: Iterable[str]) -> str:
    """Return which of some names was meant, as a question, or else where all of them are."""
    near = get_close_matches(name, names, 1)
    return f"did you mean {near[0]}?" if near else "`fee-ledger serve --help-all` has them all"


def shown(text: str) -> str:
    """Return the beginning of what somebody wrote, passwords masked."""
    return masked(text)[:_SHOWN_MAX]


@dataclass(frozen=True, slots=True, kw_only=True)
class Knob(ABC):
    """A knob: all that is known of it besides its value."""

    name: str = ""  # as in a file, for example lease_ms
    default: Any = None
    heading: str  # of its group
    is_common: bool  # shown by `serve --help`
    unit: str = ""  # for example ms
    says: str  # what it is: a sentence
    costs: str  # what it costs to turn it: a sentence
    is_secret: bool = False  # it may hold a password

    @property
    def flag(self) -> str:
        """The option of the command line, for example --lease-ms."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def variable(self) -> str:
        """The variable of the environment, for example FEE_LEDGER_LEASE_MS."""
        return f"{PREFIX}{self.name.upper()}"

    @property
    @abstractmethod
    def form(self) -> str:
        """The form of a value in words, for example "a whole number of ms from 100 to 60000 (digits only)"."""

    @property
    def metavar(self) -> str:
        """A word for a value in a help, for example MS."""
        return self.unit.upper()

    def from_text(self, text: str) -> Value:
        """Return the value that a flag or a variable says. Raises KnobError."""
        return self.from_toml(text)

    @abstractmethod
    def from_toml(self, value: object) -> Value:
        """Return the value that a file says. Raises KnobError."""

    def refused(self) -> KnobError:
        """The error that says what a value must be."""
        return KnobError(f"is not {self.form}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole(Knob):
    """A whole number within limits, both included."""

    lowest: int
    highest: int

    @property
    def form(self) -> str:
        """See Knob."""
        return f"a whole number of {self.unit} from {self.lowest} to {self.highest} (digits only)"

    def from_text(self, text: str) -> Value:
        """See Knob."""
        return self.from_toml(int(text) if _DIGITS.fullmatch(text) else None)

    def from_toml(self, value: object) -> Value:
        """See Knob. True is a number to Python, and none here."""
        if type(value) is not int or not self.lowest <= value <= self.highest:
            raise self.refused()
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch(Knob):
    """Yes or no."""

    @property
    def form(self) -> str:
        """See Knob."""
        return "true or false"

    def from_text(self, text: str) -> Value:
        """See Knob."""
        return self.from_toml({"true": True, "false": False}.get(text))

    def from_toml(self, value: object) -> Value:
        """See Knob."""
        if not isinstance(value, bool):
            raise self.refused()
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice(Knob):
    """One of a few words."""

    choices: tuple[str, ...]

    @property
    def form(self) -> str:
        """See Knob."""
        return f"one of {', '.join(self.choices)}"

    def from_toml(self, value: object) -> Value:
        """See Knob."""
        if value not in self.choices:
            raise self.refused()
        return str(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Text(Knob):
    """A text of some form."""

    like: str  # the form in words, for example HOST:PORT
    pattern: str

    @property
    def form(self) -> str:
        """See Knob."""
        return self.like

    @property
    def metavar(self) -> str:
        """See Knob."""
        return self.name.rpartition("_")[2].upper() if " " in self.like else self.like

    def from_toml(self, value: object) -> Value:
        """See Knob."""
        if not isinstance(value, str) or not (value == self.default or re.fullmatch(self.pattern, value)):
            raise self.refused()
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Place(Knob):
    """A file or a folder. In a file its path is absolute, as nobody knows from where a program will be started."""

    of: str  # FILE or FOLDER

    @property
    def form(self) -> str:
        """See Knob."""
        return f"the absolute path of a {self.of.lower()}"

    @property
    def metavar(self) -> str:
        """See Knob."""
        return self.of

    def from_text(self, text: str) -> Value:
        """See Knob."""
        if not text:
            raise self.refused()
        return Path(text)

    def from_toml(self, value: object) -> Value:
        """See Knob."""
        if not isinstance(value, str) or not value.startswith("/") or "\0" in value:
            raise self.refused()
        return Path(value)


class Group:
    """Knobs under one heading. Each method declares one, as a field of a dataclass."""

    def __init__(self, heading: str, *, is_common: bool = False) -> None:
        self._about: Final[dict[str, Any]] = {"heading": heading, "is_common": is_common}

    def whole(self, default: int, unit: str, lowest: int, highest: int, says: str, costs: str) -> Any:
        """Declare a whole number."""
        knob = Whole(unit=unit, lowest=lowest, highest=highest, says=says, costs=costs, **self._about)
        return _field(default, knob)

    def switch(self, default: bool, says: str, costs: str) -> Any:
        """Declare yes or no."""
        return _field(default, Switch(says=says, costs=costs, **self._about))

    def choice(self, default: str, choices: tuple[str, ...], says: str, costs: str) -> Any:
        """Declare one of a few words."""
        return _field(default, Choice(says=says, costs=costs, choices=choices, **self._about))

    def text(self, default: str, like: str, pattern: str, says: str, costs: str, *, is_secret: bool = False) -> Any:
        """Declare a text; `like` is its form in words."""
        knob = Text(like=like, pattern=pattern, is_secret=is_secret, says=says, costs=costs, **self._about)
        return _field(default, knob)

    def place(self, of: str, says: str, costs: str) -> Any:
        """Declare a path, by default None; `of` is FILE or FOLDER."""
        return _field(None, Place(says=says, costs=costs, of=of, **self._about))


def _field(default: Value, knob: Knob) -> Any:
    return field(default=default, metadata={"knob": knob})
