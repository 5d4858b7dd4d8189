"""How long the tables' thread rests between two goes: by how far the tables lag, and by what the machine has free."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

LAG_S_MAX: Final = 1.0  # of the tables, where the machine has enough free for that
_REST_PER_WORK: Final = 20  # at most: a go of a few milliseconds is soon over
_REST_S_MAX: Final = 1.25  # on a machine that has nothing free, after what took less than a part of that
_REST_PER_LONG_WORK: Final = 3
_REST_S_LONG: Final = 5.0
_STAT: Final = Path("/proc/stat")
_FREE: Final = (1, 3, 4)  # columns: of processes that are nice, idle, idle while a disk works
_COLUMNS: Final = 8  # after these the times of guests, which are counted already
_TICKS_LEAST: Final = 5  # for a share to mean anything


def rest_s(worked_s: float, lag_s: float, free: float) -> float:
    """Return seconds to rest when commits came in meanwhile: the more at once, the less each costs the writer.

    `lag_s` is the age of the oldest commit that the tables lack. `free` is the share of its time that the machine had
    for this thread, 0 to 1. No more than that part of what is free is taken, a quarter of the time where it is half:
    beside a burst, which leaves some time between its commits, the tables rest as long as where nothing is free.
    """
    until_it_lags_s = LAG_S_MAX - lag_s - worked_s  # the next go takes about as long
    long_s = max(_REST_S_MAX, worked_s, min(worked_s * _REST_PER_LONG_WORK, _REST_S_LONG))
    taken = free * free
    while_others_work_s = min(worked_s * (1 - taken) / taken, long_s) if taken > 0 else long_s
    return min(worked_s * _REST_PER_WORK, max(until_it_lags_s, while_others_work_s))


class FreeTime:
    """The share of its time that the machine had for the thread that asks, each time since it asked last.

    The thread's own work is no reason to rest: it counts as free. Two things are looked at, of which the scarcer one
    counts: the processors that the thread may run on, where Linux tells, and the one thread at a time that Python lets
    compute in this process.
    """

    def __init__(self, stat: Path = _STAT) -> None:
        self._stat = stat
        self._at = self._now()
        self._free = 1.0

    def share(self) -> float:
        """Return the share since the last call, 0 to 1; the same as then, if that was only just now."""
        now = self._now()
        wall_s, process_s, thread_s, ticks, free_ticks = (one - other for one, other in zip(now, self._at, strict=True))
        if wall_s <= 0 or (ticks and ticks < _TICKS_LEAST):
            return self._free
        self._at = now
        of_python = 1 - (process_s - thread_s) / wall_s
        of_processors = free_ticks / ticks + thread_s / wall_s / _processors() if ticks else 1.0
        self._free = max(0.0, min(1.0, of_python, of_processors))
        return self._free

    def _now(self) -> tuple[float, float, float, int, int]:
        """Return the times so far: of the wall, the process, the thread; and ticks of the processors, all and free."""
        try:
            ticks = processor_ticks(self._stat.read_text(), os.sched_getaffinity(0))
        except (OSError, AttributeError, ValueError):
            ticks = (0, 0)  # no Linux
        return time.monotonic(), time.process_time(), time.thread_time(), *ticks


def processor_ticks(stat: str, processors: Sequence[int] | set[int]) -> tuple[int, int]:
    """Return (all ticks of some processors so far, those that were free) of the text of /proc/stat."""
    of_processor = {f"cpu{number}" for number in processors}
    rows = [list(map(int, words)) for name, *words in map(str.split, stat.splitlines()) if name in of_processor]
    return sum(sum(row[:_COLUMNS]) for row in rows), sum(row[column] for row in rows for column in _FREE)


def _processors() -> int:
    return len(os.sched_getaffinity(0))
