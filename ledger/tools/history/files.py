"""Fee histories as files: CSV, JSON lines and Parquet, with every decimal exact.

A file is written beside its place and moved there when it is whole: whoever reads it sees the old one or the new one.
"""

from __future__ import annotations

import csv
import errno
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

import duckdb

from ledger.tools.history.entries import COLUMNS, Row

# DECIMAL(38,18) holds it: what the contract lets in, 20 digits before the point and 18 behind. Notionals and token
# fees may need more; a column with one that does is written as text.
_FITS: Final = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,18})?")
_TYPES: Final = {"TEXT": "VARCHAR", "INTEGER": "UBIGINT", "BOOLEAN": "BOOLEAN"}
_TIME: Final = "CAST(replace(rtrim({name}, 'Z'), 'T', ' ') AS TIMESTAMP_NS)"


class Output(Protocol):
    """Takes the values of entries, by column, in the order of the history."""

    def __call__(self, values: Row) -> None:
        """One more entry."""


@contextmanager
def scratch(path: Path, ending: str) -> Iterator[Path]:
    """A name beside `path` for a file that is gone after the block."""
    part = path.with_name(f".{path.name}.{os.getpid()}{ending}")
    try:
        yield part
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """Where to write what is to be at `path`: it is moved there if the block ends well."""
    with scratch(path, ".part") as part:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())  # on disk before it takes its place
        os.replace(part, path)


@contextmanager
def csv_file(path: Path) -> Iterator[Output]:
    """CSV with a header; what an entry does not say is empty."""
    with beside(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(column.name for column in COLUMNS)
        yield lambda values: rows.writerow(map(_text, values))


@contextmanager
def json_lines_file(path: Path) -> Iterator[Output]:
    """One JSON object per line; decimals and times are strings, what an entry does not say is left out."""
    names = [column.name for column in COLUMNS]
    with beside(path) as part, part.open("w", encoding="utf-8") as file:

        def write(values: Row) -> None:
            said = {name: value for name, value in zip(names, values, strict=True) if value is not None}
            file.write(json.dumps(said, separators=(",", ":")) + "\n")

        yield write


@contextmanager
def parquet_file(path: Path, tell: Callable[[str], None]) -> Iterator[Output]:
    """Decimals are DECIMAL(38,18), times TIMESTAMP_NS in UTC; `tell` hears of a column that had to be text.

    Entries go to a CSV beside it first, and from there through duckdb, so that memory stays small.
    """
    wide: set[str] = set()
    decimals = [(place, column.name) for place, column in enumerate(COLUMNS) if column.kind == "DECIMAL"]
    with scratch(path, ".csv") as staged, beside(path) as part:
        with staged.open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file, lineterminator="\n")

            def write(values: Row) -> None:
                wide.update(name for place, name in decimals if values[place] is not None and not _fits(values[place]))
                rows.writerow(map(_text, values))

            yield write
        try:
            _to_parquet(staged, part, wide)
        except duckdb.Error as error:
            raise OSError(errno.EIO, str(error).partition("\n")[0], str(path)) from error
    for name in sorted(wide):
        tell(f"{path}: {name} is a column of texts, as DECIMAL(38,18) does not hold each of its values")


def _to_parquet(staged: Path, part: Path, wide: set[str]) -> None:
    columns = ", ".join(f"{_literal(column.name)}: 'VARCHAR'" for column in COLUMNS)
    values = ", ".join(
        f"{_cast(column.name, 'TEXT' if column.name in wide else column.kind)} AS {column.name}" for column in COLUMNS
    )
    with duckdb.connect(config={"threads": 1, "memory_limit": "512MB"}) as connection:
        connection.execute(
            f"COPY (SELECT {values} FROM read_csv({_literal(str(staged))}, auto_detect = false, header = false,"
            f" delim = ',', quote = '\"', escape = '\"', columns = {{{columns}}}))"
            f" TO {_literal(str(part))} (FORMAT parquet, COMPRESSION zstd)"
        )


def _cast(name: str, kind: str) -> str:
    if kind == "TIME":
        return _TIME.format(name=name)
    return f"CAST({name} AS {'DECIMAL(38,18)' if kind == 'DECIMAL' else _TYPES[kind]})"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _fits(value: Any) -> bool:
    return _FITS.fullmatch(value) is not None


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
