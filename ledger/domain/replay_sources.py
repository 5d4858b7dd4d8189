"""How far sources have come, decided again: a commit moves a source on by all of its numbers, none left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from ledger.domain.events import Recorded, SourceAdvanced, VolumeRecorded
from ledger.domain.replay_compared import Deviation, Difference, compared
from ledger.domain.state import SourceState, evolve_source
from ledger.domain.streams import SOURCE_PREFIX, source_stream

Lines = Counter[tuple[int, str]]  # how many lines a commit (by its recorded_time_ns) took of a source


class SourcesAgain:
    """Sources in position order; `lines` of a commit are known before its sources advance."""

    def __init__(self, before: Iterable[Recorded] = ()) -> None:
        """`before` are the last events of the sources that are known already."""
        self._states: dict[str, SourceState] = {}
        self._lines: Lines = Counter()
        for recorded in before:
            self._evolve(recorded)

    def count(self, lines: Lines) -> None:
        """Lines of commits."""
        self._lines.update(lines)

    def advance(self, recorded: Recorded) -> list[Deviation]:
        """It goes on where it stood, and counts the lines of the commit and every number that it took."""
        event = recorded.event
        assert isinstance(event, SourceAdvanced), recorded
        source = recorded.stream.removeprefix(SOURCE_PREFIX)
        state = self._states.get(source, SourceState(source))
        now_ns = recorded.envelope.recorded_time_ns
        lines = self._lines.pop((now_ns, source), 0)
        first = state.last_sequence + 1
        expected = replace(
            event,
            first_sequence=first,
            last_sequence=first + lines + event.replayed + len(event.refused) - 1,
            recorded=lines,
            latest_time_ns=max(event.latest_time_ns, state.latest_time_ns),
        )
        self._evolve(recorded)
        return compared(recorded, expected, now_ns)

    def end(self, position: int) -> list[Deviation]:
        """Of commits that are over, the last at a position: lines of sources that did not advance."""
        found = [
            Deviation(position, source_stream(source), (Difference(f"{lines} lines came, and it did not advance"),))
            for (_, source), lines in sorted(self._lines.items())
        ]
        self._lines.clear()
        return found

    def _evolve(self, recorded: Recorded) -> None:
        source = recorded.stream.removeprefix(SOURCE_PREFIX)
        self._states[source] = evolve_source(self._states.get(source, SourceState(source)), recorded)


def lines_of(recorded: Recorded, run: VolumeRecorded) -> Lines:
    """How many lines of a run came from each source; of one that cannot be read, none."""
    at_ns = recorded.envelope.recorded_time_ns
    names = [source.source for source in run.sources]
    try:
        places = run.ints("source_index").tolist() or [0] * len(run)
        return Counter((at_ns, names[place]) for place in places if names[place])
    except (ValueError, IndexError, TypeError):
        return Counter()
