"""Fee histories as files: CSV and JSON lines, with every decimal exact; and how a file gets to its place whole.

A file is written beside its place and moved there when it is whole: whoever reads it sees the old one or the new one.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from ledger.tools.history.entries import COLUMNS, Row


class Output(Protocol):
    """Takes the values of each entry, in the order of the history."""

    def __call__(self, values: Row) -> None:
        """Take the values of COLUMNS of one more entry."""


@contextmanager
def scratch(path: Path, ending: str) -> Iterator[Path]:
    """Yield a name beside `path`, for a file that is gone after the block."""
    part = path.with_name(f".{path.name}.{os.getpid()}{ending}")
    try:
        yield part
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """Yield where to write what is to be at `path`: it is moved there if the block ends well."""
    with scratch(path, ".part") as part:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())  # on disk before it takes its place
        os.replace(part, path)


@contextmanager
def csv_file(path: Path) -> Iterator[Output]:
    """Write CSV with a header; what an entry does not say is empty."""
    with beside(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(column.name for column in COLUMNS)
        yield lambda values: rows.writerow(map(text_of, values))


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
