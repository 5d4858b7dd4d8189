"""Fee histories as Parquet, with every decimal exact. It needs duckdb, which is in the extra `tools`."""

from __future__ import annotations

import csv
import errno
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import duckdb

from ledger import private
from ledger.tools.duck import sql
from ledger.tools.duck.database import lock
from ledger.tools.files import beside, scratch
from ledger.tools.history.entries import COLUMNS, Row
from ledger.tools.history.files import Output, text_of

# DECIMAL(38,18) holds it: what the contract lets in, 20 digits before the point and 18 after it. Notionals and token
# fees may need more; a column with one that does is written as text.
_FITS: Final = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,18})?")
_TYPES: Final = {"TEXT": "VARCHAR", "INTEGER": "UBIGINT", "BOOLEAN": "BOOLEAN"}
_TIME: Final = "CAST(replace(rtrim({name}, 'Z'), 'T', ' ') AS TIMESTAMP_NS)"


@contextmanager
def parquet_file(path: Path, tell: Callable[[str], object]) -> Iterator[Output]:
    """Write decimals as DECIMAL(38,18) and times as TIMESTAMP_NS in UTC; `tell` hears of a column that had to be text.

    Entries go to a CSV beside it first, and from there through duckdb, so that memory stays small.
    """
    wide: set[str] = set()
    decimals = [(place, column.name) for place, column in enumerate(COLUMNS) if column.kind == "DECIMAL"]
    with scratch(path, ".csv") as staged, beside(path) as part:
        with private.open_file(staged, "w") as file:
            rows = csv.writer(file, lineterminator="\n")

            def write(values: Row) -> None:
                wide.update(name for place, name in decimals if values[place] is not None and not _fits(values[place]))
                rows.writerow(map(text_of, values))

            yield write
        try:
            _to_parquet(staged, part, wide)
        except duckdb.Error as error:
            raise OSError(errno.EIO, str(error).partition("\n")[0], str(path)) from error
    for name in sorted(wide):
        tell(f"{path}: {name} is a column of texts, as DECIMAL(38,18) does not hold each of its values")


def _to_parquet(staged: Path, part: Path, wide: set[str]) -> None:
    columns = ", ".join(f"{sql.text(column.name)}: 'VARCHAR'" for column in COLUMNS)
    values = ", ".join(
        f"{_cast(column.name, 'TEXT' if column.name in wide else column.kind)} AS {column.name}" for column in COLUMNS
    )
    settings: Any = {"threads": 1, "memory_limit": "512MB"}
    with TemporaryDirectory() as folder, duckdb.connect(config=settings) as connection:
        entrance = Path(folder, "staged")  # no character of it means anything to duckdb, as a * of the name does
        entrance.symlink_to(staged.resolve())
        lock(connection, folders=[Path(folder)], files=[staged, part])
        connection.execute(
            f"COPY (SELECT {values} FROM read_csv({sql.text(entrance)}, auto_detect = false, header = false,"
            f" delim = ',', quote = '\"', escape = '\"', columns = {{{columns}}}))"
            f" TO {sql.text(part.resolve())} (FORMAT parquet, COMPRESSION zstd, USE_TMP_FILE false)"
        )


def _cast(name: str, kind: str) -> str:
    if kind == "TIME":
        return _TIME.format(name=name)
    return f"CAST({name} AS {'DECIMAL(38,18)' if kind == 'DECIMAL' else _TYPES[kind]})"


def _fits(value: Any) -> bool:
    return _FITS.fullmatch(value) is not None
