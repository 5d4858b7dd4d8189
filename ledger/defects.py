"""Defects that ended a call or a job: a line for each, as its caller quotes it; the traceback of a kind seldom."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path
from traceback import walk_tb
from typing import Final

_SELDOM_NS: Final = 10 * 10**9
_KINDS_MAX: Final = 64


class Defects:
    """Logs defects. One that comes again at the same line of the code, within 10 seconds, comes without traceback."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._mutex = threading.Lock()
        self._shown_ns: dict[str, int] = {}  # by what it is and where, by the monotonic clock

    def tell(self, error: BaseException, text: str, *arguments: object) -> None:
        """Log a defect, after a text with its arguments: "a call failed: KeyError at server/lanes.py:120"."""
        kind = f"{type(error).__name__} at {_place(error)}"
        with self._mutex:
            now_ns = time.monotonic_ns()
            is_due = now_ns - self._shown_ns.get(kind, -_SELDOM_NS) >= _SELDOM_NS
            if is_due:
                if len(self._shown_ns) >= _KINDS_MAX:
                    self._shown_ns.clear()
                self._shown_ns[kind] = now_ns
        self._log.error(f"{text}: %s", *arguments, kind, exc_info=error if is_due else None)


def _place(error: BaseException) -> str:
    """Return the line that raised an error, for example server/lanes.py:120."""
    place = "no line"
    for frame, number in walk_tb(error.__traceback__):
        place = f"{'/'.join(Path(frame.f_code.co_filename).parts[-2:])}:{number}"
    return place
