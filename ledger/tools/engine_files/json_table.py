"""The fills of a JSON file in a table of texts: duckdb's own reader makes floats of numbers."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from ledger.cli.errors import UnusableError
from ledger.tools.duck.database import Database
from ledger.tools.engine_files.columns import Mapped
from ledger.tools.engine_files.fees import combined
from ledger.tools.engine_files.presets import Shape
from ledger.tools.engine_files.reply import fills_of

_BATCH: Final = 50_000
_NAME: Final = "printed"

Texts = dict[str, list[str | None]]


class Table(NamedTuple):
    """Its name, and those of our columns that any fill says something in; none, if the file holds no fill."""

    name: str
    columns: list[str]
    shape: Shape


def json_table(database: Database, path: Path, mapped: Mapped, constants: Mapping[str, str], *, negated: bool) -> Table:
    """Make the table. Raises UnusableError with the number of the fill."""
    maker: _Maker | None = None
    for number, fill in fills_of(path, mapped):
        if not isinstance(fill, dict):
            raise UnusableError(f"{path}:{number}: is no JSON object")
        if maker is None:
            maker = _Maker(database, path, mapped, _names(fill), constants, negated=negated)
        maker.add(number, fill)
    if maker is None:
        return Table(_NAME, [], mapped.first)
    maker.store()
    return Table(_NAME, maker.columns(mapped, constants), maker.shape)


class _Maker:
    """Collects fills, and puts many at once into the table."""

    def __init__(
        self,
        database: Database,
        path: Path,
        mapped: Mapped,
        has: list[str],
        constants: Mapping[str, str],
        *,
        negated: bool,
    ) -> None:
        """`has` are the names of the first fill, which tell the shape of all."""
        self._database = database
        self._path = path
        self.shape = shape = mapped.shape(has)
        self._has = has
        self._negated = negated != shape.negated
        self._names = {name: theirs for name, theirs in mapped.names(shape).items() if name not in constants}
        self._ways = [(name, tuple(theirs.split("."))) for name, theirs in self._names.items() if name != "fees"]
        self._fees = self._names.pop("fees", "")
        ours = [*self._names, *(name for name in _OF_FEES if self._fees and name not in self._names)]
        self._said: set[str] = set()
        self._texts: Texts = {name: [] for name in ours}
        self._rows: list[int] = []
        declared = ", ".join(f"{name} VARCHAR" for name in ours)
        database.run(f"CREATE OR REPLACE TABLE {_NAME} ({declared}, row BIGINT)")

    def add(self, number: int, fill: dict[str, Any]) -> None:
        """Take one more fill. Raises UnusableError."""
        self._rows.append(number)
        try:
            for name, way in self._ways:
                self._texts[name].append(_text(fill, way))
            if self._fees:
                self._add_fees(fill)
        except ValueError as error:
            raise UnusableError(f"{self._path}:{number}: {error}") from error
        if len(self._rows) == _BATCH:
            self.store()

    def store(self) -> None:
        """Put what was collected into the table."""
        if not self._rows:
            return
        columns: dict[str, Any] = {"row": np.array(self._rows)}
        for name, texts in self._texts.items():
            if any(text is not None for text in texts):
                self._said.add(name)
                columns[name] = np.array([*texts, "text"], dtype=object)[:-1]
        chosen = ", ".join(f"{name}::VARCHAR" if name in columns else "NULL" for name in self._texts)
        self._database.insert(f"INSERT INTO {_NAME} SELECT {chosen}, row FROM columns", columns)
        self._rows, self._texts = [], {name: [] for name in self._texts}

    def columns(self, mapped: Mapped, constants: Mapping[str, str]) -> list[str]:
        """Return the columns that were said. Raises UnusableError where no fill could be known by them."""
        said = list(dict.fromkeys(theirs for name, theirs in self._names.items() if name in self._said))
        found = mapped.found(str(self._path), said, self.shape, constants, self._has)
        return [*found, *(name for name in _OF_FEES if name in self._said and name not in found)]

    def _add_fees(self, fill: dict[str, Any]) -> None:
        values = {name: self._texts[name].pop() if name in self._names else None for name in _OF_FEES}
        listed = fill
        for part in self._fees.split("."):
            listed = listed.get(part) if isinstance(listed, dict) else None  # type: ignore[assignment]
        fees = combined(values["fee_amount"], values["fee_currency"], listed, negated=self._negated)
        for name, value in zip(_OF_FEES, fees, strict=True):
            self._texts[name].append(value)


_OF_FEES: Final = ("fee_amount", "fee_currency", "other_fees")


def _text(fill: dict[str, Any], way: tuple[str, ...]) -> str | None:
    """Return a value as it is printed. Raises ValueError for one that is an object or a list."""
    value: Any = fill
    for name in way:
        value = value.get(name) if isinstance(value, dict) else None
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | Decimal):
        return str(value)
    kind = "a list" if isinstance(value, list) else "an object"
    raise ValueError(f"{'.'.join(way)} is {kind}, and no text or number")


def _names(fill: dict[str, Any], before: str = "") -> list[str]:
    """Return the names of all fields, those of objects as `fee.cost`."""
    names = []
    for name, value in fill.items():
        names.append(before + name)
        if isinstance(value, dict):
            names.extend(_names(value, f"{before}{name}."))
    return names
