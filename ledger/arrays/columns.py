"""Columns of integers and texts.

Integers are int64 where that holds every value, Python's own (dtype object) where it does not.

Nothing here rounds or overflows: callers that multiply look at INT64_ROOM first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Ints: TypeAlias = npt.NDArray[Any]
Texts: TypeAlias = npt.NDArray[np.bytes_]

INT64_ROOM: Final = 1 << 62  # below this, sums and differences of two values still fit int64
INT64_MAX: Final = (1 << 63) - 1
_INT64_DIGITS: Final = 19
_ZERO, _NINE = np.frombuffer(b"09", dtype=np.uint8)
_POWERS: Final = np.array([10**exponent for exponent in range(_INT64_DIGITS)], dtype=np.uint64)
_TEN, _NINE_UNITS = np.array([10, 9], dtype=np.uint64)
# In each byte of a word: a bit that digits and the point have, and one that only digits have.
_WRITTEN, _DIGIT = np.array([0x2020202020202020, 0x1010101010101010], dtype=np.uint64)
# The steps that make a number of a word of digits: factor, shift, mask.
_STEPS: Final = tuple(
    np.array(step, dtype=np.uint64)
    for step in (
        (10 << 8 | 1, 8, 0x00FF00FF00FF00FF),
        (100 << 16 | 1, 16, 0x0000FFFF0000FFFF),
        (10_000 << 32 | 1, 32, 0x00000000FFFFFFFF),
    )
)
_MIX_OF_ONE: Final = 0xBF58476D1CE4E5B9
_MIX: Final = np.uint64(_MIX_OF_ONE)
_DIGEST_OF_NOTHING: Final = 0x9E3779B97F4A7C15
_DIGEST_SHIFT: Final = 29
_WORD_MASK: Final = (1 << 64) - 1
_LINE_BREAK: Final = 10
_WORD: Final = 8  # bytes of the widest integer that is packed
_WORDS: Final = (1, 2, 4, 8)  # widths that numpy knows
_FEW_TEXTS: Final = 16  # up to so many texts are made one by one: arrays pay beyond
_PLACE_BITS: Final = 22  # a batch has fewer fills
_TABLE_PER_LINE: Final = 8  # a table of all possible codes is cheaper than sorting while it is not much larger


def column(values: Sequence[int]) -> Ints:
    """Make a column of integers of any size."""
    try:
        return np.array(values, dtype=np.int64)
    except OverflowError:
        return np.array(values, dtype=object)


def wide(values: Ints) -> Ints:
    """Return the column in Python's own integers."""
    return values.astype(object)


def narrow(values: Ints) -> Ints:
    """Return the column as int64, if that holds every value."""
    if values.dtype != object or max(int(values.max()), -int(values.min())) > INT64_MAX:
        return values
    return values.astype(np.int64)


def is_wide(*columns: Ints) -> bool:
    """Return True if any of the columns holds Python's own integers."""
    return any(values.dtype == object for values in columns)


def in_order(codes: Ints) -> tuple[Ints, Ints]:
    """Return (places in ascending order of their codes, the codes so sorted). 0 <= codes < 2^40.

    Places with equal codes keep their order: in_order([5, 3, 5]) -> ([1, 0, 2], [3, 5, 5]). Sorting code and place as
    one number is several times as fast as a stable argsort.
    """
    assert len(codes) < 1 << _PLACE_BITS, len(codes)
    if len(codes) == 1:
        return np.zeros(1, dtype=np.int64), codes
    both = (codes << _PLACE_BITS) | np.arange(len(codes))
    both.sort()
    return both & ((1 << _PLACE_BITS) - 1), both >> _PLACE_BITS


def distinct(codes: Ints, codes_end: int) -> tuple[Ints, Ints]:
    """Return (the codes, each once, ascending; the place of each element's code among them). 0 <= codes < codes_end.

    distinct([5, 3, 5], 6) -> ([3, 5], [1, 0, 1])
    """
    if len(codes) == 1:
        return codes, np.zeros(1, dtype=np.int64)
    if codes_end > _TABLE_PER_LINE * len(codes) + 1024:
        found, places = np.unique(codes, return_inverse=True)
        return found, places
    table = np.zeros(codes_end, dtype=np.int64)
    table[codes] = 1
    found = np.flatnonzero(table)
    table[found] = np.arange(len(found))
    return found, table[codes]


def starts_of(codes: Ints) -> Ints:
    """Return the places at which a new code begins in a sorted column: starts_of([3, 3, 5]) -> [0, 2]."""
    begins = np.ones(len(codes), dtype=bool)
    np.not_equal(codes[1:], codes[:-1], out=begins[1:])
    return begins.nonzero()[0]


def sizes_of(starts: Ints, count: int) -> Ints:
    """Return the sizes of the stretches of `count` elements that begin at `starts`: sizes_of([0, 2], 3) -> [2, 1]."""
    sizes = np.empty_like(starts)
    np.subtract(starts[1:], starts[:-1], out=sizes[:-1])
    sizes[-1:] = count - starts[-1:]
    return sizes


def sums(values: Ints, starts: Ints) -> list[int]:
    """Return the exact sums of the stretches that begin at `starts`: sums([1, 2, 4], [0, 2]) -> [3, 4]."""
    if values.dtype == object:
        return list(np.add.reduceat(values, starts))
    high, low = np.add.reduceat(values >> 32, starts), np.add.reduceat(values & 0xFFFFFFFF, starts)
    return [(above << 32) + below for above, below in zip(high.tolist(), low.tolist(), strict=True)]


def packed(values: Ints, *, signed: bool = False) -> Packed:
    """Pack integers as little-endian bytes, each as wide as the largest needs: 1 to 8 bytes. `unpacked` reads them.

    packed([1, 258]) -> 01 00 02 01, width 2. Integers are not negative unless they are `signed`.
    """
    if len(values) == 1:
        return packed_list(values.tolist(), signed=signed)
    largest = int(values.max())
    if signed:
        largest = max(largest, -int(values.min()) - 1)
    width = max(-(-(largest.bit_length() + signed) // 8), 1)
    if width in _WORDS:
        return Packed(values.astype(f"<{'i' if signed else 'u'}{width}").tobytes(), width)
    rows = values.astype("<i8" if signed else "<u8").view(np.uint8).reshape(len(values), _WORD)
    return Packed(rows[:, :width].tobytes(), width)


def packed_list(values: Sequence[int], *, signed: bool = False) -> Packed:
    """Pack few integers, at least one, as `packed` does."""
    if not any(values):
        return Packed(bytes(len(values)), 1)
    largest = max(values)
    if signed:
        largest = max(largest, -min(values) - 1)
    width = max(-(-(largest.bit_length() + signed) // 8), 1)
    return Packed(b"".join([value.to_bytes(width, "little", signed=signed) for value in values]), width)


def unpacked(data: bytes, count: int, *, signed: bool = False) -> Ints:
    """Return the integers of a packed column."""
    width = len(data) // count or 1
    if width in _WORDS:
        return np.frombuffer(data, dtype=f"<{'i' if signed else 'u'}{width}")
    rows = np.zeros((count, _WORD), dtype=np.uint8)
    rows[:, _WORD - width :] = np.frombuffer(data, dtype=np.uint8).reshape(count, width)
    words: Ints = rows.view("<i8" if signed else "<u8").ravel()
    return words >> (8 * (_WORD - width))  # the sign comes along with signed ones


def packed_texts(texts: Texts) -> Packed:
    """Pack texts (dtype S), each filled up with zeros to the longest."""
    return Packed(texts.tobytes(), texts.dtype.itemsize)


def packed_words(words: Sequence[bytes], width: int = 0) -> Packed:
    """Pack few texts, at least one, as `packed_texts` does; 0: as wide as the longest."""
    width = width or max(map(len, words)) or 1
    return Packed(b"".join([word.ljust(width, b"\0") for word in words]), width)


def text_column(data: bytes, count: int) -> Texts:
    """Return a packed column of texts (dtype S)."""
    return np.frombuffer(data, dtype=f"S{len(data) // count}")


def unpacked_texts(data: bytes, count: int) -> list[str]:
    """Return the texts of a packed column."""
    return [text.decode() for text in text_column(data, count).tolist()]


def texts(values: Sequence[str]) -> Texts:
    """Make a column of texts (dtype S): bytes of one width, filled up with zeros."""
    if len(values) <= _FEW_TEXTS:
        return np.array([value.encode() for value in values], dtype=np.bytes_)
    buffer = np.frombuffer(("\n".join(values) + "\n").encode(), dtype=np.uint8)
    lengths = np.diff(np.flatnonzero(buffer == _LINE_BREAK), prepend=-1) - 1
    if len(lengths) != len(values):  # a text has a line break of its own
        return np.array([value.encode() for value in values])
    width = max(int(lengths.max()), 1)
    rows = np.zeros((len(values), width), dtype=np.uint8)
    rows[np.arange(width) < lengths[:, None]] = buffer[buffer != _LINE_BREAK]
    return rows.view(f"S{width}").ravel()


def numbered(names: Texts) -> Ints | Texts:
    """Return ids as numbers, if every one is written as a positive int64 is printed: ["7", "12"] -> [7, 12]."""
    if not len(names) or names.dtype.itemsize > _INT64_DIGITS:
        return names
    rows = _characters(names)
    digits = (rows >= _ZERO) & (rows <= _NINE)
    if not (digits | (rows == 0)).all() or not (rows[:, 0] > _ZERO).all():
        return names
    numbers = _spelled(names)
    return numbers.astype(np.int64) if int(numbers.max()) <= INT64_MAX else names


def mantissas(texts: Texts, decimals: Ints, pointed: Ints) -> Ints:
    """Read decimals without their point: texts ["1.50", "7"], decimals [2, 0], pointed [1, 0] -> [150, 7].

    `decimals` are the digits after the point, `pointed` is 1 where there is a point.
    """
    if texts.dtype.itemsize > _INT64_DIGITS - 1:
        return column([int(text.replace(b".", b"")) for text in texts.tolist()])
    spelled, power = _spelled(texts), _POWERS[decimals]
    without_point: Ints = spelled - spelled // (power * _TEN) * (pointed * _NINE_UNITS * power)
    return without_point.astype(np.int64)


def _characters(names: Texts) -> Ints:
    return np.ascontiguousarray(names).view(np.uint8).reshape(len(names), names.dtype.itemsize)


def _spelled(texts: Texts) -> Ints:
    """Return the numbers that texts of digits spell, below 2^64; a point counts as a digit 0: "1.5" -> 105.

    Eight digits at a time: a word of them becomes a number in three steps, of pairs, then fours, then all.
    """
    width = -(-texts.dtype.itemsize // _WORD)
    words = texts.astype(f"S{_WORD * width}").view("<u8").reshape(len(texts), width)
    sizes = np.bitwise_count(words & _WRITTEN)
    words <<= (_WORD - sizes).astype(np.uint64) << np.uint64(3)  # so that the last digit is in the last byte
    words &= ((words & _DIGIT) >> np.uint64(4)) * np.uint64(0x0F)
    for factor, shift, mask in _STEPS:
        words = (words * factor >> shift) & mask
    numbers: Ints = words[:, 0]
    for place in range(1, width):
        numbers = numbers * _POWERS[sizes[:, place]] + words[:, place]
    return numbers


def digests(names: Texts) -> Ints:
    """Return a 64-bit digest of each text: equal texts have equal digests, others hardly ever, whatever the width."""
    width = -(-names.dtype.itemsize // 8)
    words = names.astype(f"S{8 * width}").view(np.uint64).reshape(len(names), width)
    mixed = np.full(len(names), _DIGEST_OF_NOTHING, dtype=np.uint64)
    for place in range(width):
        word = words[:, place]
        spread = (mixed ^ word) * _MIX
        mixed = np.where(word == 0, mixed, spread ^ (spread >> np.uint64(_DIGEST_SHIFT)))
    return mixed


def digest(name: bytes) -> int:
    """Return the digest of one text, as `digests` does."""
    mixed = _DIGEST_OF_NOTHING
    for start in range(0, len(name), _WORD):
        if word := int.from_bytes(name[start : start + _WORD], "little"):
            spread = (mixed ^ word) * _MIX_OF_ONE & _WORD_MASK
            mixed = spread ^ spread >> _DIGEST_SHIFT
    return mixed


class Packed(NamedTuple):
    """A column as bytes, `width` of them to a value."""

    data: bytes
    width: int

    def between(self, start: int, end: int) -> bytes:
        """Return the bytes of the values from place `start` up to `end`."""
        return self.data[start * self.width : end * self.width]
