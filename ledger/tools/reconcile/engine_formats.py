"""Files of fills as relations of duckdb: every value as text, exactly as printed, with the number of its line."""

from __future__ import annotations

import csv
import gzip
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, TextIO

import numpy as np

from ledger.cli.errors import UnusableError
from ledger.tools.reconcile.columns import TIMES, Mapped
from ledger.tools.reconcile.database import Database
from ledger.tools.reconcile.kinds import FORMATS

_BY_NAME: Final[Mapping[str, str]] = {".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl",
                                      ".json": "json", ".parquet": "parquet"}  # fmt: skip
_DELIMITERS: Final = ",;\t|"
_BATCH: Final = 50_000
_READ_CHARACTERS: Final = 1 << 20
_TIME_UNITS_NS: Final = {"TIMESTAMP_S": 1_000_000_000, "TIMESTAMP_MS": 1_000_000, "TIMESTAMP_NS": 1}


class Printed(NamedTuple):
    """A SELECT of our columns as texts, and `row`; empty if the file holds nothing. `unit_ns` is that of times."""

    select: str
    columns: list[str]
    unit_ns: int = 1


def printed(database: Database, path: Path, kind: str, mapped: Mapped, constants: Mapping[str, str]) -> Printed:
    """What a file says. Raises UnusableError, OSError or duckdb.Error."""
    if not path.is_file():
        raise UnusableError(f"{path}: there is no such file")
    plain = path.with_suffix("") if path.suffix == ".gz" else path
    kind = kind or _BY_NAME.get(plain.suffix.lower(), "")
    if kind == "parquet":
        return _parquet(database, path, mapped, constants)
    if kind == "csv":
        return _csv(path, mapped, constants)
    if kind in FORMATS:
        return _json(database, path, mapped, constants)
    raise UnusableError(f"{path}: the name does not tell its format: say --format {', '.join(FORMATS)}")


def _csv(path: Path, mapped: Mapped, constants: Mapping[str, str]) -> Printed:
    has, delimiter = _header(path)
    found = mapped.found(str(path), has, constants)
    declared = ", ".join(f"'{place}': 'VARCHAR'" for place in range(len(has)))
    chosen = ", ".join(f'"{has.index(theirs)}" AS {name}' for name, theirs in found.items())
    # Nothing is guessed: where duckdb looks for the dialect itself, it takes a broken file for one of other columns.
    source = (
        f"read_csv({_quoted(path)}, auto_detect=false, header=true, delim={_quoted(delimiter)}, quote='\"',"
        f" escape='\"', columns={{{declared}}}, strict_mode=true,"
        f" compression='{'gzip' if path.suffix == '.gz' else 'none'}')"
    )
    unit_ns = next(TIMES[name] for name in found if name in TIMES)
    return Printed(f"SELECT {chosen}, 1 + row_number() OVER () AS row FROM {source}", list(found), unit_ns)


def _header(path: Path) -> tuple[list[str], str]:
    """The names of the columns, and what stands between them."""
    with _text(path) as file:
        line = file.readline().rstrip("\r\n")
    if not line:
        raise UnusableError(f"{path}:1: no header: the first line names the columns")
    delimiter = max(_DELIMITERS, key=line.count)
    return next(csv.reader([line], delimiter=delimiter)), delimiter


def _parquet(database: Database, path: Path, mapped: Mapped, constants: Mapping[str, str]) -> Printed:
    source = f"read_parquet({_quoted(path)})"
    types = {name: kind for name, kind, *_ in database.all(f"DESCRIBE SELECT * FROM {source}")}
    columns = {name: f'"{name}"' for name in types}
    for name, kind in list(types.items()):
        if kind.startswith("STRUCT"):  # fee.cost
            for field, inner, *_ in database.all(f'DESCRIBE SELECT "{name}".* FROM {source}'):
                types[f"{name}.{field}"], columns[f"{name}.{field}"] = inner, f'"{name}"."{field}"'
    found = mapped.found(str(path), list(types), constants)
    chosen, unit_ns = [], 1
    for name, theirs in found.items():
        kind, column = types[theirs], columns[theirs]
        if kind in ("FLOAT", "DOUBLE"):
            raise UnusableError(
                f"{path}: column {theirs} is {kind}, which holds no exact amount: write DECIMAL or text"
            )
        if kind.startswith("TIMESTAMP"):
            # A local time is UTC here, as everywhere in the ledger.
            unit_ns, column = _TIME_UNITS_NS.get(kind, 1_000), f"'ns' || epoch_ns({column})"
        elif name in TIMES:
            unit_ns = TIMES[name]
        chosen.append(f"({column})::VARCHAR AS {name}")
    return Printed(f"SELECT {', '.join(chosen)}, row_number() OVER () AS row FROM {source}", list(found), unit_ns)


def _json(database: Database, path: Path, mapped: Mapped, constants: Mapping[str, str]) -> Printed:
    """duckdb reads numbers of JSON as floats: so Python reads them, as the texts they are."""
    names = {name: theirs for name, theirs in mapped.names().items() if name not in constants}
    declared = ", ".join(f"{name} VARCHAR" for name in names)
    database.run(f"CREATE OR REPLACE TABLE printed ({declared}, row BIGINT)")
    said: set[str] = set()
    paths = {name: tuple(theirs.split(".")) for name, theirs in names.items()}
    batch: list[Any] = []
    for row, fill in _objects(path):
        batch.append((row, fill))
        if len(batch) == _BATCH:
            said |= _insert(database, batch, paths)
            batch = []
    if batch:
        said |= _insert(database, batch, paths)
    elif not said:
        return Printed("", [])
    found = mapped.found(str(path), [names[name] for name in names if name in said], constants)
    unit_ns = next(TIMES[name] for name in found if name in TIMES)
    return Printed(f"SELECT {', '.join(found)}, row FROM printed", list(found), unit_ns)


def _insert(database: Database, batch: list[tuple[int, Any]], paths: Mapping[str, tuple[str, ...]]) -> set[str]:
    """Put objects into the table `printed`; names of the columns that any of them has."""
    said, columns = set(), {"row": np.array([row for row, _ in batch])}
    for name, path in paths.items():
        values = [_value(fill, path) for _, fill in batch]
        columns[name] = np.array([*values, "text"], dtype=object)[:-1]
        if any(value is not None for value in values):
            said.add(name)
    chosen = ", ".join(f"{name}::VARCHAR" if name in said else "NULL" for name in paths)
    kept = {name: column for name, column in columns.items() if name in said or name == "row"}
    database.insert(f"INSERT INTO printed SELECT {chosen}, row FROM columns", kept)
    return said


def _value(fill: Any, path: tuple[str, ...]) -> str | None:
    for name in path:
        fill = fill.get(name) if isinstance(fill, dict) else None
    return fill if fill is None or isinstance(fill, str) else json.dumps(fill)


def _objects(path: Path) -> Iterator[tuple[int, Any]]:
    """(line or number, object): of a JSON list, or of lines with one each; numbers are texts, as they are printed."""
    with _text(path) as file:
        start = file.read(_READ_CHARACTERS)
        if start.lstrip().startswith("["):
            yield from _listed(path, file, start.lstrip()[1:])
            return
    with _text(path) as file:
        for row, line in enumerate(file, start=1):
            if line.strip():
                yield row, _object(path, row, line)


def _listed(path: Path, file: TextIO, text: str) -> Iterator[tuple[int, Any]]:
    decoder, number, ended = json.JSONDecoder(parse_float=str, parse_int=str), 0, False
    while True:
        text = text.lstrip(" \t\r\n,")
        if text.startswith("]"):
            return
        try:
            fill, end = decoder.raw_decode(text)
        except (json.JSONDecodeError, RecursionError) as error:
            if ended:
                raise UnusableError(f"{path}: fill {number + 1} of the list: {error}") from error
            more = file.read(_READ_CHARACTERS)
            text, ended = text + more, not more
            continue
        number += 1
        if not isinstance(fill, dict):
            raise UnusableError(f"{path}: fill {number} of the list is no JSON object")
        yield number, fill
        text = text[end:]


def _object(path: Path, row: int, line: str) -> Any:
    try:
        fill = json.loads(line, parse_float=str, parse_int=str)
    except (json.JSONDecodeError, RecursionError) as error:
        raise UnusableError(f"{path}:{row}: no JSON: {error}") from error
    if not isinstance(fill, dict):
        raise UnusableError(f"{path}:{row}: no JSON object")
    return fill


def _text(path: Path) -> TextIO:
    opened: Any = gzip.open if path.suffix == ".gz" else open
    text: TextIO = opened(path, "rt", encoding="utf-8-sig", newline="")
    return text


def _quoted(text: object) -> str:
    return "'" + str(text).replace("'", "''") + "'"


def one_line(error: Exception) -> str:
    """What duckdb says about a file: the line, and the fault without its advice."""
    text = str(error)
    line = re.search(r"on Line: (\d+)", text)
    faults = [part.strip() for part in text.splitlines() if part.strip()]
    fault = next((part for part in faults if not re.match(r"Invalid Input Error|Original Line", part)), faults[0])
    return f"line {line.group(1)}: {fault}" if line else " ".join(text.split())[:300]
