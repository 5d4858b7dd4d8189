"""How long to wait before the next attempt: twice as long each time, and each time a little by chance."""

from __future__ import annotations

import random


class Backoff:
    """Waits from `first_s` to `most_s` seconds. Chance takes up to half away, so that not all come at once."""

    def __init__(self, first_s: float, most_s: float) -> None:
        self._first_s = first_s
        self._most_s = most_s
        self._wait_s = 0.0

    def after(self, lasted_s: float) -> float:
        """Return the seconds to wait after an attempt that went well for `lasted_s`; 0: it did not.

        What lasted longer than the wait before it was a success, and the waits begin anew.
        """
        longer_s = 0.0 if lasted_s > self._wait_s else 2 * self._wait_s
        self._wait_s = min(max(longer_s, self._first_s), self._most_s)
        return self._wait_s * random.uniform(0.5, 1)  # noqa: S311 - no secret
