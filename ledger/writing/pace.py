"""The number of fills that a commit takes: fewer while commits take long, as where many account-days are read.

Then those that wait are answered little by little, and not all of them too late. While several lines wait, commits that
are much shorter count as long: a single fill waits for the commit of the others.
"""

from __future__ import annotations

from typing import Final

_FILLS_FIRST: Final = 5_000  # in the first commit of a term, which has nothing in memory
_FILLS_LEAST: Final = 500
_SHARED_FILLS_LEAST: Final = 4_000
_COMMIT_S_LONG: Final = 2.0
_COMMIT_S_SHORT: Final = 0.125  # a commit of eight times the fills would not take long
_SHARED_COMMIT_S_LONG: Final = 0.2


class Pace:
    """`fills` and `shared_fills` are as many as the next commit takes, the latter while several lines wait."""

    def __init__(self, fills_max: int, shared_fills_max: int) -> None:
        self._fills_max = fills_max
        self._shared_fills_max = min(shared_fills_max, fills_max)
        self.fills = min(_FILLS_FIRST, fills_max)
        self.shared_fills = min(_FILLS_FIRST, self._shared_fills_max)

    def took(self, seconds: float) -> None:
        """Note how long the last commit took, of as many fills as the pace allowed, or fewer."""
        more = self.fills // 2 if seconds > _COMMIT_S_LONG else (8 if seconds < _COMMIT_S_SHORT else 2) * self.fills
        self.fills = min(max(more, _FILLS_LEAST), self._fills_max)
        more = self.shared_fills // 2 if seconds > _SHARED_COMMIT_S_LONG else self.shared_fills * 5 // 4
        self.shared_fills = min(max(more, _SHARED_FILLS_LEAST), self._shared_fills_max, self.fills)
