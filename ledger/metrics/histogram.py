"""A histogram of whole numbers: counted by bucket where they come up, read when somebody looks."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

NS_PER_S = 10**9


class Histogram:
    """Counts whole numbers by bucket. One thread at a time may add; the page shows them divided by `per`."""

    def __init__(self, bounds: Sequence[int], per: int = 1) -> None:
        """`bounds` are the upper ends of the buckets, included and ascending; one more bucket holds all above."""
        self._bounds = bounds
        self._per = per
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0

    def add(self, value: int) -> None:
        """Count one more."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def buckets(self) -> Iterator[tuple[str, int]]:
        """Yield the upper end of each bucket as the page writes it, and how many are at most that."""
        ends = [*(str(bound / self._per) for bound in self._bounds), "+Inf"]
        return zip(ends, accumulate(self._counts), strict=True)

    @property
    def sum(self) -> float:
        """The sum of all, divided by `per`."""
        return self._sum / self._per
