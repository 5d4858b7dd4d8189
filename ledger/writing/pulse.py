"""A thread that calls a small function again and again, whatever the other threads do."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final

from eventsourcing.persistence import PersistenceError

from ledger.seldom import Seldom
from ledger.store.writer import WriterLost

_log: Final = logging.getLogger(__name__)

_STOP_S_MAX: Final = 0.5


class Pulse:
    """Calls `beat` until it is stopped. A beat that does not reach PostgreSQL is logged, seldom; the next one tries."""

    def __init__(self, name: str, every_ms: int, beat: Callable[[], None], lost: Callable[[], None]) -> None:
        """`lost` is called after a beat that raised WriterLost or PersistenceError, in the thread of the pulse."""
        self._every_s = every_ms / 1000
        self._beat = beat
        self._lost = lost
        self._failing = Seldom(_log)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread after the beat under way, but do not wait for one that waits for PostgreSQL."""
        self._stopping.set()
        self._thread.join(_STOP_S_MAX)

    def _run(self) -> None:
        while not self._stopping.wait(self._every_s):
            try:
                self._beat()
            except (WriterLost, PersistenceError) as lost:
                self._failing.warning("%s: PostgreSQL is not reached: %s", self._thread.name, str(lost).strip())
                self._lost()
