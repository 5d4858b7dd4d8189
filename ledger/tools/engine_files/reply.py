"""Where the fills stand in an exchange's reply as it comes: a list in an object, such as {"code": 0, "data": []}."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, NoReturn

import ijson

from ledger.cli.errors import UnusableError
from ledger.tools.engine_files.columns import Mapped
from ledger.tools.engine_files.json_rows import JsonRows, Source
from ledger.tools.engine_files.limits import CHUNK_BYTES, DEPTH_MAX
from ledger.tools.engine_files.source import opened

_ITEM: Final = "[]"


def fills_of(path: Path, mapped: Mapped) -> JsonRows:
    """Return the objects of a JSON file that are fills. Raises UnusableError."""
    shape = mapped.first
    if mapped.fills is not None:
        return JsonRows(path, _way(mapped.fills), key=shape.key)
    at = _looked_for(path, mapped)
    return JsonRows(path, _way(at), key=shape.key, alone=at != shape.fills)


def _looked_for(path: Path, mapped: Mapped) -> str:
    """Return the list of the first document, if that is an object and no fill itself; otherwise nothing.

    It is where the preset says, else the first list of objects outside the columns of a fill, else its one empty list.
    """
    names = mapped.names(mapped.first)
    of_a_fill = {theirs.partition(".")[0] for theirs in names.values()}
    empty: list[str] = []
    before = ""
    stack: list[str] = []  # the name in each object that is open, and _ITEM in each list
    with opened(path) as file:
        source = Source(file, _nowhere(path))
        try:
            for event, value in ijson.basic_parse(source, multiple_values=True, buf_size=CHUNK_BYTES):
                if event == "map_key":
                    stack[-1] = value
                elif event in ("start_map", "start_array"):
                    at = ".".join(stack)
                    if (not stack and event == "start_array") or len(stack) > DEPTH_MAX:
                        return ""
                    if at and at == mapped.first.fills:
                        return at
                    if event == "start_map" and stack[-1:] == [_ITEM] and stack[0] not in of_a_fill:
                        return ".".join(stack[:-1])
                    stack.append(_ITEM if event == "start_array" else "")
                elif event in ("end_map", "end_array"):
                    stack.pop()
                    if not stack:
                        break
                    if before == "start_array":
                        empty.append(".".join(stack))
                elif ".".join(stack) == names.get("exec_id"):
                    return ""
                before = event
        except (ijson.JSONError, ArithmeticError):
            return ""  # reading the rows tells what is wrong, and where
    return empty[0] if len(empty) == 1 else ""


def _way(at: str) -> tuple[str, ...]:
    return tuple(at.split(".")) if at else ()


def _nowhere(path: Path) -> Callable[[str], NoReturn]:
    def fault(what: str) -> NoReturn:
        raise UnusableError(f"{path}:1: {what}; --columns fills=NAME says which list of a reply has the fills")

    return fault
