"""Bytes of many rows, each of its own length, made column by column: pieces side by side, with the part in use."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from ledger.arrays.columns import Ints
from ledger.arrays.protobuf_wire import DELIMITED, varint, varint_rows


class Ragged:
    """Rows in the making. Pieces are added from left to right; they are cut at last, by `parts` or `joined`.

    rows.same(b"id="), then rows.choice([b"a", b"bb"], [1, 0]) -> parts [b"id=bb", b"id=a"].
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._pieces: list[Ints] = []
        self._used: list[Ints] = []
        self.sizes: Ints = np.zeros(count, dtype=np.int64)

    def same(self, content: bytes) -> None:
        """Add the same bytes to every row."""
        piece = np.broadcast_to(np.frombuffer(content, dtype=np.uint8), (self._count, len(content)))
        self._add(piece, np.ones(piece.shape, dtype=bool), len(content))

    def part(self, rows: Ints, begin: Ints, end: Ints) -> None:
        """Add to row n the bytes from begin[n] up to end[n] of row n of an array of bytes."""
        column = np.arange(rows.shape[1])
        self._add(rows, (column >= begin[:, None]) & (column < end[:, None]), end - begin)

    def varint(self, values: Ints) -> None:
        """Add a number to each row, as Protocol Buffers write it."""
        rows, sizes = varint_rows(values)
        self.part(rows, np.zeros_like(sizes), sizes)

    def choice(self, options: Sequence[bytes], which: Ints) -> None:
        """Add to each row one of some texts."""
        rows, sizes = padded(options)
        self.part(rows[which], np.zeros(self._count, dtype=np.int64), sizes[which])

    def texts(self, texts: Sequence[bytes]) -> None:
        """Add to each row a text of its own."""
        rows, sizes = padded(texts)
        self.part(rows, np.zeros_like(sizes), sizes)

    def message(self, field: int, content: Ragged) -> None:
        """Add to each row a field with a message, or with packed numbers."""
        self.same(varint(field << 3 | DELIMITED))
        self.varint(content.sizes)
        self.rows(content)

    def rows(self, other: Ragged) -> None:
        """Add to each row one that was made elsewhere."""
        self._pieces += other._pieces
        self._used += other._used
        self.sizes = self.sizes + other.sizes

    def only(self, which: Ints) -> Ragged:
        """Return the same rows, but empty ones where a boolean array is False."""
        found = Ragged(self._count)
        found._pieces = self._pieces
        found._used = [used & which[:, None] for used in self._used]
        found.sizes = np.where(which, self.sizes, 0)
        return found

    def joined(self) -> bytes:
        """Return all rows, one after the other."""
        if not self._pieces:
            return b""
        used = np.concatenate(self._used, axis=1)
        content: Ints = np.concatenate(self._pieces, axis=1)[used]
        return content.tobytes()

    def parts(self) -> list[bytes]:
        """Return the rows one by one."""
        return list(cut(self.joined(), self.sizes))

    def _add(self, piece: Ints, used: Ints, sizes: Ints | int) -> None:
        self._pieces.append(piece)
        self._used.append(used)
        self.sizes = self.sizes + sizes


def cut(content: bytes, sizes: Ints) -> Iterator[bytes]:
    """Cut bytes into parts of some sizes: cut(b"abc", [1, 2]) -> b"a", b"bc"."""
    bounds = [0, *np.cumsum(sizes).tolist()]
    return (content[begin:end] for begin, end in pairwise(bounds))


def padded(texts: Sequence[bytes]) -> tuple[Ints, Ints]:
    """Return (texts as rows of an array, filled up with zeros; their sizes)."""
    sizes = np.array(list(map(len, texts)))
    width = max(int(sizes.max()), 1)
    return np.array(texts, dtype=f"S{width}").view(np.uint8).reshape(len(texts), width), sizes
