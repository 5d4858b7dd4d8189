"""Waits between attempts: each is twice as long as the one before, with a little chance in it."""

from __future__ import annotations

import random


class Backoff:
    """Waits from `first_s` to `most_s` seconds. Chance takes up to half away, so that not all come together."""

    def __init__(self, first_s: float, most_s: float) -> None:
        self._first_s = first_s
        self._most_s = most_s
        self._wait_s = 0.0

    def after(self, lasted_s: float) -> float:
        """Return the seconds to wait after an attempt that went well for `lasted_s` seconds; 0: it failed at once.

        An attempt that lasted longer than the wait before it was a success, and the waits begin anew.
        """
        longer_s = 0.0 if lasted_s > self._wait_s else 2 * self._wait_s
        self._wait_s = min(max(longer_s, self._first_s), self._most_s)
        return self._wait_s * random.uniform(0.5, 1)  # noqa: S311 - no secret

    def begin_anew(self) -> None:
        """Note a success: the next failure is followed by the shortest wait."""
        self._wait_s = 0.0
