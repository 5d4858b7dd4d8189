"""Ids as columns of bytes: whether each is one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from ledger.arrays.columns import Ints, Texts
from ledger.wire.fields import ID

_IS_OF_ID: Final = np.array([ID.fullmatch(chr(code)) is not None for code in range(256)])
OF_ID: Final = bytes(code for code in range(256) if _IS_OF_ID[code])
_LENGTH_MAX: Final = 64


def are_ids(names: Sequence[str]) -> bool:
    """Whether all names are ids."""
    joined = "".join(names)
    return joined.isascii() and not joined.encode().translate(None, OF_ID) and _lengths_fit(list(map(len, names)))


def _lengths_fit(lengths: Sequence[int]) -> bool:
    return min(lengths, default=1) > 0 and max(lengths, default=1) <= _LENGTH_MAX


def ids_of(names: Texts, *, required: bool) -> Ints:
    """Of each text, of at most 64 bytes, whether it is an id, or nothing where that will do."""
    rows = rows_of(names)
    good = np.ones(len(names), dtype=bool)
    others = not_of_ids(names)
    if others.count(0) < len(others):
        good &= (_IS_OF_ID[rows] | (rows == 0)).all(axis=1)
    if others:  # zeros stand behind the text, never within it
        good &= ~((rows[:, :-1] == 0) & (rows[:, 1:] != 0)).any(axis=1)
    if required:
        good &= rows[:, 0] != 0
    return good


def not_of_ids(names: Texts) -> bytes:
    """Whatever texts hold that no id does; filled up to one width, zeros at least."""
    return names.tobytes().translate(None, OF_ID)


def rows_of(names: Texts) -> Ints:
    """The bytes of texts, a row for each."""
    return np.ascontiguousarray(names).view(np.uint8).reshape(len(names), names.dtype.itemsize)
