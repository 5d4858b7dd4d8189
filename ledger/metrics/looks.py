"""Readings that are asked of PostgreSQL: taken in a thread of their own, only when somebody scrapes, and seldom.

A scrape waits for them half a second at most, so that a page comes also where PostgreSQL does not answer.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from ledger.caller import Caller, answer
from ledger.metrics.endpoint import Endpoint
from ledger.metrics.page import Readings, registry_of
from ledger.seldom import Seldom

_log: Final = logging.getLogger(__name__)

_EVERY_S: Final = 1.0  # however many scrape
_REST_PER_WORK: Final = 50  # where looking takes long, it is done more seldom: at most a fiftieth of the time,
_REST_S_MAX: Final = 3.0  # but not so seldom that readings are missing for long
_LOOK_S_MAX: Final = 3.0
_WAIT_S_MAX: Final = 0.5
_KEPT_S: Final = 15.0  # of readings, while a look takes long


class Looks:
    """Takes readings by `look`, which may wait for PostgreSQL and may raise."""

    def __init__(self, look: Callable[[], Readings]) -> None:
        self._look = look
        self._readings: Readings = {}
        self._taken_s = -_KEPT_S
        self._next_s = 0.0
        self._wanted = self._stopping = False
        self._changed = threading.Condition()
        self._failing = Seldom(_log)
        self._thread = threading.Thread(target=self._run, name="looks", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread, after the look under way."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join()

    def readings(self) -> Readings:
        """Return readings, new or a little old; none but fee_ledger_readings_up 0 where the last look failed."""
        with self._changed:
            if time.monotonic() >= self._next_s:
                self._wanted = True
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._stopping or not self._wanted, _WAIT_S_MAX)
            is_there = bool(self._readings) and time.monotonic() - self._taken_s < _KEPT_S
            return {**(self._readings if is_there else {}), "fee_ledger_readings_up": is_there}

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._wanted or self._stopping)
                if self._stopping:
                    return
            began_s = time.monotonic()
            answer(_Patient(_LOOK_S_MAX))
            try:
                found = self._look()
            except Exception as error:  # whatever it was: the next scrape asks again
                found = {}
                said = " ".join(str(error).split())
                self._failing.warning("metrics that PostgreSQL is asked for are missing: %s", said)
            ended_s = time.monotonic()
            with self._changed:
                self._wanted = False
                long_s = min((ended_s - began_s) * _REST_PER_WORK, _REST_S_MAX) if found else 0
                self._next_s = ended_s + max(_EVERY_S, long_s)
                self._readings, self._taken_s = found, ended_s
                self._changed.notify_all()


def begin_metrics(
    endpoint: Endpoint | None, look: Callable[[], Readings], *readings: Callable[[], Readings]
) -> Callable[[], None]:
    """Serve readings, and those of `look`, which asks PostgreSQL; return what ends the asking."""
    if endpoint is None:
        return lambda: None
    looks = Looks(look)
    looks.start()
    endpoint.begin(registry_of(*readings, looks.readings))
    return looks.stop


class _Patient(Caller):
    """Waits for PostgreSQL until its time is over; then what it asked is cancelled."""

    __slots__ = ()

    def __init__(self, left_s: float) -> None:
        super().__init__()
        self._end_s = time.monotonic() + left_s

    @property
    def hung_up(self) -> bool:
        return not self.left_s
