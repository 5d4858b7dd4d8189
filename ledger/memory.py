"""Memory that the C library keeps when it is let go: little of it, and that is given back."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from typing import Final

_M_ARENA_MAX: Final = -8  # of mallopt(3)
_ARENAS: Final = 2
_LOOK_EVERY_S: Final = 1.0


def few_arenas() -> None:
    """Have all threads share two heaps: each of eight a processor kept what messages of 15 MB had left behind.

    It must be called before the first thread starts. Only glibc has them.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _ARENAS)


class Trimming:
    """A thread that gives memory back to the system after much of it was let go."""

    def __init__(self, much_let_go: Callable[[], bool]) -> None:
        """`much_let_go` says whether it was since it was last asked."""
        self._much_let_go = much_let_go
        self._over = threading.Event()

    def start(self) -> None:
        """Begin, where the C library can."""
        if (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:
            threading.Thread(target=self._run, args=[trim], name="trimming", daemon=True).start()

    def stop(self) -> None:
        """End."""
        self._over.set()

    def _run(self, trim: Callable[[int], int]) -> None:
        while not self._over.wait(_LOOK_EVERY_S):
            if self._much_let_go():
                trim(0)
