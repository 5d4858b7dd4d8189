"""How far sources have come, decided again: a commit moves a source on by all of its numbers, none left out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from ledger.domain.events import Recorded, SourceAdvanced, VolumeRecorded
from ledger.domain.state.account import SourceState, evolve_source
from ledger.domain.streams import SOURCE_PREFIX, source_stream
from ledger.fills.lines import lines_of
from ledger.replay.compare import UNDECIDABLE, Deviation, Difference, compared, said


class Taken(NamedTuple):
    """Lines of a source in a commit: how many, and the sum of their numbers."""

    lines: int
    numbers: int


Lines = dict[tuple[int, str], Taken]  # by the recorded_time_ns of the commit, and the source


class SourcesAgain:
    """Sources in position order; `lines` of a commit are known before its sources advance."""

    def __init__(self, before: Iterable[Recorded] = ()) -> None:
        """`before` are the last events of the sources that are known already."""
        self._states: dict[str, SourceState] = {}
        self._lines: Lines = {}
        for recorded in before:
            self._evolve(recorded)

    def count(self, lines: Lines) -> None:
        """Lines of commits."""
        add_lines(self._lines, lines)

    def advance(self, recorded: Recorded) -> list[Deviation]:
        """It goes on where it stood, and counts the lines of the commit and every number that it took."""
        event = recorded.event
        assert isinstance(event, SourceAdvanced), recorded
        source = recorded.stream.removeprefix(SOURCE_PREFIX)
        state = self._states.get(source, SourceState(source))
        now_ns = recorded.envelope.recorded_time_ns
        lines, numbers = self._lines.pop((now_ns, source), Taken(0, 0))
        first = state.last_sequence + 1
        expected = replace(
            event,
            first_sequence=first,
            last_sequence=first + lines + event.replayed + len(event.refused) - 1,
            recorded=lines,
            latest_time_ns=max(event.latest_time_ns, state.latest_time_ns),
        )
        self._evolve(recorded)
        found = compared(recorded, expected, now_ns, ruled=False)
        numbers += sum(refused.sequence for refused in event.refused)
        every = sum_of(event.first_sequence, event.last_sequence)
        if not found and not event.replayed and numbers != every:
            found = [said(recorded, f"the numbers of its lines come to {numbers}, expected {every}: one is another")]
        return found

    def end(self, position: int) -> list[Deviation]:
        """Of commits that are over, the last at a position: lines of sources that did not advance."""
        found = [
            Deviation(position, source_stream(source), (Difference(f"{lines} lines came, and it did not advance"),))
            for (_, source), (lines, _) in sorted(self._lines.items())
        ]
        self._lines.clear()
        return found

    def _evolve(self, recorded: Recorded) -> None:
        source = recorded.stream.removeprefix(SOURCE_PREFIX)
        self._states[source] = evolve_source(self._states.get(source, SourceState(source)), recorded)


def add_lines(lines: Lines, more: Lines) -> None:
    """Count more lines."""
    for name, taken in more.items():
        count, numbers = lines.get(name, (0, 0))
        lines[name] = Taken(count + taken.lines, numbers + taken.numbers)


def lines_by_source(recorded: Recorded, run: VolumeRecorded) -> Lines:
    """The lines of a run by source; of one that cannot be read, none."""
    at_ns = recorded.envelope.recorded_time_ns
    found: Lines = {}
    try:
        for line in lines_of(run):
            if source := run.sources[line.source_index].source:
                add_lines(found, {(at_ns, source): Taken(1, line.sequence)})
    except UNDECIDABLE:
        return {}
    return found


def sum_of(first: int, last: int) -> int:
    """The sum of all numbers from one to another."""
    return (first + last) * (last - first + 1) // 2
