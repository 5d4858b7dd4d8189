"""Reads the fields of many small messages at once: their bytes side by side, a cursor in each, and numpy.

Fields are read in the order of their numbers, as every serialiser writes them, each at most once. A message that is
written otherwise, or has other fields, is not wrong: `done` tells it apart, and the caller reads it another way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from ledger.arrays.columns import Ints, Texts
from ledger.arrays.protobuf_wire import DELIMITED, VARINT
from ledger.domain.instants import LATEST_NS, SECOND_NS

_STEP_MAX: Final = 2 + 255  # bytes that a field can move a cursor on, whatever they are
_LOOK_MAX: Final = 32  # bytes that are looked at after a cursor
_MORE: Final = 0x80  # of a byte of a varint: another follows
_SECONDS_AT, _SECONDS_BYTES = 1, 5  # in a Timestamp of the years 1978 to 3058
_NANOS_BYTES_MAX: Final = 5
_NANOS_AT: Final = 2 + _SECONDS_BYTES
_SECONDS_MAX: Final = LATEST_NS // SECOND_NS  # of later ones the nanoseconds might not fit an int64


def _word(*values: int) -> int:
    """Return a number out of its bytes, the lowest first: _word(0x80, 1) is 0x180."""
    return int.from_bytes(bytes(values), "little")


_SECONDS_END: Final = _word(0x80, 0x80, 0x80, 0x80, 0x00)
_CONTINUED: Final = _word(*[_MORE] * _SECONDS_BYTES)


class _TimeTable(NamedTuple):
    """The bytes that a Timestamp of each length must have, by its length: which bits are fixed, and their values.

    Lengths that no Timestamp with seconds of five bytes has are not `known`.
    """

    known: Ints
    head_mask: Ints
    head: Ints
    nanos_mask: Ints
    nanos_end: Ints


def _time_table() -> _TimeTable:
    table = _TimeTable(np.zeros(256, dtype=bool), *np.zeros((4, 256), dtype=np.int64))
    for nanos_bytes in range(_NANOS_BYTES_MAX + 1):
        length = 1 + _SECONDS_BYTES + (1 + nanos_bytes if nanos_bytes else 0)
        tags = (0xFF, *[0] * _SECONDS_BYTES, 0xFF if nanos_bytes else 0)
        table.known[length] = True
        table.head_mask[length] = _word(*tags)
        table.head[length] = _word(1 << 3 | VARINT, *[0] * _SECONDS_BYTES, (2 << 3 | VARINT) if nanos_bytes else 0)
        table.nanos_mask[length] = _word(*[0xFF] * nanos_bytes)
        table.nanos_end[length] = _word(*[_MORE] * (nanos_bytes - 1))
    return table


_TIMES: Final = _time_table()


class TextSpan(NamedTuple):
    """The place of a text in each message; its length is 0 where the message does not have it."""

    start: Ints
    length: Ints


class WireColumns:
    """The messages, and how far each of them is read."""

    def __init__(self, messages: Sequence[bytes], fields_max: int) -> None:
        """`fields_max` is how many fields will be read at most."""
        lengths = np.array(list(map(len, messages)))
        self._count = len(messages)
        self._data = b"".join((*messages, bytes(_STEP_MAX * (fields_max + 1) + _LOOK_MAX)))
        self._ends = lengths.cumsum()
        self._bytes = np.frombuffer(self._data, dtype=np.uint8)
        self._pairs = self._view("<u2", 2)
        self._words = self._view("<i8", 8)
        self._known: Ints | bool = True
        self._move_to(self._ends - lengths)

    def _view(self, kind: str, width: int) -> Ints:
        """Return a view with an element at every byte: the number of `width` bytes that begins there."""
        return np.ndarray(len(self._data) - width + 1, kind, self._data, strides=(1,))

    def _move_to(self, cursor: Ints) -> None:
        self._cursor = cursor
        self._next = self._pairs[cursor]  # two bytes: mostly a tag, and the byte after it
        self._tags = self._next & 0xFF

    def done(self) -> Ints:
        """Return a boolean for each message: True if it was read to its end, without a field of another kind."""
        done: Ints = self._known & (self._cursor == self._ends)
        return done

    def text(self, field: int) -> TextSpan | None:
        """Read a text field; None if no message has it."""
        here = self._tags == (field << 3 | DELIMITED)
        count = int(np.count_nonzero(here))
        if not count:
            return None
        start, length = self._cursor + 2, (self._next >> 8).astype(np.int64)
        if count < self._count:
            length *= here
        self._move(here, count, start + length)
        return TextSpan(start, length)

    def number(self, field: int) -> Ints | None:
        """Read a field of numbers below 128, 0 for a message without it; None if no message has it."""
        tag = field << 3 | VARINT
        short = tag < _MORE
        here = self._tags == tag if short else self._next == _word(tag & 0x7F | _MORE, tag >> 7)
        count = int(np.count_nonzero(here))
        if not count:
            return None
        after = self._cursor + (2 if short else 3)
        value = self._bytes.take(after - 1)
        if count < self._count:
            value *= here
        self._move(here, count, after)
        return value

    def time_ns(self, field: int) -> Ints | None:
        """Read a Timestamp field in ns, 0 for a message without it; None if no message has it."""
        here = self._tags == (field << 3 | DELIMITED)
        count = int(np.count_nonzero(here))
        if not count:
            return None
        start, length = self._cursor + 2, self._next >> 8
        head, tail = self._words[start], self._words[start + _NANOS_AT]
        seconds, nanos = head >> 8 * _SECONDS_AT, tail & _TIMES.nanos_mask.take(length)
        fits = _TIMES.known.take(length) & (head & _TIMES.head_mask.take(length) == _TIMES.head.take(length))
        fits &= (seconds & _CONTINUED == _SECONDS_END) & (nanos & _CONTINUED == _TIMES.nanos_end.take(length))
        seconds, nanos = _varints(seconds), _varints(nanos)
        fits &= (nanos < SECOND_NS) & (seconds <= _SECONDS_MAX)
        time_ns = seconds * SECOND_NS + nanos
        if count < self._count:
            fits |= ~here
            time_ns *= here
        self._known &= fits
        self._move(here, count, start + length)
        return time_ns

    def texts(self, span: TextSpan, least: int, most: int) -> Texts:
        """Return the texts, each filled up with zeros to the longest; their lengths go from `least` to `most`."""
        found = self._view(f"S{most or 1}", most or 1)[span.start]
        if least < most or not most:
            rows = found.view(np.uint8).reshape(self._count, -1)
            rows *= np.arange(most or 1, dtype=np.uint8) < span.length.astype(np.uint8)[:, None]
        return found

    def _move(self, here: Ints, count: int, after: Ints) -> None:
        self._move_to(after if count == self._count else np.where(here, after, self._cursor))


def _varints(word: Ints) -> Ints:
    """Return the numbers that words of varints stand for, each of up to five bytes."""
    low = (word & 0x7F) | (word >> 1 & 0x7F << 7) | (word >> 2 & 0x7F << 14)
    joined: Ints = low | (word >> 3 & 0x7F << 21) | (word >> 4 & 0x7F << 28)
    return joined
