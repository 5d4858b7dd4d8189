"""Fills that a source sends again: each is compared with what its number named when it came first.

A number is a name. The same fill under it is a replay, and what was refused is refused again; any other fill is a
conflict, which is told, recorded in the stream of the source, and never becomes a fill.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np

from ledger.arrays.columns import Ints, column
from ledger.domain.events import Basis, RefusedSequence, SequenceConflict, SourceAdvanced
from ledger.domain.refusal import Reason, Refusal
from ledger.domain.state.account import SourceState
from ledger.domain.streams import fee_stream, source_stream
from ledger.fills.batch import FillBatch, Part, by_account_day, merged
from ledger.fills.known import by_key, known_by_number
from ledger.store.log import Log
from ledger.store.rows import Rows
from ledger.writing.messages import RecordFills
from ledger.writing.states import States

_VERSIONS_AT_ONCE: Final = 1_000  # events of a source that are read together


@dataclass(slots=True)
class Resend:
    """The first `size` fills of a request, which its source had sent before; and, once they are decided, their answers.

    `part` are the well-formed ones. All answers are by index in the request.
    """

    item: RecordFills
    venue: str
    size: int
    part: Part | None
    refused: dict[int, Refusal] = field(default_factory=dict)
    fees: dict[int, tuple[int, Basis]] = field(default_factory=dict)
    conflicts: list[SequenceConflict] = field(default_factory=list)

    def refuse_as_conflict(self, index: int, detail: str) -> None:
        """Refuse a fill whose number had named another."""
        number = self.item.first_sequence + index
        self.refused[index] = Refusal(Reason.FILL_CONFLICT, "exec_id", detail)
        self.conflicts.append(SequenceConflict(number, self.item.fill_sha256(index)))


class _Advance(NamedTuple):
    """Numbers of a source that one commit took. `position` is that of the record; 0: it is in the making."""

    position: int
    event: SourceAdvanced


@dataclass(frozen=True)
class _Numbers:
    """What numbers of a source named, in the order of the numbers."""

    advances: Sequence[_Advance]
    refused: Mapping[int, RefusedSequence]

    @property
    def firsts(self) -> list[int]:
        """The first number of each."""
        return [advance.event.first_sequence for advance in self.advances]

    def may_be_replayed(self, number: int) -> bool:
        """Whether a number was that of a replay, or may have been: not every commit says which of them were."""
        event = self.advances[bisect_right(self.firsts, number) - 1].event
        said = event.replayed_ranges()
        if any(first <= number <= last for first, last in said):
            return True
        return event.replayed > sum(last - first + 1 for first, last in said)


def decide_resends(
    resends: Sequence[Resend],
    log: Log,
    states: States,
    rows: Rows,
    next_position: int,
    making: Mapping[str, SourceAdvanced],
) -> None:
    """Decide fills that came again, all at once; `rows` and `making` are what the commit in the making has so far."""
    numbers = {
        source: _numbers(log, states.source(source), [each for each in resends if each.item.source == source], making)
        for source in {each.item.source for each in resends}
    }
    by_venue: dict[str, list[tuple[Resend, Part]]] = defaultdict(list)
    for resend in resends:
        _decide_refused(resend, numbers[resend.item.source].refused)
        if resend.part is not None and len(resend.part):
            by_venue[resend.venue].append((resend, resend.part))
    for venue, together in by_venue.items():
        batch = merged([part for _, part in together]).of_venue(venue)
        _Comparison(batch, [resend for resend, _ in together], numbers, states).decide(rows, next_position)


def _decide_refused(resend: Resend, refused: Mapping[int, RefusedSequence]) -> None:
    """What was refused when it came first is so again; what has no shape, and was not, is not what its number named."""
    item = resend.item
    end = item.first_sequence + resend.size
    for number in refused.keys() if len(refused) <= resend.size else range(item.first_sequence, end):
        if number not in refused or not item.first_sequence <= number < end:
            continue
        index, entry = number - item.first_sequence, refused[number]
        if entry.fill_sha256 == item.fill_sha256(index):
            resend.refused[index] = Refusal(Reason(entry.reason), entry.field, "it was refused when it came first")
        else:
            resend.refuse_as_conflict(index, f"number {number} of {item.source} was another fill, which was refused")
    for index, _ in item.malformed:
        if index < resend.size and index not in resend.refused:
            resend.refuse_as_conflict(index, _named_another(item, index))


class _Comparison:
    """Well-formed fills of one venue that came again, as one batch."""

    def __init__(
        self, batch: FillBatch, resends: Sequence[Resend], numbers: Mapping[str, _Numbers], states: States
    ) -> None:
        self._batch = batch
        self._resends = resends
        self._numbers = numbers
        self._states = states
        sizes = [len(resend.part) for resend in resends if resend.part is not None]
        self._of = np.repeat(np.arange(len(resends)), sizes)  # of each fill, whose it is
        with_fees = np.array([resend.item.with_fees for resend in resends])[self._of]
        self._with_fees = with_fees if with_fees.any() else None

    def decide(self, rows: Rows, next_position: int) -> None:
        """Look where the log has the number of each fill, and then for those that may be replays of older fills."""
        places = np.arange(len(self._batch))
        if any(resend.refused for resend in self._resends):
            pairs = zip(self._of.tolist(), self._batch.index.tolist(), strict=True)
            places = np.flatnonzero([index not in self._resends[of].refused for of, index in pairs])
        if not len(places):
            return
        other = self._compare_by_number(rows, places)
        other = self._compare_by_name(rows, next_position, other)
        for place, recorded in other.items():
            resend, index = self._at(place)
            named = f"{self._batch.name(place)} was recorded with other content"
            resend.refuse_as_conflict(index, named if recorded else _named_another(resend.item, index))

    def _at(self, place: int) -> tuple[Resend, int]:
        return self._resends[int(self._of[place])], int(self._batch.index[place])

    def _compare_by_number(self, rows: Rows, places: Ints) -> dict[int, bool]:
        """Return the places of fills that are not what their number named; True where only the content differs."""
        batch = self._batch.rows(places)
        groups = by_account_day(batch)
        keys = [groups.keys[group] for group in groups.of_each().tolist()]
        wanted = by_key(keys, groups.order)
        streams = {key: fee_stream(*key) for key in wanted}
        in_log, making = set[tuple[str, int]](), set[str]()
        positions = self._positions(batch)[groups.order].tolist()
        for key, position in zip(keys, positions, strict=True):
            if position:
                in_log.add((streams[key], position))
            else:
                making.add(streams[key])
        asked = None if self._with_fees is None else self._with_fees[places]
        runs = self._states.runs_of_commits(in_log, making, rows)
        known = known_by_number(batch, wanted, runs, asked)
        self._states.adjust_known(known, streams.values(), rows)
        self._tell_fees(known.fees, places)
        at = places.tolist()
        return {at[each]: each in known.same for each in range(len(batch)) if not known.same.get(each)}

    def _positions(self, batch: FillBatch) -> Ints:
        """Return the position of the commit that took each fill's number; 0 if that commit is still in the making."""
        found = np.zeros(len(batch), dtype=np.int64)
        for code, source in enumerate(batch.sources):
            if source not in self._numbers:
                continue
            mine, numbers = batch.source == code, self._numbers[source]
            taken = np.searchsorted(column(numbers.firsts), batch.sequence[mine], side="right") - 1
            found[mine] = np.array([advance.position for advance in numbers.advances])[taken]
        return found

    def _compare_by_name(self, rows: Rows, next_position: int, other: Mapping[int, bool]) -> dict[int, bool]:
        """Those of some fills that are no replays of fills that the ledger had otherwise, as their numbers were."""
        left = dict(other)
        places = np.array([place for place, recorded in other.items() if not recorded and self._may_be_replayed(place)])
        if not len(places):
            return left
        batch = self._batch.rows(places)
        groups = by_account_day(batch)
        days = self._states.load_batch(batch, groups)
        suspects = self._states.days.suspects(batch, groups, days, next_position)
        asked = None if self._with_fees is None else self._with_fees[places]
        known = self._states.known(batch, suspects, rows, next_position, asked)
        for at, place in enumerate(places.tolist()):
            if known.same.get(at):
                del left[place]
            else:
                left[place] = at in known.same
        self._tell_fees(known.fees, places)
        return left

    def _may_be_replayed(self, place: int) -> bool:
        resend, index = self._at(place)
        return self._numbers[resend.item.source].may_be_replayed(resend.item.first_sequence + index)

    def _tell_fees(self, fees: Mapping[int, tuple[int, Basis]], places: Ints) -> None:
        for at, fee in fees.items():
            resend, index = self._at(int(places[at]))
            resend.fees[index] = fee


def _named_another(item: RecordFills, index: int) -> str:
    return f"number {item.first_sequence + index} of {item.source} named another fill"


def _numbers(log: Log, state: SourceState, resends: Sequence[Resend], making: Mapping[str, SourceAdvanced]) -> _Numbers:
    """What the numbers of fills that a source sent again named."""
    advances: dict[int, _Advance] = {}  # by version
    for first, end in _joined(sorted((each.item.first_sequence, each.size) for each in resends)):
        advances |= _advances(log, state, first, end)
    found = [advances[version] for version in sorted(advances)]
    if state.source in making:
        found.append(_Advance(0, making[state.source]))
    found = [each for each in found if each.event.last_sequence >= each.event.first_sequence]
    return _Numbers(found, {entry.sequence: entry for advance in found for entry in advance.event.refused})


def _joined(spans: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Numbers [first, end) out of (first, how many), in order; those that touch or overlap are one."""
    first, end = spans[0][0], spans[0][0]
    for begin, size in spans:
        if begin > end:
            yield first, end
            first = begin
        end = max(end, begin + size)
    yield first, end


def _advances(log: Log, state: SourceState, first: int, end: int) -> dict[int, _Advance]:
    """Those of the commits of a source, by version, that took numbers in [first, end); both are in the same order."""
    stream = source_stream(state.source)

    def first_sequence(version: int) -> int:
        event = log.version(stream, version).event
        assert isinstance(event, SourceAdvanced), stream
        return event.first_sequence

    version = max(bisect_right(range(1, state.version + 1), first, key=first_sequence), 1)
    found: dict[int, _Advance] = {}
    while version <= state.version:
        events = log.versions(stream, version, _VERSIONS_AT_ONCE)
        for recorded in events:
            assert isinstance(recorded.event, SourceAdvanced), recorded
            if recorded.event.first_sequence >= end:
                return found
            found[recorded.version] = _Advance(recorded.position, recorded.event)
        version += len(events)
    return found


def ranges(numbers: Sequence[int], ranges_max: int) -> tuple[int, ...]:
    """Ascending numbers as pairs of the first and the last of each range, of the first so many ranges."""
    breaks = [at for at, (before, number) in enumerate(pairwise(numbers), 1) if number != before + 1]
    bounds = list(pairwise([0, *breaks, len(numbers)])) if numbers else []
    return tuple(number for begin, end in bounds[:ranges_max] for number in (numbers[begin], numbers[end - 1]))
