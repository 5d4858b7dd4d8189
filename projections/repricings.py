"""The repricings of all accounts that are open, as they were known, and which of them evaluations wait for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache, reduce
from typing import Final

from ledger.domain.decide.facts import BAN, BAN_LIFT, OWNER
from ledger.domain.events import Recorded
from ledger.domain.state.repricings import NO_REPRICINGS, Repricing, Repricings, evolve_repricings
from ledger.domain.state.shared_facts import (
    NOT_RELEASING,
    Releasing,
    SharedFacts,
    Underway,
    evolve_releasing,
    releases_underway,
)
from ledger.domain.streams import release_stream
from ledger.store.log import Log

_MOVES_VOLUME: Final = (BAN, BAN_LIFT, OWNER)


def open_repricings(log: Log, known: int) -> list[Repricing]:
    """Return those that had begun and not ended up to a position, in the order in which they began."""
    streams = sorted(name for name, state in _by_stream(log.repricings(known)).items() if state.open)
    states = _by_stream(log.streams(streams, known)) if streams else {}
    found = [repricing for state in states.values() for repricing in state.open]
    return sorted(found, key=lambda repricing: repricing.started.position)


def open_releases(log: Log, shared_facts: SharedFacts, known: int) -> list[Underway]:
    """Return the shared facts that were being brought to accounts, as known at a position, the first one first."""

    @cache
    def releasing(programme_id: str) -> Releasing:
        return reduce(evolve_releasing, log.streams([release_stream(programme_id)], known), NOT_RELEASING)

    return releases_underway(shared_facts, releasing)


def volume_on_the_move(log: Log, known: int) -> Iterator[str]:
    """Yield why an evaluation must not read there, a line each: an account's volume counts otherwise in part."""
    for repricing in open_repricings(log, known):
        event = repricing.event
        if event.cause in _MOVES_VOLUME:
            yield (
                f"lines of {event.account_id} are being restated since position {repricing.started.position}"
                f" ({event.cause}), and their volume with them"
            )


def _by_stream(events: Iterable[Recorded]) -> dict[str, Repricings]:
    found: dict[str, Repricings] = {}
    for recorded in events:
        found[recorded.stream] = evolve_repricings(found.get(recorded.stream, NO_REPRICINGS), recorded)
    return found
