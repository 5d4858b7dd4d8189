"""Bytes of many rows, each of its own length, made column by column: pieces side by side, of which rows use a part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from ledger.arrays.columns import Ints
from ledger.arrays.protobuf_wire import DELIMITED, varint, varint_rows


class Ragged:
    """Rows in the making. Pieces are added from left to right; nothing is cut out before `parts` or `joined`."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._pieces: list[Ints] = []
        self._used: list[Ints] = []
        self.sizes: Ints = np.zeros(count, dtype=np.int64)

    def same(self, content: bytes) -> None:
        """The same bytes in every row."""
        piece = np.broadcast_to(np.frombuffer(content, dtype=np.uint8), (self._count, len(content)))
        self._add(piece, np.ones(piece.shape, dtype=bool), len(content))

    def part(self, rows: Ints, begin: Ints, end: Ints) -> None:
        """Of each row of an array of bytes those from `begin` up to `end`."""
        column = np.arange(rows.shape[1])
        self._add(rows, (column >= begin[:, None]) & (column < end[:, None]), end - begin)

    def varint(self, values: Ints) -> None:
        """Numbers as Protocol Buffers write them."""
        rows, sizes = varint_rows(values)
        self.part(rows, np.zeros_like(sizes), sizes)

    def choice(self, options: Sequence[bytes], which: Ints) -> None:
        """One of some texts in each row."""
        rows, sizes = padded(options)
        self.part(rows[which], np.zeros(self._count, dtype=np.int64), sizes[which])

    def texts(self, texts: Sequence[bytes]) -> None:
        """A text for each row."""
        rows, sizes = padded(texts)
        self.part(rows, np.zeros_like(sizes), sizes)

    def message(self, field: int, content: Ragged) -> None:
        """A field with a message, or with packed numbers, in each row."""
        self.same(varint(field << 3 | DELIMITED))
        self.varint(content.sizes)
        self.rows(content)

    def rows(self, other: Ragged) -> None:
        """The rows that were made elsewhere."""
        self._pieces += other._pieces
        self._used += other._used
        self.sizes = self.sizes + other.sizes

    def only(self, which: Ints) -> Ragged:
        """The same rows, but empty where a column of booleans says no."""
        found = Ragged(self._count)
        found._pieces = self._pieces
        found._used = [used & which[:, None] for used in self._used]
        found.sizes = np.where(which, self.sizes, 0)
        return found

    def joined(self) -> bytes:
        """All rows behind each other."""
        if not self._pieces:
            return b""
        used = np.concatenate(self._used, axis=1)
        content: Ints = np.concatenate(self._pieces, axis=1)[used]
        return content.tobytes()

    def parts(self) -> list[bytes]:
        """Row by row."""
        return list(cut(self.joined(), self.sizes))

    def _add(self, piece: Ints, used: Ints, sizes: Ints | int) -> None:
        self._pieces.append(piece)
        self._used.append(used)
        self.sizes = self.sizes + sizes


def cut(content: bytes, sizes: Ints) -> Iterator[bytes]:
    """Bytes in parts of some sizes."""
    bounds = [0, *np.cumsum(sizes).tolist()]
    return (content[begin:end] for begin, end in pairwise(bounds))


def padded(texts: Sequence[bytes]) -> tuple[Ints, Ints]:
    """(texts as rows of an array, filled up behind; their sizes)."""
    sizes = np.array(list(map(len, texts)))
    width = max(int(sizes.max()), 1)
    return np.array(texts, dtype=f"S{width}").view(np.uint8).reshape(len(texts), width), sizes
