"""The account-days that are kept in memory while fills come in, as columns.

A day has a digest of every exec_id. It has 64 bits and only ever says "look closer", so that a collision costs a read,
never an answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from typing import Final, NamedTuple

import numpy as np

from ledger.arrays.columns import Ints
from ledger.arrays.decimal_columns import grown
from ledger.arrays.id_set import IdSet
from ledger.domain.events import CellTotals
from ledger.domain.state.volume_cells import add_totals, to_totals
from ledger.domain.streams import DayKey
from ledger.fills.account_day import AccountDay
from ledger.fills.batch import AccountDays, FillBatch
from ledger.fills.running_totals import CellTable, FeeCell, GroupSums, LineSums, RunTotals

_CAPACITY: Final = 1_024
_MISSING: Final = -1
_DAY_BYTES: Final = 308  # of an account-day in memory, beside its entries and digests
_ID_BYTES: Final = 96  # of a digest at most: as few as one slot of six is full after days were dropped
_SPREAD: Final = np.uint64(0xD6E8FEB86659FD93)
_MIX: Final = np.uint64(0xBF58476D1CE4E5B9)
_HALF: Final = np.uint64(32)
_WORD_MASK: Final = (1 << 64) - 1
_POSITIONS: Final = 1 << 32  # the bits of a position that are kept with a digest
_COLUMNS: Final = ("_number", "_latest_ns", "_last_position", "_ids_held", "_used")


class Suspects(NamedTuple):
    """Fills of a batch whose exec_id an account-day may have: their places, and the account-day of each.

    The exec_id lies in the first fill run of the account-day at position `since` or after it.
    """

    place: Ints
    key: list[DayKey]
    since: list[int]


class DayTable:
    """Account-days by place: digests of exec_ids with where each was recorded, running totals, the last position."""

    def __init__(self) -> None:
        self._place_of: dict[DayKey, int] = {}
        self._named = 0  # numbers given to account-days so far: no two have one, so that none finds the ids of another
        self._number = np.zeros(_CAPACITY, dtype=np.uint64)
        self._latest_ns = np.zeros(_CAPACITY, dtype=np.int64)
        self._last_position = np.zeros(_CAPACITY, dtype=np.int64)
        self._ids_held = np.zeros(_CAPACITY, dtype=np.int64)
        self._used = np.zeros(_CAPACITY, dtype=np.int64)
        self._uses = 0
        self._ids = IdSet()
        self._cells = CellTable()
        self._begun: set[int] = set()  # see `begin`

    @classmethod
    def holding(cls, days: Mapping[DayKey, AccountDay]) -> DayTable:
        """Make a table of some account-days."""
        table = cls()
        table.enter(days)
        return table

    def __len__(self) -> int:
        return len(self._place_of)

    @property
    def nbytes(self) -> int:
        """The bytes of memory that the table takes, more or less; as its ids move, or soon grow, those after that."""
        return len(self) * _DAY_BYTES + self._ids.nbytes_soon + self._cells.nbytes

    def enter(self, days: Mapping[DayKey, AccountDay]) -> None:
        """Hold account-days, in place of what was held of them."""
        places = [self._place(key) for key in days]
        self._latest_ns[places] = [day.time_max_so_far_ns for day in days.values()]
        self._last_position[places] = [day.last_position for day in days.values()]
        self._cells.enter(places, [to_totals(day.sums) for day in days.values()])
        for place, day in zip(places, days.values(), strict=True):
            if day.digests:
                ids = np.fromiter(day.digests, dtype=np.uint64, count=len(day.digests))
                self.take_in(np.full(len(ids), place), ids)

    def begin(self, day: int) -> None:
        """Take it that no account has an event on a UTC day: an account-day of it that is not held has none, either.

        That holds until account-days are dropped.
        """
        self._begun.add(day)

    def has_begun(self, day: int) -> bool:
        """Return True if all account-days of a UTC day are held that have an event."""
        return day in self._begun

    def enter_new(self, keys: Iterable[DayKey]) -> None:
        """Hold account-days that have no event, and that were not held."""
        places = [self._place(key) for key in keys]
        self._cells.enter(places, [()] * len(places))

    def day(self, key: DayKey) -> AccountDay:
        """Return an account-day that is held, but for its digests."""
        day, place = AccountDay(), self._place_of[key]
        add_totals(day.sums, self._cells.totals(np.array([place]))[0])
        day.time_max_so_far_ns = int(self._latest_ns[place])
        day.last_position = int(self._last_position[place])
        return day

    def places(self, keys: Sequence[DayKey]) -> Ints:
        """Return the places of account-days, which count as used now; -1 for one that is not in memory."""
        places = np.array(list(map(self._place_of.get, keys, repeat(_MISSING))), dtype=np.int64)
        self._used[places[places != _MISSING]] = self._uses
        return places

    def suspects(self, batch: FillBatch, groups: AccountDays, places: Ints, next_position: int = 0) -> Suspects:
        """Return the fills whose exec_id may have been recorded in their account-day.

        `places` are those of `groups.keys`; `next_position` is that of the next event of the log.
        """
        group = groups.group_of_each()
        ids = self._named_ids(places[group], batch.digests[groups.order])
        hit = np.flatnonzero(self._ids.has(ids))
        keys = [groups.keys[number] for number in group[hit].tolist()]
        notes = self._ids.notes(ids[hit]).tolist() if len(hit) else ()
        since = [next_position - (next_position - note) % _POSITIONS for note in notes]
        return Suspects(groups.order[hit], keys, since)

    def has_or_twice(self, places: Ints, digests: Ints) -> Ints:
        """Return a boolean array: True where the account-day has the digest, and for each that comes twice here."""
        ids = self._named_ids(places, digests)
        found: Ints = self._ids.has(ids)
        in_order = np.sort(ids)
        twice = in_order[1:][in_order[1:] == in_order[:-1]]
        return found | np.isin(ids, twice) if len(twice) else found

    def take_in(self, places: Ints, digests: Ints, positions: Ints | int = 0) -> Ints:
        """Put digests in; return a boolean array: True where the account-day had the digest, or is given it twice here.

        A position is kept with each: the digest lies in the first fill run of its account-day at it or after it.
        """
        self._ids_held += np.bincount(places, minlength=len(self._ids_held))
        return self._ids.add(self._named_ids(places, digests), places, positions)

    def code(self, fee_cell: FeeCell) -> int:
        """Return the code of a fee cell, for `move_on`."""
        return self._cells.code(fee_cell)

    def move_on(self, places: Ints, latest_ns: Ints, days: Ints, codes: Ints, sums: GroupSums) -> RunTotals:
        """Count groups of lines in account-days, and return the totals of each day after them.

        `places` are the days, each once, `latest_ns` the times of their latest new lines. The lines of group n are of
        the day `days[n]` and count in the fee cell with the code `codes[n]`; `sums` are those of the groups.
        """
        self.count(places, latest_ns, days, codes, sums)
        return self.totals(places)

    def count(self, places: Ints, latest_ns: Ints, days: Ints, codes: Ints, sums: GroupSums) -> None:
        """Count groups of lines in account-days, as `move_on` does."""
        self._latest_ns[places] = np.maximum(self._latest_ns[places], latest_ns)
        self._cells.count(days, codes, sums)

    def totals(self, places: Ints) -> RunTotals:
        """Return the totals of account-days, which are all different."""
        return self._cells.totals(places)

    def latest_ns(self, places: Ints) -> Ints:
        """Return the times of the latest lines of account-days."""
        latest: Ints = self._latest_ns[places]
        return latest

    def append(self, places: Ints, first_position: int) -> Ints:
        """Let account-days, each once, end with events at positions from one on, in this order.

        Return the positions of the events before these, 0 for a day that had none.
        """
        before = self.last_positions(places)
        self.end_at(places, np.arange(first_position, first_position + len(places)))
        return before

    def last_positions(self, places: Ints) -> Ints:
        """Return the positions of the last events of account-days, 0 for a day that has none."""
        last: Ints = self._last_position[places]
        return last

    def end_at(self, places: Ints, positions: Ints) -> None:
        """Let account-days end with events at some positions."""
        self._last_position[places] = positions

    def has(self, place: int, digest: int) -> bool:
        """Return True if an account-day may have an exec_id, by its digest: what `suspects` says of many."""
        return self._ids.has_one(self._named_id(place, digest))

    def take_in_one(self, place: int, digest: int, position: int) -> None:
        """Put one digest in, as `take_in` does."""
        self._ids_held[place] += 1
        self._ids.add_one(self._named_id(place, digest), place, position)

    def move_one_on(
        self, place: int, latest_ns: int, sums: Mapping[FeeCell, LineSums], position: int
    ) -> tuple[int, tuple[CellTotals, ...], int]:
        """Count lines in one account-day, which ends with an event at a position, as `move_on` and `append` do.

        Return the time of its latest line, its totals, and the position of the event before.
        """
        for fee_cell, of_cell in sums.items():
            self._cells.count_one(place, self._cells.code(fee_cell), of_cell)
        latest_ns = self._latest_ns[place] = max(int(self._latest_ns[place]), latest_ns)
        before, self._last_position[place] = int(self._last_position[place]), position
        return latest_ns, to_totals(self._cells.sums(place)), before

    def shrink(self, bytes_max: int) -> None:
        """Drop the least recently used days if the table takes more; none is in use."""
        self._uses += 1
        if self.nbytes <= bytes_max:
            return
        count = len(self._place_of)
        newest = np.argsort(-self._used[:count], kind="stable")
        cells = self._cells.nbytes // max(count, 1)
        weights = _DAY_BYTES + cells + _ID_BYTES * self._ids_held[newest]
        self._keep(np.sort(newest[np.cumsum(weights) <= bytes_max * 3 // 4]))  # so that not every commit has to

    def _keep(self, places: Ints) -> None:
        self._begun.clear()
        count = len(self._place_of)
        place_of = np.full(count, _MISSING, dtype=np.int64)
        place_of[places] = np.arange(len(places))
        self._ids.keep(place_of, int(self._ids_held[places].sum()))
        self._cells.keep(places)
        capacity = max(_CAPACITY, len(places))
        for name in _COLUMNS:
            setattr(self, name, grown(getattr(self, name)[places], capacity))
        kept = zip(self._place_of, place_of.tolist(), strict=True)
        self._place_of = {key: place for key, place in kept if place >= 0}

    def _place(self, key: DayKey) -> int:
        place = self._place_of.setdefault(key, len(self._place_of))
        if place == len(self._number):
            for name in _COLUMNS:
                setattr(self, name, grown(getattr(self, name), 2 * place))
        if not self._number[place]:
            self._named += 1
            self._number[place] = self._named
        return place

    def _named_id(self, place: int, digest: int) -> int:
        """Mix one digest with the number of its account-day, as `_named_ids` does."""
        mixed = (digest + int(self._number[place]) * int(_SPREAD)) * int(_MIX) & _WORD_MASK
        return (mixed ^ mixed >> 32) * int(_SPREAD) & _WORD_MASK

    def _named_ids(self, places: Ints, digests: Ints) -> Ints:
        """Mix digests with the numbers of their account-days, spread evenly over 64 bits."""
        mixed = (digests + self._number[places] * _SPREAD) * _MIX
        spread: Ints = (mixed ^ mixed >> _HALF) * _SPREAD
        return spread
