"""Fee histories as files: CSV and JSON lines, with every decimal exact."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from ledger.tools.csv_rows import csv_rows
from ledger.tools.files import beside
from ledger.tools.history.entries import COLUMNS, Row


class Output(Protocol):
    """Takes the values of each entry, in the order of the history."""

    def __call__(self, values: Row) -> None:
        """Take the values of COLUMNS of one more entry."""


@contextmanager
def csv_file(path: Path, *, spreadsheet: bool = False) -> Iterator[Output]:
    """Write CSV with a header; what an entry does not say is empty, and with `spreadsheet` no cell runs in one."""
    with (
        beside(path) as part,
        part.open("w", newline="", encoding="utf-8") as file,
        csv_rows(file, str(path), spreadsheet=spreadsheet, line_end="\n") as rows,
    ):
        rows.write(column.name for column in COLUMNS)
        yield lambda values: rows.write(map(text_of, values))


@contextmanager
def json_lines_file(path: Path) -> Iterator[Output]:
    """Write one JSON object per line; decimals and times are strings, what an entry does not say is left out."""
    with beside(path) as part, part.open("w", encoding="utf-8") as file:
        yield lambda values: print(as_json(values), file=file)


def as_json(values: Row) -> str:
    """Return an entry as a JSON object, for example {"kind":"FILL","venue":"bitmart",...}."""
    said = {column.name: value for column, value in zip(COLUMNS, values, strict=True) if value is not None}
    return json.dumps(said, separators=(",", ":"))


def text_of(value: Any) -> str:
    """Return a value as CSV has it; what an entry does not say is empty."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
