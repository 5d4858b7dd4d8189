"""Rows of the events table, and the bytes by which COPY takes them in: https://www.postgresql.org/docs/current/sql-copy.html."""

from __future__ import annotations

import struct
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np

from ledger.arrays.columns import Ints
from ledger.arrays.lazy_sequence import LazySequence
from ledger.domain.streams import account_of
from ledger.store.codec.compression import RUN, compressed
from ledger.store.codec.run_layout import may_say_charges
from ledger.store.leaf import NONCE_BYTES, Opening

COLUMNS: Final = (
    "originator_id", "originator_version", "topic", "state",
    "notification_id", "time_min_ns", "time_max_ns", "time_max_so_far_ns",
)  # fmt: skip
_NONE: Final = (None, None, None)  # the three times of a row that is in no fee stream
TYPES: Final = ("text", "int8", "text", "bytea", "int8", "int8", "int8", "int8")
COPY_BEGINS: Final = b"PGCOPY\n\xff\r\n\0" + struct.pack("!ii", 0, 0)
COPY_ENDS: Final = struct.pack("!h", -1)
_NULL: Final = struct.pack("!i", -1)
_SIZE: Final = struct.Struct("!i")
_NUMBER: Final = struct.Struct("!iq")
_FIELDS: Final = struct.pack("!h", len(COLUMNS))
_ERASABLE: Final = struct.Struct(f"!hiqi{NONCE_BYTES}si")

ErasableRow: TypeAlias = tuple[int, bytes, bytes]  # of the table: position, nonce, content


class Row(NamedTuple):
    """A row of the events table, but with the bytes of its event, and beside it what may be erased of the event."""

    stream: str
    version: int
    topic: str
    state: bytes
    position: int
    time_min_ns: int | None = None
    time_max_ns: int | None = None
    time_max_so_far_ns: int | None = None
    part: Opening | None = None

    @property
    def columns(self) -> tuple[Any, ...]:
        """Return the row as it is stored, without that part."""
        if self.topic != RUN:
            return self[:-1]
        (state,) = compressed([self.state], charged=may_say_charges(self.state))
        return (*self[:3], state, *self[4:-1])

    def copied(self) -> bytes:
        """Return the row as COPY takes it in."""
        stream, version, topic, state, *numbers = self.columns
        parts = [_FIELDS, _text(stream), _number(version), _text(topic), _SIZE.pack(len(state)), state]
        return b"".join([*parts, *map(_number, numbers)])


class ColumnRows(LazySequence[Row]):
    """Rows of one topic at positions that follow each other, as columns; one is made when it is asked for."""

    def __init__(
        self,
        streams: Sequence[str],
        versions: Sequence[int],
        topic: str,
        states: Sequence[bytes],
        first_position: int,
        times_ns: Sequence[Ints] = (),
        parts: Sequence[Opening | None] = (),
    ) -> None:
        """`times_ns` are the columns of times, if the rows have any. `parts` are empty where no row has one."""
        self._streams = streams
        self._versions = versions
        self._positions = range(first_position, first_position + len(streams))
        self._topic = topic
        self._states = states
        self._times_ns = times_ns
        self._erasable = parts

    def __len__(self) -> int:
        return len(self._streams)

    def make(self, place: int) -> Row:
        """Return one of the rows."""
        first_ns, last_ns, so_far_ns = (int(column[place]) for column in self._times_ns) if self._times_ns else _NONE
        part = self._erasable[place] if self._erasable else None
        named = (self._streams[place], self._versions[place], self._topic, self._states[place], self._positions[place])
        return Row(*named, first_ns, last_ns, so_far_ns, part)

    def of_streams(self, names: Container[str]) -> Iterator[Row]:
        """Yield the rows of some streams; no other one is made."""
        return (self.make(place) for place, stream in enumerate(self._streams) if stream in names)

    def of_account(self, account_id: str, names: Container[str]) -> Iterator[Row]:
        """Yield the rows of some streams of an account."""
        return (self.make(place) for place in self._by_account.get(account_id, ()) if self._streams[place] in names)

    def erasable(self) -> list[ErasableRow]:
        """Return what may be erased of the rows, of those that have such a part."""
        parts = zip(self._positions, self._erasable, strict=True) if self._erasable else ()
        return [(position, *part) for position, part in parts if part is not None]

    @cached_property
    def _by_account(self) -> Mapping[str, Sequence[int]]:
        found: dict[str, list[int]] = {}
        for place, stream in enumerate(self._streams):
            found.setdefault(account_of(stream), []).append(place)
        return found

    def _stored(self) -> Sequence[bytes]:
        """Return the bytes of the events as they are stored."""
        return self._states

    def copied(self) -> Iterator[bytes]:
        """Yield each row as COPY takes it in: fields of one size in all rows come out of arrays."""
        stored = self._stored()
        streams = "\n".join(self._streams).encode().split(b"\n")  # names of streams have no line breaks
        positions, versions = np.array(self._positions), np.array(self._versions)
        sizes = [np.array(list(map(len, texts))) for texts in (streams, stored)]
        begin = _fixed(len(self), _FIELDS, sizes[0].astype(">i4"))
        middle = _fixed(len(self), _SIZE.pack(8), versions, _text(self._topic), sizes[1].astype(">i4"))
        times = [part for column in self._times_ns for part in (_SIZE.pack(8), column)] or [_NULL * len(_NONE)]
        end = _fixed(len(self), _SIZE.pack(8), positions, *times)
        return map(b"".join, zip(begin, streams, middle, stored, end, strict=True))


class RunRows(ColumnRows):
    """Rows of fee streams, whose versions are positions; `times_ns`: the earliest, the latest, the latest so far."""

    def __init__(
        self,
        streams: Sequence[str],
        first_position: int,
        topic: str,
        states: Sequence[bytes],
        times_ns: Sequence[Ints],
        parts: Sequence[Opening | None] = (),
        *,
        charged: bool = True,
    ) -> None:
        """`charged` is False where no run says what its engine charged."""
        positions = range(first_position, first_position + len(streams))
        super().__init__(streams, positions, topic, states, first_position, times_ns, parts)
        self._charged = charged

    def _stored(self) -> Sequence[bytes]:
        return compressed(self._states, charged=self._charged) if self._topic == RUN else self._states


class LogRows(LazySequence[Row]):
    """The rows of a commit, in the order of their positions."""

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        self._parts: list[list[Row] | ColumnRows] = [[]]
        self._size = 0
        self._by_account: dict[str, list[Row]] = {}  # without those in columns
        for row in rows:
            self.append(row)

    def append(self, row: Row) -> None:
        """Add one row."""
        if isinstance(self._parts[-1], ColumnRows):
            self._parts.append([])
        last = self._parts[-1]
        assert isinstance(last, list), last
        last.append(row)
        self._by_account.setdefault(account_of(row.stream), []).append(row)
        self._size += 1

    def extend(self, rows: ColumnRows) -> None:
        """Add rows that are columns."""
        self._parts.append(rows)
        self._size += len(rows)

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Row]:
        return (row for part in self._parts for row in part)

    def make(self, place: int) -> Row:
        """Return one of the rows."""
        for part in self._parts:
            if place < len(part):
                return part[place]
            place -= len(part)
        raise AssertionError("a place within the size is in a part")

    def of_streams(self, names: Container[str]) -> Iterator[Row]:
        """Yield the rows of some streams, in order."""
        for part in self._parts:
            if isinstance(part, ColumnRows):
                yield from part.of_streams(names)
            else:
                yield from (row for row in part if row.stream in names)

    def of_account(self, account_id: str, names: Container[str]) -> list[Row]:
        """Return the rows of some streams of an account, in order; those of other accounts are not looked at."""
        found = [row for row in self._by_account.get(account_id, ()) if row.stream in names]
        for part in self._parts:
            if isinstance(part, ColumnRows):
                found += part.of_account(account_id, names)
        return sorted(found, key=lambda row: row.position)

    def erasable(self) -> list[ErasableRow]:
        """Return what may be erased of the rows, of those that have such a part."""
        found: list[ErasableRow] = []
        for part in self._parts:
            if isinstance(part, ColumnRows):
                found += part.erasable()
            else:
                found += ((row.position, *row.part) for row in part if row.part is not None)
        return found

    def copied(self) -> Iterator[bytes]:
        """Yield each row as COPY takes it in."""
        for part in self._parts:
            yield from part.copied() if isinstance(part, ColumnRows) else map(Row.copied, part)


def erasable_copied(row: ErasableRow) -> bytes:
    """Return a row of the erasable parts as COPY takes it in."""
    position, nonce, content = row
    return _ERASABLE.pack(len(row), 8, position, len(nonce), nonce, len(content)) + content


def _text(text: str) -> bytes:
    content = text.encode()
    return _SIZE.pack(len(content)) + content


def _number(value: int | None) -> bytes:
    return _NULL if value is None else _NUMBER.pack(8, value)


def _fixed(count: int, *parts: bytes | Ints) -> list[bytes]:
    """Join parts of one size in all rows, row by row; numbers take 8 bytes unless they are big-endian already."""
    columns = []
    for part in parts:
        if isinstance(part, bytes):
            columns.append(np.broadcast_to(np.frombuffer(part, dtype=np.uint8), (count, len(part))))
        else:
            numbers = part if part.dtype.byteorder == ">" else part.astype(">i8")
            columns.append(numbers.view(np.uint8).reshape(count, -1))
    together = np.concatenate(columns, axis=1)
    content, size = together.tobytes(), together.shape[1]
    return [content[begin:end] for begin, end in pairwise(range(0, (count + 1) * size, size))]
