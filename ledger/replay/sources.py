"""Decides again how far sources have come: a commit moves a source on by all of its numbers, none left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

from ledger.domain.events import Envelope, Recorded, SourceAdvanced, VolumeRecorded
from ledger.domain.state.account import CONFLICTS_MAX, RANGES_MAX, SourceState, evolve_source
from ledger.domain.streams import source_stream, subject_of
from ledger.fills.lines import lines_of
from ledger.replay.compare import UNDECIDABLE, Deviation, Difference, compared, said


class SourceLines(NamedTuple):
    """Lines of a source in a commit: how many, the sum of their numbers, and when the earliest of them happened."""

    lines: int
    numbers: int
    earliest_ns: int = 0


LinesBySource = dict[tuple[int, str], SourceLines]  # by the recorded_time_ns of the commit, and the source


class SourcesAgain:
    """Compares sources in position order; `lines` of a commit are known before its sources advance."""

    def __init__(self, decided_ns: Callable[[Envelope], int], before: Iterable[Recorded] = ()) -> None:
        """`decided_ns` says when an event was decided; `before` are the last ones of the sources known already."""
        self._decided_ns = decided_ns
        self._states: dict[str, SourceState] = {}
        self._lines: LinesBySource = {}
        for recorded in before:
            self._evolve(recorded)

    def count(self, lines: LinesBySource) -> None:
        """Take in lines of commits."""
        add_lines(self._lines, lines)

    def advance(self, recorded: Recorded) -> list[Deviation]:
        """Compare an advance: it goes on where the source stood, and counts lines and numbers of the commit."""
        event = recorded.event
        assert isinstance(event, SourceAdvanced), recorded
        source = subject_of(recorded.stream)
        state = self._states.get(source, SourceState(source))
        commit = (recorded.envelope.recorded_time_ns, source)
        lines, numbers, earliest_ns = self._lines.pop(commit, SourceLines(0, 0))
        first = state.last_sequence + 1
        expected = replace(
            event,
            first_sequence=first,
            last_sequence=first + lines + event.replayed + len(event.refused) - 1,
            recorded=lines,
            latest_time_ns=max(event.latest_time_ns, state.latest_time_ns),
            conflicts_before=state.conflicts_version,
            complete_until_ns=max(event.complete_until_ns, state.complete_until_ns),
            late_from_ns=_late_from_ns(event, state, earliest_ns),
            late_version_before=state.late_version,
        )
        self._evolve(recorded)
        found = compared(recorded, expected, self._decided_ns(recorded.envelope), ruled=False)
        found += [said(recorded, text) for text in (*_wrong_replays(event), *_wrong_conflicts(event))]
        if found:
            return found
        replays = event.replayed_ranges()
        numbers += sum(refused.sequence for refused in event.refused) + sum(sum_of(*each) for each in replays)
        every = sum_of(event.first_sequence, event.last_sequence)
        if event.replayed == _size(replays) and numbers != every:
            found = [said(recorded, f"the numbers of its lines come to {numbers}, expected {every}: one is another")]
        return found

    def end(self, position: int) -> list[Deviation]:
        """Return lines of sources that did not advance, in commits that are over, the last at `position`."""
        found = [
            Deviation(position, source_stream(source), (Difference(f"lines came ({lines}), and it did not advance"),))
            for (_, source), (lines, *_) in sorted(self._lines.items())
        ]
        self._lines.clear()
        return found

    def _evolve(self, recorded: Recorded) -> None:
        source = subject_of(recorded.stream)
        self._states[source] = evolve_source(self._states.get(source, SourceState(source)), recorded)


def _wrong_replays(event: SourceAdvanced) -> Iterator[str]:
    """Yield what is wrong with the numbers replayed, if they are named: ranges within those taken, rising, apart."""
    if len(event.replayed_sequences) % 2:
        yield "replayed_sequences are no pairs"
        return
    ranges = event.replayed_ranges()
    bounds = [event.first_sequence - 1, *event.replayed_sequences, event.last_sequence + 1]
    if ranges and not all(before < number for before, number in zip(bounds[::2], bounds[1::2], strict=True)):
        yield f"replayed_sequences {event.replayed_sequences} do not rise within the numbers taken"
    if any(last < first for first, last in ranges):
        yield f"replayed_sequences {event.replayed_sequences} end before they begin"
    if len(ranges) > RANGES_MAX or not (_size(ranges) == event.replayed or not ranges or len(ranges) == RANGES_MAX):
        yield f"numbers in replayed_sequences {_size(ranges)}, replayed {event.replayed}"


def _wrong_conflicts(event: SourceAdvanced) -> Iterator[str]:
    """Yield what is wrong with the conflicts: each once, under numbers that had been taken, and not too many."""
    if len(set(event.conflicts)) < len(event.conflicts):
        yield "a conflict stands there twice"
    if not all(0 < conflict.sequence <= event.last_sequence for conflict in event.conflicts):
        yield "a conflict has a number that was not taken"
    if len(event.conflicts) > CONFLICTS_MAX or (event.conflicts_left_out and len(event.conflicts) < CONFLICTS_MAX):
        yield f"conflicts named {len(event.conflicts)}, left out {event.conflicts_left_out}"


def _size(ranges: Iterable[tuple[int, int]]) -> int:
    return sum(last - first + 1 for first, last in ranges)


def _late_from_ns(event: SourceAdvanced, state: SourceState, earliest_ns: int) -> int:
    """Return when the earliest line traded that the source had said it had sent; 0: there is none.

    It may have said so in this commit, before some of its lines: which ones, no event tells.
    """
    if 0 < earliest_ns < state.complete_until_ns:
        return earliest_ns
    said_here = 0 < earliest_ns <= event.late_from_ns < event.complete_until_ns
    return event.late_from_ns if said_here else 0


def add_lines(lines: LinesBySource, more: LinesBySource) -> None:
    """Count more lines."""
    for name, taken in more.items():
        count, numbers, earliest_ns = lines.get(name, SourceLines(0, 0, taken.earliest_ns))
        earliest_ns = min(earliest_ns, taken.earliest_ns)
        lines[name] = SourceLines(count + taken.lines, numbers + taken.numbers, earliest_ns)


def lines_by_source(recorded: Recorded, run: VolumeRecorded) -> LinesBySource:
    """Return the lines of a run by source; none of a run that cannot be read."""
    at_ns = recorded.envelope.recorded_time_ns
    found: LinesBySource = {}
    try:
        for line in lines_of(run):
            if source := run.sources[line.source_index].source:
                add_lines(found, {(at_ns, source): SourceLines(1, line.sequence, line.transact_time_ns)})
    except UNDECIDABLE:
        return {}
    return found


def sum_of(first: int, last: int) -> int:
    """Return the sum of all numbers from one to another, both included."""
    return (first + last) * (last - first + 1) // 2
