"""Joins the packed columns of fill runs, in order: neighbours of one width together, so that many runs cost little."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

import numpy as np

from ledger.arrays.columns import INT64_ROOM, Ints, Texts, text_column, unpacked
from ledger.domain.events import VolumeRecorded

_WORD: Final = 8  # bytes of the widest integer


def _stretches(runs: Sequence[VolumeRecorded], sizes: Sequence[int], name: str) -> Iterator[tuple[int, int, bytes]]:
    """Yield (width, count of values, bytes) of neighbours with a column of one width; an empty one becomes zeros."""
    columns = [getattr(run.columns, name) for run in runs]
    widths = [len(column) // size for column, size in zip(columns, sizes, strict=True)]
    place = 0
    for width, stretch in groupby(widths):
        end = place + sum(1 for _ in stretch)
        count = sum(sizes[place:end])
        yield width or 1, count, b"".join(columns[place:end]) if width else bytes(count)
        place = end


def joined_ints(runs: Sequence[VolumeRecorded], sizes: Sequence[int], name: str, *, signed: bool = False) -> Ints:
    """Return a column of integers of runs of some sizes, as int64. Raises ValueError where it is not as we write it."""
    parts = []
    for width, count, data in _stretches(runs, sizes, name):
        if width > _WORD:
            raise ValueError(f"{name} has {width} bytes to a value")
        part = unpacked(data, count, signed=signed)
        if width == _WORD and not signed and int(part.max()) >= INT64_ROOM:
            raise ValueError(f"{name} is larger than it can be")
        parts.append(part)
    joined: Ints = np.concatenate(parts, dtype=np.int64, casting="unsafe")
    return joined


def joined_texts(runs: Sequence[VolumeRecorded], sizes: Sequence[int], name: str) -> Texts:
    """Return a column of texts of runs of some sizes."""
    joined: Texts = np.concatenate([text_column(data, count) for _, count, data in _stretches(runs, sizes, name)])
    return joined
