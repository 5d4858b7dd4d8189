"""Lines that would come with every call or every attempt: told at once, then at most every 10 seconds."""

from __future__ import annotations

import logging
import threading
import time
from typing import Final

_SELDOM_S: Final = 10.0


class Seldom:
    """Logs lines of one kind. Those it left out are counted, and the next one says how many there were."""

    def __init__(self, log: logging.Logger, every_s: float = _SELDOM_S) -> None:
        self._log = log
        self._every_ns = int(every_s * 1e9)
        self._mutex = threading.Lock()
        self._next_ns = 0  # of the monotonic clock
        self._left_out = 0

    def warning(self, text: str, *arguments: object) -> bool:
        """Log a text with its arguments, as `Logger.warning` does, and return True; or only count it."""
        return self._tell(logging.WARNING, text, arguments)

    def exception(self, text: str, *arguments: object) -> bool:
        """Log the exception that is being handled, as `Logger.exception` does, and return True; or only count it."""
        return self._tell(logging.ERROR, text, arguments, is_exception=True)

    def _tell(self, level: int, text: str, arguments: tuple[object, ...], *, is_exception: bool = False) -> bool:
        with self._mutex:
            now_ns = time.monotonic_ns()
            if now_ns < self._next_ns:
                self._left_out += 1
                return False
            left_out, self._left_out, self._next_ns = self._left_out, 0, now_ns + self._every_ns
        if left_out:
            text, arguments = f"{text} (and %d times more before)", (*arguments, left_out)
        self._log.log(level, text, *arguments, exc_info=is_exception or None)
        return True
