"""The fill runs that one decision records, as columns of runs; a single run is made when it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from ledger.arrays.columns import Ints, Packed, distinct
from ledger.arrays.lazy_sequence import LazySequence
from ledger.domain.events import Basis, Columns, SourceSpan, SymbolTerms, VolumeRecorded
from ledger.domain.streams import DayKey
from ledger.fills.running_totals import RunTotals

T = TypeVar("T")


class Referred(Generic[T]):
    """Values that lines refer to, numbered anew within each fill run.

    `index` is that number for each line. The values of run n are values[code] for codes[bounds[n] : bounds[n + 1]].
    Lines of runs [0, 0, 1] with codes [5, 3, 5] -> codes [3, 5, 5], bounds [0, 2, 3], index [1, 0, 0].
    """

    def __init__(self, run: Ints, codes: Ints, values: Sequence[T]) -> None:
        """Take for each line its run, ascending, and the place in `values` of what it refers to."""
        self.values = values
        self.pair: Ints  # for each line, a place in `codes`
        self.index: Ints
        self.codes: list[int]
        self.bounds: list[int]
        if len(run) == 1:
            self.pair = self.index = np.zeros(1, dtype=np.int64)
            self.codes, self.bounds = codes.tolist(), [0, 1]
            return
        runs_end, codes_end = int(run[-1]) + 1, len(values)
        pairs, self.pair = distinct(run * codes_end + codes, runs_end * codes_end)
        bounds = np.searchsorted(pairs, np.arange(runs_end + 1) * codes_end)
        self.index = self.pair - bounds[run]
        self.codes, self.bounds = (pairs % codes_end).tolist(), bounds.tolist()

    @classmethod
    def numbered(cls, run: Ints, index: Ints, codes: Ints, bounds: Ints, values: Sequence[T]) -> Referred[T]:
        """Return what lines refer to by numbers that they have already: `index`, in the list of each run."""
        found = cls.__new__(cls)
        found.values, found.index, found.pair = values, index, bounds[run] + index
        found.codes, found.bounds = codes.tolist(), bounds.tolist()
        return found

    def of_run(self, run: int) -> tuple[T, ...]:
        """Return the values that the lines of a run refer to."""
        return tuple([self.values[code] for code in self.codes[self.bounds[run] : self.bounds[run + 1]]])


@dataclass(frozen=True, slots=True)
class FillRuns(LazySequence[tuple[DayKey, VolumeRecorded]]):
    """One fill run per account-day; the lines of run n are at starts[n] up to starts[n + 1] in the columns.

    `first_sequences` and `last_sequences` go with the codes of `sources`; empty where no fill has a number.
    `previous_positions` are those of the events before the runs in their account-days; 0: the run is the first.
    """

    venue: str
    keys: Sequence[DayKey]
    starts: Sequence[int]
    time_min_ns: Ints
    time_max_ns: Ints
    time_max_so_far_ns: Ints
    symbols: Referred[SymbolTerms]
    bases: Referred[Basis]
    sources: Referred[str]
    first_sequences: Ints
    last_sequences: Ints
    columns: dict[str, Packed]
    wide: bool
    totals: RunTotals
    previous_positions: Ints

    def __len__(self) -> int:
        return len(self.keys)

    def make(self, place: int) -> tuple[DayKey, VolumeRecorded]:
        """Make one of the fill runs, with its account-day."""
        start, end = self.starts[place], self.starts[place + 1]
        event = VolumeRecorded(
            venue=self.venue,
            sources=self._sources(place),
            time_min_ns=int(self.time_min_ns[place]),
            time_max_ns=int(self.time_max_ns[place]),
            time_max_so_far_ns=int(self.time_max_so_far_ns[place]),
            symbols=self.symbols.of_run(place),
            bases=self.bases.of_run(place),
            columns=Columns(wide=self.wide, **{name: each.between(start, end) for name, each in self.columns.items()}),
            totals=self.totals[place],
            previous_position=int(self.previous_positions[place]),
        )
        return self.keys[place], event

    def _sources(self, at: int) -> tuple[SourceSpan, ...]:
        names = self.sources.of_run(at)
        span = slice(self.sources.bounds[at], self.sources.bounds[at + 1])
        if not len(self.first_sequences):
            return tuple(SourceSpan(name, 0, 0) for name in names)
        return tuple(map(SourceSpan, names, self.first_sequences[span].tolist(), self.last_sequences[span].tolist()))
