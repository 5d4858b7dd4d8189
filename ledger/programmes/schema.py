"""The JSON Schema of programme files, for editors and for programs that write them: taken down from the one reader.

It knows every key, its type, its bounds and its default. What values must be beside each other (bands that rise, rates
that nobody can pump money out of, tiers that are spelled as in `tiers`) says `faults`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from ledger.domain.money import decimal_text
from ledger.domain.state.volume_cells import NOTIONAL_SCALE
from ledger.programmes.rates import RATE
from ledger.programmes.reading import read_programme
from ledger.programmes.table import EVERY_DAY, NAME, REQUIRED, Table

_ANY: Final = "*"  # stands for a name of the file's own: a tier, a pair class, a symbol
_VOLUME: Final = r"^[0-9]{1,20}(\.[0-9]{1,18})?$"


def schema() -> dict[str, Any]:
    """Return the schema (draft 07) of a programme file that is read as TOML, with dates and times as texts."""
    top = _EveryKey()
    read_programme(top, strictly=True)
    head = {"$schema": "http://json-schema.org/draft-07/schema#", "title": "Programme file of the fee ledger"}
    return {**head, **top.schema()}


class _EveryKey(Table):
    """A table that has every key, and takes down what is asked of each; what it answers is of no use."""

    def __init__(self) -> None:
        super().__init__({}, "", [])
        self._keys: dict[str, dict[str, Any]] = {}
        self._below: dict[str, _EveryKey] = {}
        self._required: set[str] = set()
        self._may_be_missing: set[str] = set()
        self._closed = False

    def schema(self) -> dict[str, Any]:
        """Return what was taken down, tables below included."""
        keys = {**self._keys, **{name: table.schema() for name, table in self._below.items()}}
        others = keys.pop(_ANY, None if self._closed else {})
        found = {"type": "object", "properties": keys, "additionalProperties": False if others is None else others}
        required = sorted(self._required - self._may_be_missing - {_ANY})
        return {**found, "required": required} if required else found

    def note(self, code: str, name: str, detail: str) -> None:
        """Pass over what the reader finds wrong with an answer."""

    def has(self, name: str) -> bool:
        """Return True, and take down that the key may be missing."""
        self._may_be_missing.add(name)
        return True

    def names(self) -> tuple[str, ...]:
        """Return one name for all that a file may choose."""
        return (_ANY,)

    def table(self, name: str, *, required: bool = False) -> Table:
        """Return the table below, which is taken down too."""
        if required:
            self._required.add(name)
        return self._below.setdefault(name, _EveryKey())

    def tables_beside_keys(self) -> dict[str, Table]:
        """Return one table for all that a file may name."""
        return self.tables()

    def name(self, name: str, default: Any = REQUIRED) -> str:
        self._take(name, default, type="string", pattern=f"^{NAME.pattern}$")
        return _ANY

    def text(self, name: str, default: Any = REQUIRED) -> str:
        self._take(name, default, type="string")
        return "" if default is REQUIRED else str(default)

    def matching(self, name: str, pattern: re.Pattern[str], default: str, wrong: str) -> str:  # noqa: ARG002
        self._take(name, default, type="string", pattern=f"^({pattern.pattern})$")
        return default

    def list_of_names(self, name: str, default: Any = REQUIRED) -> tuple[str, ...]:
        names = {"type": "string", "pattern": f"^{NAME.pattern}$"}
        self._take(name, default, type="array", items=names, uniqueItems=True)
        return (_ANY,)

    def list_of_choices(self, name: str, choices: Sequence[str]) -> tuple[str, ...]:
        self._take(name, REQUIRED, type="array", items={"enum": list(choices)}, uniqueItems=True)
        return tuple(choices)

    def flag(self, name: str, default: Any = REQUIRED) -> bool:
        self._take(name, default, type="boolean")
        return False

    def one_of(self, name: str, choices: Sequence[str], default: str) -> str:
        self._take(name, default, enum=list(choices))
        return default

    def whole(self, name: str, default: Any = REQUIRED, *, least: int = 0, most: int = 10**6) -> int:
        self._take(name, default, type="integer", minimum=least, maximum=most)
        return least

    def rate(self, name: str) -> int:
        self._take(name, REQUIRED, type="string", pattern=f"^{RATE.pattern}$")
        return 0

    def volume(self, name: str, default: Any = REQUIRED) -> int:
        said = default if default is REQUIRED or default is None else decimal_text(default, NOTIONAL_SCALE)
        self._take(name, said, anyOf=[{"type": "string", "pattern": _VOLUME}, {"type": "integer", "minimum": 0}])
        return 0

    def day(self, name: str) -> int | None:
        self._take(name, None, type="string", format="date")
        return None

    def days(self, name: str) -> frozenset[int]:
        self._take(name, (), type="array", items={"type": "string", "format": "date"})
        return frozenset()

    def days_of_month(self, name: str) -> frozenset[int]:
        days = {"type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 28}, "minItems": 1}
        self._take(name, REQUIRED, anyOf=[{"const": "every"}, days])
        return EVERY_DAY

    def instant(self, name: str) -> int | None:
        self._take(name, None, type="string", format="date-time")
        return None

    def end(self) -> None:
        """Take down that no other key is read here."""
        self._closed = True

    def _take(self, name: str, default: Any, **said: Any) -> None:
        if default is REQUIRED:
            self._required.add(name)
        elif default not in (None, ""):
            said["default"] = list(default) if isinstance(default, tuple) else default
        self._keys[name] = said
