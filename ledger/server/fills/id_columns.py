"""Checks of ids, as columns of bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from ledger.arrays.columns import Ints, Texts
from ledger.wire.fields import ID

_IS_ID_BYTE: Final = np.array([ID.fullmatch(chr(code)) is not None for code in range(256)])
ID_BYTES: Final = bytes(code for code in range(256) if _IS_ID_BYTE[code])
_LENGTH_MAX: Final = 64


def are_ids(names: Sequence[str]) -> bool:
    """Return True if all names are ids."""
    joined = "".join(names)
    return joined.isascii() and not joined.encode().translate(None, ID_BYTES) and _lengths_fit(list(map(len, names)))


def _lengths_fit(lengths: Sequence[int]) -> bool:
    return min(lengths, default=1) > 0 and max(lengths, default=1) <= _LENGTH_MAX


def id_mask(names: Texts, *, required: bool) -> Ints:
    """Return for each text, of at most 64 bytes, True if it is an id, or empty and not `required`."""
    rows = byte_rows(names)
    good = np.ones(len(names), dtype=bool)
    others = _other_bytes(names)
    if others.count(0) < len(others):
        good &= (_IS_ID_BYTE[rows] | (rows == 0)).all(axis=1)
    if others:  # zeros fill a text up at its end, and are never within it
        good &= ~((rows[:, :-1] == 0) & (rows[:, 1:] != 0)).any(axis=1)
    if required:
        good &= rows[:, 0] != 0
    return good


def _other_bytes(names: Texts) -> bytes:
    """Return the bytes of texts that no id has: at least the zeros that fill them up to one width."""
    return names.tobytes().translate(None, ID_BYTES)


def byte_rows(names: Texts) -> Ints:
    """Return the bytes of n texts of width w, as an array of n rows and w columns."""
    return np.ascontiguousarray(names).view(np.uint8).reshape(len(names), names.dtype.itemsize)
