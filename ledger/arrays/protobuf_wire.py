"""The wire format of Protocol Buffers, for columns of messages: https://protobuf.dev/programming-guides/encoding/."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np

from ledger.arrays.columns import Ints

VARINT, DELIMITED = 0, 2  # wire types: the ones in the log
_FIXED: Final = {1: 8, 5: 4}  # wire types of others, and the bytes that they take
_BYTES_MAX: Final = 10  # of a varint
_SHIFTS: Final = np.arange(0, 7 * _BYTES_MAX, 7, dtype=np.uint64)


def varint(value: int) -> bytes:
    """Encode a number that is not negative: varint(300) -> ac 02."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def read_varint(data: bytes, place: int) -> tuple[int, int]:
    """Return (the number at a place, the place after it). Raises IndexError where the data ends too soon."""
    value = shift = 0
    while data[place] > 0x7F:
        value |= (data[place] & 0x7F) << shift
        place, shift = place + 1, shift + 7
    return value | data[place] << shift, place + 1


class WireField(NamedTuple):
    """A field of a message: its number, all its bytes, and without tag and size where it is delimited."""

    number: int
    whole: bytes
    content: bytes


def wire_fields(data: bytes) -> Iterator[WireField]:
    """Yield the fields of a message as they lie there, for example 0a 01 41 as (1, 0a 01 41, 41).

    Raises ValueError where the bytes are no message.
    """
    place = 0
    try:
        while place < len(data):
            begin = place
            tag, place = read_varint(data, place)
            kind, start = tag & 7, place
            if kind == VARINT:
                _, place = read_varint(data, place)
            elif kind == DELIMITED:
                size, start = read_varint(data, place)
                place = start + size
            else:
                place += _FIXED[kind]
            if place > len(data):
                raise IndexError(place)
            yield WireField(tag >> 3, data[begin:place], data[start:place] if kind == DELIMITED else b"")
    except (IndexError, KeyError):
        raise ValueError("the bytes are no message of Protocol Buffers") from None


def varints(values: Sequence[int] | Ints) -> list[bytes]:
    """Encode many numbers below 2^64."""
    if not len(values):
        return []
    rows, sizes = varint_rows(np.array(values, dtype=np.uint64))
    return [row[:size] for row, size in zip(map(bytes, rows), sizes.tolist(), strict=True)]


def varint_rows(values: Ints) -> tuple[Ints, Ints]:
    """Encode numbers below 2^64 as (rows of bytes, how many bytes of each row count).

    varint_rows([1, 300]) -> ([[1, 0], [0xac, 2]], [1, 2])
    """
    values = values.astype(np.uint64)
    width = max(-(-int(values.max()).bit_length() // 7), 1)
    parts = values[:, None] >> _SHIFTS[:width]
    sizes = np.maximum((parts != 0).sum(axis=1), 1)
    rows = (parts & np.uint64(0x7F)).astype(np.uint8)
    rows |= np.where(np.arange(width) < sizes[:, None] - 1, np.uint8(0x80), np.uint8(0))
    return rows, sizes


def number(field: int) -> bytes:
    """Return the tag before a number in a field."""
    return varint(field << 3 | VARINT)


class Heads(dict[int, bytes]):
    """The tag and the size before so many bytes in a field, by size: for texts, bytes, messages, packed numbers."""

    def __init__(self, field: int) -> None:
        super().__init__()
        self._tag = varint(field << 3 | DELIMITED)

    def __missing__(self, size: int) -> bytes:
        head = self[size] = self._tag + varint(size)
        return head

    def __call__(self, content: bytes) -> bytes:
        """Return the field with its content."""
        return self[len(content)] + content

    def each(self, contents: Iterable[bytes]) -> list[bytes]:
        """Return the field with each of some contents."""
        return [self[len(content)] + content for content in contents]
