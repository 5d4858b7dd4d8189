"""The rows of a JSON file: of lists, of objects one after the other, and of replies that hold a list; none in part.

ijson reads the file piece by piece. Whatever is no JSON, or no row where rows stand, is refused with its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final, NoReturn

import ijson

from ledger.cli.errors import UnusableError
from ledger.tools.engine_files.limits import CHUNK_BYTES, DEPTH_MAX, FILL_BYTES_MAX
from ledger.tools.engine_files.source import opened

_NEAR: Final = 20  # characters shown on either side of a fault
_AS_ZEROS: Final = bytes.maketrans(b"123456789", b"0" * 9)
_LONG: Final = b"0" * 1_000  # the parser does not survive an integer that Python refuses: one of over 4,300 digits

Event = tuple[str, Any]


class JsonRows:
    """The rows of a file, numbered from 1 over all its documents.

    A number is an int or a Decimal, exactly as printed. `at` names the list that holds the rows in a document that is
    an object, for example ("data", "list"); empty if such a document is a row itself. `alone` says that a document may
    hold no other list of objects. `key` is set in rows that stand in an object by their ids.
    """

    def __init__(self, path: Path, at: tuple[str, ...] = (), *, key: str = "", alone: bool = False) -> None:
        self._path = path
        self._at = at
        self._key = key
        self._alone = alone
        self._number = 0

    def __iter__(self) -> Iterator[tuple[int, Any]]:
        """Yield (number, row). Raises UnusableError."""
        with opened(self._path) as file:
            source = Source(file, self._fault)
            try:
                for row in self._documents(ijson.basic_parse(source, multiple_values=True, buf_size=CHUNK_BYTES)):
                    self._number += 1
                    source.since = 0
                    yield self._number, row
            except ijson.JSONError as error:
                if not source.blank:
                    self._fault(f"no JSON: {_why(error)}", error)
            except ArithmeticError as error:  # of an exponent that no decimal has
                self._fault("a number that is too large", error)

    def _documents(self, events: Iterator[Event]) -> Iterator[Any]:
        for event, value in events:
            if event == "start_array":
                yield from self._list(events)
            elif event != "start_map":
                self._fault(f"{_shown(event, value)} stands where a list or an object must")
            elif self._at:
                yield from self._reply(events, self._at)
            else:
                yield self._object(events, 1)

    def _list(self, events: Iterator[Event]) -> Iterator[Any]:
        for event, value in events:
            if event == "end_array":
                return
            yield self._value(event, value, events, 1)

    def _reply(self, events: Iterator[Event], at: tuple[str, ...]) -> Iterator[Any]:
        """Rows of an object that holds them; `at` is the way to them from here."""
        found = False
        for event, key in events:
            if event == "end_map":
                break
            event, value = next(events)  # noqa: PLW2901 - the value that the name has
            if key != at[0]:
                other = self._value(event, value, events, 1)
                if self._alone and _is_list_of_objects(other):
                    self._fault(f"{at[0]!a} and {key!a} are both lists of objects: say with --columns fills=NAME which")
                continue
            if found:
                self._fault(f"the name {key!a} stands twice in one object")
            found = True
            if len(at) > 1 and event == "start_map":
                yield from self._reply(events, at[1:])
            elif len(at) == 1 and event == "start_array":
                yield from self._list(events)
            elif len(at) == 1 and event == "start_map" and self._key:
                yield from self._by_key(events)
            else:
                self._fault(f"{key!a} holds {_shown(event, value)}, and no fills")
        if not found:
            self._fault(f"a reply without {'.'.join(self._at)}: it holds no fills")

    def _by_key(self, events: Iterator[Event]) -> Iterator[Any]:
        for event, key in events:
            if event == "end_map":
                return
            row = self._value(*next(events), events, 1)
            yield {**row, self._key: key} if isinstance(row, dict) else row

    def _value(self, event: str, value: Any, events: Iterator[Event], depth: int) -> Any:
        if event == "start_map":
            return self._object(events, depth)
        if event != "start_array":
            return value
        found, depth = [], self._deep(depth)
        for inner, one in events:
            if inner == "end_array":
                break
            found.append(self._value(inner, one, events, depth))
        return found

    def _object(self, events: Iterator[Event], depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        key = ""
        for event, value in events:
            if event == "map_key":
                if value in found:
                    self._fault(f"the name {value[:40]!a} stands twice in one object")
                key = value
            elif event == "end_map":
                break
            elif event in ("start_map", "start_array"):
                found[key] = self._value(event, value, events, self._deep(depth))
            else:
                found[key] = value
        return found

    def _deep(self, depth: int) -> int:
        if depth >= DEPTH_MAX:
            self._fault(f"nested more than {DEPTH_MAX} deep")
        return depth + 1

    def _fault(self, what: str, cause: Exception | None = None) -> NoReturn:
        raise UnusableError(f"{self._path}:{self._number + 1}: {what}") from cause


class Source:
    """Bytes for the parser, which stops where a row does not end."""

    def __init__(self, file: BinaryIO, fault: Callable[[str], NoReturn]) -> None:
        self._file = file
        self._fault = fault
        self.since = 0  # bytes read since a row ended
        self.blank = True

    def read(self, size: int) -> bytes:
        """Return the next bytes."""
        if self.since > FILL_BYTES_MAX:
            self._fault(f"takes more than {FILL_BYTES_MAX >> 20} MiB, as no fill does")
        chunk = self._file.read(size)
        self.since += len(chunk)
        self.blank = self.blank and not chunk.strip()
        if _LONG in chunk.translate(_AS_ZEROS):
            self._fault(f"{len(_LONG):,} digits in a row, as no number of a fill has")
        return chunk


def _is_list_of_objects(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(one, dict) for one in value)


def _shown(event: str, value: Any) -> str:
    return {"start_map": "an object", "start_array": "a list"}.get(event) or ascii(str(value)[:_NEAR])


def _why(error: Exception) -> str:
    """Return what the parser says, and what stands there: it prints the text, and below it an arrow at the fault."""
    told = error.args[0] if error.args else ""
    lines = (told.decode("utf-8", "replace") if isinstance(told, bytes) else str(told)).splitlines()
    if len(lines) < 3:
        return " ".join(lines)
    place = lines[2].find("^")
    near = lines[1][max(0, place - _NEAR) : place + _NEAR].strip()
    return lines[0] + (f" near {near!a}" if near else "")
