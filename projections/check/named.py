"""The hashes that the log names: eight bytes of each are kept."""

from __future__ import annotations

from array import array

import numpy as np
from numpy.typing import NDArray


class Hashes:
    """A set of SHA-256 that only grows while it is filled, and is then asked."""

    def __init__(self) -> None:
        self._added = array("Q")
        self._sorted: NDArray[np.uint64] | None = None

    def add(self, sha256: bytes) -> None:
        """Add one more."""
        assert self._sorted is None, "it has been asked already"
        self._added.append(_start(sha256))

    def __contains__(self, sha256: bytes) -> bool:
        """Return True if a hash was added, as far as its first 64 bits tell."""
        if self._sorted is None:
            self._sorted = np.unique(np.frombuffer(self._added, np.uint64))
        start = np.uint64(_start(sha256))
        place = int(np.searchsorted(self._sorted, start))
        return place < len(self._sorted) and self._sorted[place] == start


def _start(sha256: bytes) -> int:
    return int.from_bytes(sha256[:8], "big")
