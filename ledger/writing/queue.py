"""The queue before the writer: a line for each source. The lines take turns, so nobody waits for another's flood.

Deficit round robin (Shreedhar and Varghese, 1995): at each of its turns a line gets a credit of some fills, and what it
can pay with it goes into the commit. Within a line the order is kept. A few fills of a line that was empty go first, so
they are in the next commit whatever the others have sent; but each commit takes something of the others too. What turns
out to cost more than its size is charged afterwards: then the line waits until the others have had as much.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final, Generic, NamedTuple, TypeVar

_TURN_FILLS: Final = 1_000  # the credit of a turn
_SMALL_FILLS: Final = 256  # jobs of so few fills find room where larger ones do not:
_KEPT_SHARE: Final = 16  # in this part of the queue, a sixteenth

_T = TypeVar("_T")


class _Waiting(NamedTuple, Generic[_T]):
    job: _T
    fills: int
    since_s: float  # by the monotonic clock


@dataclass(slots=True)
class _Line(Generic[_T]):
    jobs: deque[_Waiting[_T]] = field(default_factory=deque)
    fills: int = 0
    credit: int = 0


class FairQueue(Generic[_T]):
    """Jobs with their sizes in fills, `fills_max` together at most. Not safe for use by several threads at once."""

    def __init__(self, fills_max: int, patient: Collection[str] = ()) -> None:
        """`patient` are names of lines whose jobs nobody waits for."""
        self._fills_max = fills_max
        self._patient = patient
        self._lines: dict[str, _Line[_T]] = {}
        self._newcomers: deque[str] = deque()  # names of lines with a few fills, that have had no turn yet
        self._turns: deque[str] = deque()  # names of the others; the first one is next
        self._owed: dict[str, int] = {}  # by lines that have no job now
        self.fills = 0  # of all jobs
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def oldest_s(self) -> float:
        """The time that the oldest job has waited, in s; 0: none waits."""
        now_s = time.monotonic()
        return now_s - min((line.jobs[0].since_s for line in self._lines.values()), default=now_s)

    @property
    def is_shared(self) -> bool:
        """True while more than one line waits, those left aside that are patient."""
        return len(self._lines) - sum(name in self._lines for name in self._patient) > 1

    def has_room(self, line: str, fills: int) -> bool:
        """Return True if a job may be added.

        A line holds at most as much as is left free (a dynamic threshold, Choudhury and Hahne, 1998): a single one
        has half of the queue, and however many there are, the next one finds room.
        """
        if not self.fills:
            return True  # whatever its size
        free = self._fills_max - self.fills
        if fills <= _SMALL_FILLS:
            return fills <= free
        held = self._lines[line].fills if line in self._lines else 0
        return held + fills <= free - self._fills_max // _KEPT_SHARE

    def add(self, line: str, job: _T, fills: int) -> None:
        """Put a job at the end of a line."""
        if line not in self._lines:
            owed = self._owed.pop(line, 0)
            self._lines[line] = _Line(credit=-owed)
            (self._newcomers if fills <= _SMALL_FILLS and not owed else self._turns).append(line)
        known = self._lines[line]
        known.jobs.append(_Waiting(job, fills, time.monotonic()))
        known.fills += fills
        self.fills += fills
        self._count += 1

    def charge(self, line: str, fills: int) -> None:
        """Have a line pay for more than the sizes of the jobs that were taken of it. Alone, it never waits for that."""
        if line in self._lines:
            self._lines[line].credit -= fills
        elif fills:
            self._owed[line] = self._owed.get(line, 0) + fills

    def take(self, fills_max: int) -> list[_T]:
        """Remove and return jobs of at most so many fills, and one at least if any waits; the lines take turns.

        Where newcomers fill the commit, one job more is taken of those that waited before.
        """
        taken: list[_T] = []
        end, waited = self.fills - fills_max, bool(self._turns)
        while self._newcomers and self._serve(self._newcomers, taken, self.fills - end, must=not taken):
            pass
        first = len(taken)
        while self._turns:
            must = not taken or (waited and len(taken) == first)
            if not self._serve(self._turns, taken, self.fills - end, must=must):
                break
        return taken

    def _serve(self, turns: deque[str], taken: list[_T], left: int, *, must: bool) -> bool:
        """Give the first line its turn; False: the next job that it can pay does not fit, and it comes first again."""
        line = self._lines[turns[0]]
        line.credit = min(line.credit + _TURN_FILLS, max(line.jobs[0].fills, _TURN_FILLS))
        while line.jobs and (fills := line.jobs[0].fills) <= line.credit:
            if fills > left and not must:
                return False
            must = False
            taken.append(line.jobs.popleft().job)
            left -= fills
            line.credit -= fills
            line.fills -= fills
            self.fills -= fills
            self._count -= 1
        name = turns.popleft()
        if line.jobs:
            self._turns.append(name)
        else:
            del self._lines[name]
        return True

    def clear(self) -> list[_T]:
        """Remove and return all jobs."""
        jobs = [waiting.job for line in self._lines.values() for waiting in line.jobs]
        self._lines.clear()
        self._turns.clear()
        self._newcomers.clear()
        self.fills = self._count = 0
        return jobs
