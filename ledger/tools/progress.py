"""How far long work has come: a line a second on a terminal, and one now and then where nobody watches."""

from __future__ import annotations

import sys
import time
from typing import Final

_ON_A_TERMINAL_S: Final = 1
_ELSEWHERE_S: Final = 30


class Progress:
    """On stderr: what is done of a total, how fast, and how long the rest will take."""

    def __init__(self, name: str, unit: str, *, done: int = 0) -> None:
        """`done` was done before, by a run that this one goes on with."""
        self._name, self._unit, self._before = name, unit, done
        self._began_s = self._shown_s = time.monotonic()
        self._terminal = sys.stderr.isatty()

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._began_s

    def show(self, done: int, total: int, more: str = "") -> None:
        """So much is done; `more` is said behind it."""
        now_s = time.monotonic()
        if now_s - self._shown_s < (_ON_A_TERMINAL_S if self._terminal else _ELSEWHERE_S):
            return
        self._shown_s = now_s
        per_s = max(1, round((done - self._before) / (now_s - self._began_s)))
        line = f"{done:,} of {total:,} {self._unit}, {per_s:,} per second, {(total - done) // per_s:,} s left{more}"
        if self._terminal:
            print(f"\r{line}\x1b[K", end="", file=sys.stderr, flush=True)
        else:
            print(f"{self._name}: {line}", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Make room for another line."""
        if self._terminal:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
