"""Files of fills as relations of duckdb: every value as text, exactly as printed, with the number of its line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from ledger.cli.errors import UnusableError
from ledger.tools.duck import sql
from ledger.tools.duck.database import Database
from ledger.tools.engine_files.columns import Mapped
from ledger.tools.engine_files.csv_header import Header, check_lines, read_header
from ledger.tools.engine_files.json_table import json_table
from ledger.tools.engine_files.limits import LINE_BYTES_MAX
from ledger.tools.engine_files.parquet import parquet_columns
from ledger.tools.engine_files.presets import FORMATS, TIMES, Shape
from ledger.tools.engine_files.source import check_file, is_packed

_BY_NAME: Final[Mapping[str, str]] = {".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl",
                                      ".json": "json", ".parquet": "parquet"}  # fmt: skip


class Printed(NamedTuple):
    """A SELECT of our columns as texts, and `row`; empty if the file holds nothing. `unit_ns` is that of times."""

    select: str
    columns: list[str]
    shape: Shape
    unit_ns: int = 1
    header: Header | None = None  # of CSV


def printed(
    database: Database, path: Path, kind: str, mapped: Mapped, constants: Mapping[str, str], *, negated: bool
) -> Printed:
    """Return what a file says. Raises UnusableError, OSError or duckdb.Error."""
    check_file(path)
    plain = path.with_suffix("") if path.suffix == ".gz" else path
    kind = kind or _BY_NAME.get(plain.suffix.lower(), "")
    if kind == "parquet":
        return _parquet(database, path, mapped, constants)
    if kind == "csv":
        return _csv(database, path, mapped, constants)
    if kind in FORMATS:
        table = json_table(database, path, mapped, constants, negated=negated)
        if not table.columns:
            return Printed("", [], table.shape)
        return Printed(f"SELECT * FROM {table.name}", table.columns, table.shape, _unit_ns(table.columns))
    raise UnusableError(f"{path}: the name does not tell its format: say --format {', '.join(FORMATS)}")


def _csv(database: Database, path: Path, mapped: Mapped, constants: Mapping[str, str]) -> Printed:
    header = read_header(path)
    names = header.names
    shape = mapped.shape(names)
    found = mapped.found(str(path), names, shape, constants)
    copy = database.room() if is_packed(path) else None
    check_lines(path, copy)
    file = copy or database.entrance(path)
    declared = ", ".join(f"{sql.text(place)}: 'VARCHAR'" for place in range(len(names)))
    chosen = ", ".join(f"{sql.name(str(place))} AS {name}" for name, place in found.items())
    # Nothing is guessed: where duckdb looks for the dialect itself, it takes a broken file for one of other columns.
    source = (
        f"read_csv({sql.text(file)}, auto_detect=false, header=true, delim={sql.text(header.delimiter)}, quote='\"',"
        f" escape='\"', columns={{{declared}}}, strict_mode=true, compression='none', max_line_size={LINE_BYTES_MAX})"
    )
    select = f"SELECT {chosen}, 1 + row_number() OVER () AS row FROM {source}"
    return Printed(select, list(found), shape, _unit_ns(list(found)), header)


def _parquet(database: Database, path: Path, mapped: Mapped, constants: Mapping[str, str]) -> Printed:
    file = database.entrance(path)
    columns = parquet_columns(database, path, file)
    names = [column.name for column in columns]
    shape = mapped.shape(names)
    found = mapped.found(str(path), names, shape, constants)
    chosen, ours, unit_ns = [], [], _unit_ns(list(found))
    for name, place in found.items():
        column = columns[place]
        if column.unit_ns and name in TIMES:
            name, unit_ns = "transact_time_ns", column.unit_ns  # noqa: PLW2901 - its type says so
        chosen.append(f"{column.text(path)} AS {name}")
        ours.append(name)
    source = f"read_parquet({sql.text(file)})"
    return Printed(f"SELECT {', '.join(chosen)}, row_number() OVER () AS row FROM {source}", ours, shape, unit_ns)


def _unit_ns(found: list[str]) -> int:
    return next(TIMES[name] for name in found if name in TIMES)


def one_line(error: Exception) -> str:
    """Return what duckdb says about a file: the line, and the fault without its advice."""
    text = str(error)
    line = re.search(r"on Line: (\d+)", text)
    faults = [part.strip() for part in text.splitlines() if part.strip()]
    fault = next((part for part in faults if not re.match(r"Invalid Input Error|Original Line", part)), faults[0])
    return f"line {line.group(1)}: {fault}" if line else " ".join(text.split())[:300]
