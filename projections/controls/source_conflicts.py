"""Sources that sent another fill under a number that had named one: what was sent was not recorded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ledger.domain.events import Recorded, SourceAdvanced
from ledger.domain.streams import SOURCE_PREFIX, subject_of
from projections.controls.scope import Control, Finding, Scope

_NUMBERS_SHOWN: Final = 5


def _find(scope: Scope) -> Iterator[Finding]:
    for last in scope.log.last_below(SOURCE_PREFIX, scope.known_position):
        source = subject_of(last.stream)
        numbers, count, time_ns = set[int](), 0, 0
        for recorded in _with_conflicts(scope, last):
            event = recorded.event
            assert isinstance(event, SourceAdvanced), recorded
            numbers.update(conflict.sequence for conflict in event.conflicts)
            count += len(event.conflicts) + event.conflicts_left_out
            time_ns = max(time_ns, recorded.envelope.recorded_time_ns)
        if not count:
            continue
        first = [str(number) for number in sorted(numbers)[:_NUMBERS_SHOWN]]
        more = ", ..." if len(numbers) > len(first) else ""
        fills = "1 fill" if count == 1 else f"{count:,} fills"
        under = "a number that names another" if count == 1 else "numbers that name others"
        yield Finding(
            subject=source,
            message=f"{source} sent {fills} under {under}, and not recorded: {', '.join(first)}{more}",
            time_ns=time_ns,
            details={"source": source, "conflicts": str(count), "numbers": ", ".join(first) + more},
        )


def _with_conflicts(scope: Scope, last: Recorded) -> Iterator[Recorded]:
    """Yield the events of a source with conflicts, of the days looked back to; each names the one before it."""
    recorded, event = last, last.event
    assert isinstance(event, SourceAdvanced), last
    version = last.version if event.conflicts else event.conflicts_before
    while version:
        recorded = last if version == last.version else scope.log.version(last.stream, version)
        event = recorded.event
        assert isinstance(event, SourceAdvanced), recorded
        if recorded.envelope.recorded_time_ns < scope.since_ns:
            return
        yield recorded
        version = event.conflicts_before


CONTROL: Final = Control(
    "source-conflicts",
    "sources that sent other fills under numbers that had named some: these were not recorded; looks back",
    _find,
)
