"""How far the sources were, as it was known at a position; and whom an evaluation waits for, in words."""

from __future__ import annotations

from collections.abc import Iterable

from ledger.domain.decide.evaluation_sources import Sign, waited_for
from ledger.domain.events import SourceAdvanced
from ledger.domain.instants import instant_text
from ledger.domain.state.programme import Programme
from ledger.domain.streams import SOURCE_PREFIX, subject_of
from ledger.store.log import Log


def signs(log: Log, known: int) -> list[Sign]:
    """Return the last sign of each source up to a position, by name."""
    found = []
    for recorded in log.last_below(SOURCE_PREFIX, known):
        event, source = recorded.event, subject_of(recorded.stream)
        assert isinstance(event, SourceAdvanced), recorded
        times = (event.latest_time_ns, event.complete_until_ns)
        found.append(Sign(source, *times, recorded.envelope.effective_time_ns))
    return found


def waiting_for(
    sources: Iterable[Sign], programme: Programme, instant_ns: int, known_ns: int, complete: Iterable[str] = ()
) -> list[str]:
    """Name the sources that an evaluation waits for, a line each. `known_ns` is when their signs were known."""
    waited = waited_for(sources, programme, instant_ns, known_ns, complete)
    return [f"source {sign.source} {reached(sign)}" for sign in waited]


def reached(sign: Sign) -> str:
    """Say how far a source is: `has sent fills up to 2024-10-04T12:00:00Z`."""
    if not sign.reached_ns:
        return "has not said how far it is"
    if sign.complete_until_ns > sign.latest_time_ns:
        return f"has said that it is complete up to {instant_text(sign.complete_until_ns)}"
    return f"has sent fills up to {instant_text(sign.latest_time_ns)}"
