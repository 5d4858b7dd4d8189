"""The lines of an adjustment as columns; a single one is made when somebody asks for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ledger.arrays.columns import Ints, Texts, column, texts
from ledger.arrays.lazy_sequence import LazySequence
from ledger.domain.events import AdjustedLine, LineValues


class ValueColumns(NamedTuple):
    """The fields of `LineValues`, as columns."""

    symbol_index: Ints
    traits: Ints
    price: Ints
    quantity: Ints
    fee: Ints
    basis_index: Ints

    def at(self, places: Ints) -> ValueColumns:
        """Return those of some lines."""
        return ValueColumns(*(column[places] for column in self))


class AdjustedLines(LazySequence[AdjustedLine]):
    """Lines that are restated."""

    __slots__ = ("after", "before", "exec_id", "line", "position", "transact_time_ns", "venue", "venues")

    def __init__(
        self,
        *,
        position: Ints,
        line: Ints,
        venues: Sequence[str],
        venue: Ints,
        exec_id: Texts,
        transact_time_ns: Ints,
        before: ValueColumns,
        after: ValueColumns,
    ) -> None:
        """`venue` are places in `venues`, `line` are numbers in the runs at `position`."""
        self.position, self.line = position, line
        self.venues, self.venue = venues, venue
        self.exec_id, self.transact_time_ns = exec_id, transact_time_ns
        self.before, self.after = before, after

    @classmethod
    def of(cls, lines: Sequence[AdjustedLine]) -> AdjustedLines:
        """Return lines as columns."""
        if isinstance(lines, AdjustedLines):
            return lines
        venues: dict[str, int] = {}
        return cls(
            position=column([each.position for each in lines]),
            line=column([each.line for each in lines]),
            venue=column([venues.setdefault(each.venue, len(venues)) for each in lines]),
            venues=list(venues),
            exec_id=texts([each.exec_id for each in lines]),
            transact_time_ns=column([each.transact_time_ns for each in lines]),
            before=_columns([each.before for each in lines]),
            after=_columns([each.after for each in lines]),
        )

    @property
    def is_whole(self) -> bool:
        """True if all columns have one length, and each line a venue."""
        columns = (self.line, self.venue, self.exec_id, self.transact_time_ns, *self.before, *self.after)
        return {*map(len, columns)} == {len(self)} and int(self.venue.max()) < len(self.venues)

    def __len__(self) -> int:
        return len(self.position)

    def make(self, place: int) -> AdjustedLine:
        """Make one of the lines."""
        return next(self.at(slice(place, place + 1)))

    def __iter__(self) -> Iterator[AdjustedLine]:
        return self.at(slice(None))

    def at(self, places: Ints | slice) -> Iterator[AdjustedLine]:
        """Make some of the lines."""
        venues = [self.venues[at] for at in self.venue[places].tolist()]
        names = [name.decode() for name in self.exec_id[places].tolist()]
        numbers = (each[places].tolist() for each in (self.position, self.line))
        sides = (map(LineValues, *(each[places].tolist() for each in side)) for side in (self.before, self.after))
        return map(AdjustedLine, *numbers, venues, names, self.transact_time_ns[places].tolist(), *sides)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(_same, self, other))

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))


def _columns(values: Sequence[LineValues]) -> ValueColumns:
    return ValueColumns(*(column(each) for each in zip(*values, strict=True)))


def _same(one: Any, other: Any) -> bool:
    return bool(one == other)
