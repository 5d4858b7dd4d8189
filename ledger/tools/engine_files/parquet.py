"""The columns of a Parquet file, fields of structs included, and how each is read as text."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, NamedTuple

from ledger.cli.errors import UnusableError
from ledger.tools.duck import sql
from ledger.tools.duck.database import Database
from ledger.tools.engine_files.limits import COLUMNS_MAX

_TIMES_NS: Final = {  # ns in one unit of the type
    "TIMESTAMP_S": 1_000_000_000,
    "TIMESTAMP_MS": 1_000_000,
    "TIMESTAMP": 1_000,
    "TIMESTAMP WITH TIME ZONE": 1_000,
    "TIMESTAMP_NS": 1,
}
_INEXACT: Final = ("FLOAT", "DOUBLE")
_NESTED: Final = ("list", "array", "map", "struct", "union", "variant")


class Column(NamedTuple):
    """A column, or a field of one: `fee.cost`."""

    name: str
    expression: str
    type: str  # as duckdb prints it
    kind: str  # of the type: list, decimal ...

    @property
    def unit_ns(self) -> int:
        """The unit of a time in ns; 0 for what is none."""
        return _TIMES_NS.get(self.type, 0)

    def text(self, path: Path) -> str:
        """Return the expression of its text. Raises UnusableError for a type that has none which is exact."""
        if self.type in _INEXACT:
            raise UnusableError(
                f"{path}: column {self.name} is {self.type}, which holds no exact amount: write DECIMAL or text"
            )
        if self.kind in _NESTED:
            raise UnusableError(f"{path}: column {self.name} is a {self.kind}: write text, or JSON lines instead")
        # A local time is UTC here, as everywhere in the ledger.
        return f"({f'epoch_ns({self.expression})' if self.unit_ns else self.expression})::VARCHAR"


def parquet_columns(database: Database, path: Path, file: Path) -> list[Column]:
    """Return the columns in the order of the file; names that stand twice are there twice. Raises UnusableError."""
    tops = _names(database, path, file)
    relation = database.run(f"SELECT * FROM read_parquet({sql.text(file)}) LIMIT 0")
    columns = []
    described: Any = relation.description or ()
    for name, (unique, kind, *_) in zip(tops, described, strict=True):
        columns.append(Column(name, sql.name(unique), str(kind), kind.id))
        if kind.id == "struct":
            columns.extend(
                Column(f"{name}.{field}", sql.name(unique, field), str(inner), inner.id)
                for field, inner in kind.children
            )
    return columns


def _names(database: Database, path: Path, file: Path) -> list[str]:
    """Return the names at the top as the file has them: duckdb itself gives the second one of two another name."""
    schema = database.run(f"SELECT name, num_children FROM parquet_schema({sql.text(file)})")
    tree = schema.fetchmany(COLUMNS_MAX + 2)
    if len(tree) > COLUMNS_MAX + 1:
        raise UnusableError(f"{path}: has more than {COLUMNS_MAX:,} columns")
    names, inside = [], 0
    for name, children in tree[1:]:
        if not inside:
            names.append(str(name))
        inside = max(0, inside - 1) + (children or 0)
    return names
