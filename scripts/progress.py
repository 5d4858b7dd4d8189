"""One line about long work, over itself on a terminal; elsewhere a line now and then."""

from __future__ import annotations

import sys
import time
from typing import Final

_LINE_S: Final = 1.0  # between two lines on a terminal
_SELDOM_S: Final = 30.0  # elsewhere, where every line stays


class Progress:
    """How much is done, how fast, and how long it will take, on stderr."""

    def __init__(self, program: str) -> None:
        self._program = program
        self._noun = ""
        self._began_s = self._shown_s = time.monotonic()

    def show(self, noun: str, done: int, total: int) -> None:
        """So many of so many; another noun is other work."""
        now_s = time.monotonic()
        if noun != self._noun:
            self._noun, self._began_s = noun, now_s
        if now_s - self._shown_s < (_LINE_S if sys.stderr.isatty() else _SELDOM_S):
            return
        self._shown_s = now_s
        per_s = max(1, round(done / max(now_s - self._began_s, 1e-9)))
        left_s = max(0, total - done) // per_s
        self._print(f"{done:,} of {total:,} {noun}, {per_s:,} per second, {left_s:,} s left")

    def clear(self) -> None:
        """Remove the line."""
        if sys.stderr.isatty():
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def _print(self, line: str) -> None:
        if sys.stderr.isatty():
            print(f"\r{line}\x1b[K", end="", file=sys.stderr, flush=True)
        else:
            print(f"{self._program}: {line}", file=sys.stderr, flush=True)
