"""Texts that only pass through the ledger, whatever a customer chose: no price depends on them, and none is refused."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Sequence
from typing import Final

import numpy as np

from ledger.arrays.columns import Texts
from ledger.server.fills.id_columns import rows_of

PASSED: Final = ("trade_id", "order_id", "cl_ord_id")  # of a Fill
BYTES_MAX: Final = 256
MARK: Final = "sha256:"  # before the hash of a text that is too long to be kept, or not printable
PRINTABLE: Final = bytes(range(0x20, 0x7F))  # of ASCII
# Controls, what is invisible or changes the direction of what follows, ends of lines.
_UNPRINTABLE: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def passed_texts(texts: Texts) -> Texts:
    """A column of texts as it is kept: each as it came, or its hash; zero bytes fill a text up, and are none of it."""
    if texts.dtype.itemsize <= BYTES_MAX and not _others(texts):
        return texts
    values = texts.tolist()
    kept = {value: _kept(value) for value in set(values)}
    return np.array([kept[value] for value in values], dtype=np.bytes_)


def passed(values: Sequence[str]) -> Sequence[str]:
    """The same of texts one by one."""
    together = "".join(values)
    if together.isascii() and together.isprintable() and max(map(len, values)) <= BYTES_MAX:
        return values
    return [_kept(value.encode()).decode() for value in values]


def _others(texts: Texts) -> bool:
    """Whether a text has bytes that are not printable ASCII."""
    others = texts.tobytes().translate(None, PRINTABLE)
    if others.count(0) < len(others):
        return True
    rows = rows_of(texts)  # zeros stand behind the text, never within it
    return bool(others) and bool(((rows[:, :-1] == 0) & (rows[:, 1:] != 0)).any())


def _kept(text: bytes) -> bytes:
    try:
        printable = _is_printable(text.decode()) and len(text) <= BYTES_MAX
    except UnicodeDecodeError:
        printable = False
    return text if printable else f"{MARK}{hashlib.sha256(text).hexdigest()}".encode()


def _is_printable(text: str) -> bool:
    return not any(unicodedata.category(character) in _UNPRINTABLE for character in text)
