"""How far a backup is restored: to its end, or to the last commit at a position or a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain, takewhile
from typing import NamedTuple

from ledger.domain.instants import instant_text
from ledger.store.backup.copied import rows
from ledger.store.backup.parts import BackupError, Part


class Until(NamedTuple):
    """The end of the commit up to which is restored, and the parts that have all positions up to it."""

    position: int
    recorded_time_ns: int
    parts: Sequence[Part]

    @property
    def is_within_last_part(self) -> bool:
        """Return True if the last part has positions after it."""
        return self.position < self.parts[-1].manifest.until


def at_end(parts: Sequence[Part]) -> Until:
    """Return the end of some parts."""
    last = parts[-1].manifest
    return Until(last.until, last.recorded_time_ns, parts)


def at_position(parts: Sequence[Part], position: int) -> Until:
    """Return the last commit that ends at or before a position. Raises BackupError."""
    end = parts[-1].manifest.until
    if position > end:
        raise BackupError(f"the backup ends with position {end}: give that or an earlier --until")
    return _last(parts, f"position {position}", lambda commit: commit.position <= position)


def at_time(parts: Sequence[Part], time_ns: int) -> Until:
    """Return the last commit recorded at or before an instant. Raises BackupError."""
    taken_ns = parts[-1].manifest.taken_time_ns
    if time_ns > max(taken_ns, parts[-1].manifest.recorded_time_ns):
        message = f"the backup was last added to at {instant_text(taken_ns)}: give that or an earlier --until"
        raise BackupError(message)
    return _last(parts, instant_text(time_ns), lambda commit: commit.recorded_time_ns <= time_ns)


def _last(parts: Sequence[Part], said: str, is_before: Callable[[Until], bool]) -> Until:
    """Return the last commit that is before a bound, which is so for all commits up to one."""
    ends = [at_end(parts[:count]) for count in range(1, len(parts) + 1)]
    whole = sum(map(is_before, ends))
    found = ends[whole - 1] if whole else None
    if whole < len(parts):
        commits = (Until(row.number(0), row.number(2), parts[: whole + 1]) for row in rows(parts[whole], "commits"))
        until = chain([found] if found else [], takewhile(is_before, commits))
        found = max(until, key=lambda commit: commit.position, default=None)
    if found is None:
        first = next(iter(rows(parts[0], "commits")))
        began = f"at position {first.number(0)}, recorded at {instant_text(first.number(2))}"
        raise BackupError(f"no commit was over at {said}: the first one ends {began}")
    return found
