"""Every key of a programme file, as the schema has it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from ledger import programmes


def _keys(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for name, below in schema.get("properties", {}).items():
        yield f"{path}{name}", below
        yield from _keys(below, f"{path}{name}.")


SCHEMA: Final = programmes.schema()
KEYS: Final = dict(_keys(SCHEMA))  # by path: tables, and keys that have a name of their own
