"""Texts that only pass through the ledger, whatever a customer chose: no price depends on them, and none is refused."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Sequence
from typing import Final

import numpy as np

from ledger.arrays.columns import Texts
from ledger.server.fills.id_columns import byte_rows

PASSED: Final = ("trade_id", "order_id", "cl_ord_id")  # of a Fill
BYTES_MAX: Final = 256
MARK: Final = "sha256:"  # before the hash of a text that is too long to be kept, or not printable
PRINTABLE: Final = bytes(range(0x20, 0x7F))  # of ASCII
# Controls, what is invisible or changes the direction of what follows, ends of lines.
_UNPRINTABLE: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def kept_text_column(texts: Texts) -> Texts:
    """Return a column of texts as they are kept: each as it came, or its hash. Zeros at its end only fill it up."""
    if texts.dtype.itemsize <= BYTES_MAX and not _has_other_bytes(texts):
        return texts
    values = texts.tolist()
    kept = {value: _kept(value) for value in set(values)}
    return np.array([kept[value] for value in values], dtype=np.bytes_)


def kept_texts(values: Sequence[str]) -> Sequence[str]:
    """Return texts as they are kept: each as it came, or its hash where it is too long or not printable."""
    together = "".join(values)
    if together.isascii() and together.isprintable() and max(map(len, values)) <= BYTES_MAX:
        return values
    return [_kept(value.encode()).decode() for value in values]


def _has_other_bytes(texts: Texts) -> bool:
    """Return True if a text has bytes that are not printable ASCII."""
    others = texts.tobytes().translate(None, PRINTABLE)
    if others.count(0) < len(others):
        return True
    rows = byte_rows(texts)  # zeros fill a text up at its end, and are never within it
    return bool(others) and bool(((rows[:, :-1] == 0) & (rows[:, 1:] != 0)).any())


def _kept(text: bytes) -> bytes:
    try:
        printable = _is_printable(text.decode()) and len(text) <= BYTES_MAX
    except UnicodeDecodeError:
        printable = False
    return text if printable else f"{MARK}{hashlib.sha256(text).hexdigest()}".encode()


def _is_printable(text: str) -> bool:
    return not any(unicodedata.category(character) in _UNPRINTABLE for character in text)
