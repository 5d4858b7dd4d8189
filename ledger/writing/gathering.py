"""How long a commit waits for more fills: not at all for whoever waits alone, a little while streams bring many.

A commit of few fills has as many fill runs as fills, and each run costs bytes and CPU of its own. A stream brings the
next requests whether or not the last ones are answered; so while many come, waiting makes runs longer, and holds up
nobody. A stream that waits for answers brings nothing meanwhile: then the commit goes on soon, and after a few of those
it is not tried again for some time.
"""

from __future__ import annotations

from typing import Final

_WINDOW_S: Final = 0.25  # over which fills are counted
_QUIET: Final = 4  # nothing came for a quarter of the wait: no more will come soon
_QUIETS: Final = 3  # commits that went on so, one after the other, until it is tried no more: one was by chance
_OFF_S: Final = 0.5  # until it is tried again, doubled each time
_OFF_S_MAX: Final = 16.0


class Gathering:
    """Decides it from what came and when, by the monotonic clock in s."""

    def __init__(self, ms_max: int, fills_per_s: int) -> None:
        """`fills_per_s` must come for a commit to wait up to `ms_max` (0: none ever does)."""
        self._s_max = ms_max / 1000
        self._fills_per_s = fills_per_s
        self._fills = 0  # since the window began
        self._began_s = self._came_s = 0.0
        self._is_much = False
        self._quiets = 0
        self._off_s = _OFF_S
        self._off_until_s = 0.0

    def came(self, fills: int, now_s: float) -> None:
        """Note that fills came."""
        if (window_s := now_s - self._began_s) >= _WINDOW_S:
            self._is_much = self._fills >= self._fills_per_s * window_s
            self._fills, self._began_s = 0, now_s
        self._fills += fills
        self._came_s = now_s

    def wait_s(self, oldest_s: float, now_s: float) -> float:
        """Return how long to wait until asking again, where the oldest job has waited `oldest_s`; 0: go on now."""
        if not self._is_much or now_s < self._off_until_s:
            return 0.0
        left_s, loud_s = self._s_max - oldest_s, self._s_max / _QUIET - (now_s - self._came_s)
        if loud_s <= 0 < left_s:
            self._quiets += 1
            if self._quiets >= _QUIETS:
                self._off_until_s, self._quiets = now_s + self._off_s, 0
                self._off_s = min(2 * self._off_s, _OFF_S_MAX)
        elif loud_s > 0 >= left_s:  # fills came for as long as it waited
            self._off_s, self._quiets = _OFF_S, 0
        return max(min(left_s, loud_s), 0.0)
