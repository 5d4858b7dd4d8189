"""The releases of an account whose lines are restated commit by commit, because they are too many for one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from ledger.domain.events import (
    CurrencyNet,
    Recorded,
    RepriceAdvanced,
    RepriceCompleted,
    RepriceStarted,
)


class Cursor(NamedTuple):
    """A place among the lines of an account: UTC day (its number since 1970), position of a run, number of a line."""

    day: int
    position: int
    line: int


BEGINNING: Final = Cursor(0, 0, 0)


@dataclass(frozen=True, slots=True)
class Repricing:
    """A release whose lines are being restated: the next one to look at lies at `next` (None: there is none)."""

    started: Recorded
    next: Cursor | None = BEGINNING
    looked_at: int = 0
    lines: int = 0
    nets: tuple[CurrencyNet, ...] = ()

    @property
    def event(self) -> RepriceStarted:
        """The event that it began with."""
        assert isinstance(self.started.event, RepriceStarted), self.started
        return self.started.event


@dataclass(frozen=True, slots=True)
class Repricings:
    """The repricings of an account that are open, in the order of their releases: only the first is under way."""

    open: tuple[Repricing, ...] = ()
    version: int = 0


NO_REPRICINGS: Final = Repricings()


def evolve_repricings(state: Repricings, recorded: Recorded) -> Repricings:
    """Return the repricings after one more event of their stream."""
    event, found = recorded.event, state.open
    match event:
        case RepriceStarted():
            found = (*found, Repricing(recorded))
        case RepriceAdvanced():
            following = Cursor(event.next_day, event.next_position, event.next_line)
            at = following if following != BEGINNING else None
            found = tuple(
                replace(each, next=at, looked_at=event.looked_at, lines=event.lines, nets=event.nets)
                if each.event.release_position == event.release_position
                else each
                for each in found
            )
        case RepriceCompleted():
            found = tuple(each for each in found if each.event.release_position != event.release_position)
    return Repricings(found, recorded.version)
