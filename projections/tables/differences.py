"""Where two ordered streams of rows differ: a merge of both, which holds one row of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from projections.tables.rows import Row


class RowDifference(NamedTuple):
    """A key under which rows differ; None: there is no such row."""

    key: Row
    stored: Row | None
    expected: Row | None


def differences(stored: Iterable[Row], expected: Iterable[Row], key: tuple[int, ...]) -> Iterator[RowDifference]:
    """Yield rows that differ. Both streams rise by the columns of the key."""
    left, right = iter(stored), iter(expected)
    mine, theirs = next(left, None), next(right, None)
    while mine is not None or theirs is not None:
        here = _key(mine, key)
        there = _key(theirs, key)
        if there is None or (here is not None and here < there):
            assert here is not None
            yield RowDifference(here, mine, None)
            mine = next(left, None)
        elif here is None or there < here:
            yield RowDifference(there, None, theirs)
            theirs = next(right, None)
        else:
            if mine != theirs:
                yield RowDifference(here, mine, theirs)
            mine, theirs = next(left, None), next(right, None)


def _key(row: Row | None, key: tuple[int, ...]) -> Row | None:
    return None if row is None else tuple(row[place] for place in key)
