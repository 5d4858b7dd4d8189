"""Fills that a source sends again: each is compared with the fill that its number named when it came first.

A number is a name. The same fill under it is a replay, and what was refused is refused again; any other fill is a
conflict, which is told, recorded in the stream of the source, and never becomes a fill.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np

from ledger.arrays.columns import Ints, column
from ledger.domain.events import Basis, RefusedSequence, SourceAdvanced
from ledger.domain.refusal import Reason, Refusal
from ledger.domain.state.account import SourceState
from ledger.domain.streams import fee_stream, source_stream
from ledger.fills.batch import BatchPart, FillBatch, by_account_day, merged
from ledger.fills.known import known_by_number, places_by_day
from ledger.store.log import Log
from ledger.writing.draft import Draft, Resend
from ledger.writing.messages import RecordFills

_VERSIONS_AT_ONCE: Final = 1_000  # events of a source that are read together


class _Advance(NamedTuple):
    """The numbers of a source that one commit took, recorded at `position`; 0: by the commit in the making."""

    position: int
    event: SourceAdvanced


@dataclass(frozen=True)
class _Numbers:
    """The commits that took numbers of a source, in order, and by number the fills that they refused."""

    advances: Sequence[_Advance]
    refused: Mapping[int, RefusedSequence]

    @cached_property
    def firsts(self) -> list[int]:
        """The first number of each commit."""
        return [advance.event.first_sequence for advance in self.advances]

    def may_be_replayed(self, number: int) -> bool:
        """Return True if the fill of a number was a replay, or may have been one.

        Not every commit says which of its fills were replays.
        """
        event = self.advances[bisect_right(self.firsts, number) - 1].event
        said = event.replayed_ranges()
        if any(first <= number <= last for first, last in said):
            return True
        return event.replayed > sum(last - first + 1 for first, last in said)


def decide_resends(draft: Draft, resends: Sequence[Resend]) -> None:
    """Decide fills that came again, all at once, and put the answers into `resends`."""
    numbers = {
        source: _numbers(draft, source, [each for each in resends if each.job.source == source])
        for source in {each.job.source for each in resends}
    }
    by_venue: dict[str, list[tuple[Resend, BatchPart]]] = defaultdict(list)
    for resend in resends:
        _decide_refused(resend, numbers[resend.job.source].refused)
        if resend.part is not None and len(resend.part):
            by_venue[resend.venue].append((resend, resend.part))
    for venue, together in by_venue.items():
        batch = merged([part for _, part in together]).at_venue(venue)
        _Comparison(batch, [resend for resend, _ in together], numbers, draft).decide()


def _decide_refused(resend: Resend, refused: Mapping[int, RefusedSequence]) -> None:
    """Refuse again the fills that were refused when they came first.

    A malformed fill whose number had not been refused is a conflict: the number named another fill.
    """
    job = resend.job
    end = job.first_sequence + resend.size
    for number in refused.keys() if len(refused) <= resend.size else range(job.first_sequence, end):
        if number not in refused or not job.first_sequence <= number < end:
            continue
        index, entry = number - job.first_sequence, refused[number]
        if entry.fill_sha256 == job.fill_sha256(index):
            resend.refused[index] = Refusal(Reason(entry.reason), entry.field, "it was refused when it came first")
        else:
            resend.refuse_as_conflict(index, f"number {number} of {job.source} was another fill, which was refused")
    for index, _ in job.malformed:
        if index < resend.size and index not in resend.refused:
            resend.refuse_as_conflict(index, _named_another(job, index))


class _Comparison:
    """Compares well-formed fills of one venue that came again, as one batch, with what their numbers named."""

    def __init__(
        self, batch: FillBatch, resends: Sequence[Resend], numbers: Mapping[str, _Numbers], draft: Draft
    ) -> None:
        self._batch = batch
        self._resends = resends
        self._numbers = numbers
        self._states = draft.states
        self._rows = draft.rows
        self._next_position = draft.next_position
        sizes = [len(resend.part) for resend in resends if resend.part is not None]
        self._of = np.repeat(np.arange(len(resends)), sizes)  # the place of each fill's resend
        with_fees = np.array([resend.job.with_fees for resend in resends])[self._of]
        self._with_fees = with_fees if with_fees.any() else None

    def decide(self) -> None:
        """Compare each fill with the line that has its number, then those that may be replays with all lines.

        A fill that is neither is refused as a conflict.
        """
        places = np.arange(len(self._batch))
        if any(resend.refused for resend in self._resends):
            pairs = zip(self._of.tolist(), self._batch.index.tolist(), strict=True)
            places = np.flatnonzero([index not in self._resends[of].refused for of, index in pairs])
        if not len(places):
            return
        other = self._compare_by_number(places)
        other = self._compare_by_name(other)
        for place, recorded in other.items():
            resend, index = self._at(place)
            named = f"{self._batch.name(place)} was recorded with other content"
            resend.refuse_as_conflict(index, named if recorded else _named_another(resend.job, index))

    def _at(self, place: int) -> tuple[Resend, int]:
        return self._resends[int(self._of[place])], int(self._batch.index[place])

    def _compare_by_number(self, places: Ints) -> dict[int, bool]:
        """Return the places of fills that are not what their number named; True where only the content differs."""
        batch = self._batch.rows(places)
        groups = by_account_day(batch)
        keys = [groups.keys[group] for group in groups.group_of_each().tolist()]
        wanted = places_by_day(keys, groups.order)
        streams = {key: fee_stream(*key) for key in wanted}
        in_log, making = set[tuple[str, int]](), set[str]()
        positions = self._positions(batch)[groups.order].tolist()
        for key, position in zip(keys, positions, strict=True):
            if position:
                in_log.add((streams[key], position))
            else:
                making.add(streams[key])
        asked = None if self._with_fees is None else self._with_fees[places]
        runs = self._states.runs(Log.runs_of_commits, in_log, making, self._rows)
        known = known_by_number(batch, wanted, runs, asked)
        self._states.adjust_known(known, streams.values(), self._rows)
        self._tell_fees(known.fees, places)
        at = places.tolist()
        return {at[each]: each in known.same for each in range(len(batch)) if not known.same.get(each)}

    def _positions(self, batch: FillBatch) -> Ints:
        """Return the position of the event that took each fill's number; 0: it is of the commit in the making."""
        found = np.zeros(len(batch), dtype=np.int64)
        for code, source in enumerate(batch.sources):
            if source not in self._numbers:
                continue
            mine, numbers = batch.source == code, self._numbers[source]
            taken = np.searchsorted(column(numbers.firsts), batch.sequence[mine], side="right") - 1
            found[mine] = np.array([advance.position for advance in numbers.advances])[taken]
        return found

    def _compare_by_name(self, other: Mapping[int, bool]) -> dict[int, bool]:
        """Return those of `other` that are no replays of fills which the ledger had under other numbers.

        `other` are places of fills; True where the ledger has the fill's name with other content.
        """
        left = dict(other)
        places = np.array([place for place, recorded in other.items() if not recorded and self._may_be_replayed(place)])
        if not len(places):
            return left
        batch = self._batch.rows(places)
        groups = by_account_day(batch)
        days = self._states.load_days(groups.keys)
        suspects = self._states.days.suspects(batch, groups, days, self._next_position)
        asked = None if self._with_fees is None else self._with_fees[places]
        known = self._states.known(batch, suspects, self._rows, self._next_position, asked)
        for at, place in enumerate(places.tolist()):
            if known.same.get(at):
                del left[place]
            else:
                left[place] = at in known.same
        self._tell_fees(known.fees, places)
        return left

    def _may_be_replayed(self, place: int) -> bool:
        resend, index = self._at(place)
        return self._numbers[resend.job.source].may_be_replayed(resend.job.first_sequence + index)

    def _tell_fees(self, fees: Mapping[int, tuple[int, Basis]], places: Ints) -> None:
        for at, fee in fees.items():
            resend, index = self._at(int(places[at]))
            resend.fees[index] = fee


def _named_another(job: RecordFills, index: int) -> str:
    return f"number {job.first_sequence + index} of {job.source} named another fill"


def _numbers(draft: Draft, source: str, resends: Sequence[Resend]) -> _Numbers:
    """Return the commits that took the numbers of fills that a source sent again."""
    log, state = draft.states.log, draft.states.source(source)
    advances: dict[int, _Advance] = {}  # by version
    for first, end in _joined(sorted((each.job.first_sequence, each.size) for each in resends)):
        advances |= _advances(log, state, first, end)
    found = [advances[version] for version in sorted(advances)]
    if source in draft.sources:
        found.append(_Advance(0, draft.sources[source].event(SourceState(source))))
    found = [each for each in found if each.event.last_sequence >= each.event.first_sequence]
    return _Numbers(found, {entry.sequence: entry for advance in found for entry in advance.event.refused})


def _joined(spans: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Join spans (first, size), in order, into [first, end): [(1, 2), (3, 1), (9, 2)] gives (1, 4) and (9, 11)."""
    first, end = spans[0][0], spans[0][0]
    for begin, size in spans:
        if begin > end:
            yield first, end
            first = begin
        end = max(end, begin + size)
    yield first, end


def _advances(log: Log, state: SourceState, first: int, end: int) -> dict[int, _Advance]:
    """Return by version the commits of a source that took numbers in [first, end).

    Its numbers rise with its versions, so the first one is found by bisection.
    """
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
