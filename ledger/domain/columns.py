"""Integers in columns: int64 where that holds every value, Python's own integers (dtype object) where it does not.

Nothing here rounds or overflows: who multiplies asks `wide` first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

Ints: TypeAlias = npt.NDArray[Any]

INT64_ROOM: Final = 1 << 62  # below this, sums and differences of two values still fit
_PLACE_BITS: Final = 22  # a batch has fewer fills
_TABLE_PER_LINE: Final = 8  # a table of all possible codes is cheaper than sorting while it is not much larger


def column(values: Sequence[int]) -> Ints:
    """Integers of any size as a column."""
    try:
        return np.array(values, dtype=np.int64)
    except OverflowError:
        return np.array(values, dtype=object)


def wide(values: Ints) -> Ints:
    """The same column in Python's own integers."""
    return values.astype(object)


def is_wide(*columns: Ints) -> bool:
    """Whether any of the columns holds Python's own integers."""
    return any(values.dtype == object for values in columns)


def in_order(codes: Ints) -> tuple[Ints, Ints]:
    """(places in ascending order of their codes, otherwise as they came; the codes so sorted). 0 <= codes < 2^40.

    Sorting code and place as one number is several times as fast as a stable argsort.
    """
    assert len(codes) < 1 << _PLACE_BITS, len(codes)
    both = (codes << _PLACE_BITS) | np.arange(len(codes))
    both.sort()
    return both & ((1 << _PLACE_BITS) - 1), both >> _PLACE_BITS


def distinct(codes: Ints, codes_end: int) -> tuple[Ints, Ints]:
    """(the different codes, ascending; of each element the place of its code among them). 0 <= codes < codes_end."""
    if codes_end > _TABLE_PER_LINE * len(codes) + 1024:
        found, places = np.unique(codes, return_inverse=True)
        return found, places
    table = np.zeros(codes_end, dtype=np.int64)
    table[codes] = 1
    found = np.flatnonzero(table)
    table[found] = np.arange(len(found))
    return found, table[codes]


def starts_of(codes: Ints) -> Ints:
    """Where in a sorted column each code begins."""
    return np.flatnonzero(np.diff(codes, prepend=-1))


def sums(values: Ints, starts: Ints) -> list[int]:
    """Exact sums of the stretches that begin at `starts`."""
    if values.dtype == object:
        return list(np.add.reduceat(values, starts))
    high, low = np.add.reduceat(values >> 32, starts), np.add.reduceat(values & 0xFFFFFFFF, starts)
    return [(above << 32) + below for above, below in zip(high.tolist(), low.tolist(), strict=True)]
