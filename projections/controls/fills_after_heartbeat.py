"""A31: sources that sent fills of a time up to which they had said they were complete: an evaluation may lack them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile
from typing import Final

from ledger.domain.events import Recorded, SourceAdvanced
from ledger.domain.streams import SOURCE_PREFIX, subject_of
from ledger.store.log import Log
from projections.controls.scope import Control, Finding, Scope, instant_text


def _find(scope: Scope) -> Iterator[Finding]:
    for last in scope.log.last_below(SOURCE_PREFIX, scope.known_position):
        found = list(takewhile(lambda late: late.envelope.recorded_time_ns > scope.since_ns, _late(scope.log, last)))
        if found:
            source, earliest_ns = subject_of(last.stream), min(map(_from_ns, found))
            at_ns = found[0].envelope.recorded_time_ns
            yield Finding(
                subject=source,
                message=f"source {source} sent fills from {instant_text(earliest_ns)} on after it had said that it was"
                f" complete up to a later time: {len(found)} times, the last at {instant_text(at_ns)}",
                time_ns=at_ns,
                details={"earliest_fill": instant_text(earliest_ns), "last_position": str(found[0].position)},
            )


def _late(log: Log, last: Recorded) -> Iterator[Recorded]:
    """Yield the events of a source with such fills, latest first: each names the one before it."""
    event = _event(last)
    if event.late_from_ns:
        yield last
    while version := event.late_version_before:
        recorded = log.version(last.stream, version)
        yield recorded
        event = _event(recorded)


def _event(recorded: Recorded) -> SourceAdvanced:
    assert isinstance(recorded.event, SourceAdvanced), recorded
    return recorded.event


def _from_ns(recorded: Recorded) -> int:
    return _event(recorded).late_from_ns


CONTROL: Final = Control(
    "fills-after-heartbeat", "fills that a source sent after it had said it was complete (A31); looks back", _find
)
