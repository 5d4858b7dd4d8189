"""A set of 64-bit numbers as two arrays, asked and filled for whole columns: 16 bytes a slot; Python's takes 64 to 100.

Open addressing with linear probing; every step looks at one slot of each number that is still undecided. A set that
grows, or lets go of owners, moves to other arrays little by little, with each call that adds: to move a million
numbers at once let all callers of a busy service wait for more than half a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from ledger.arrays.columns import Ints

_SLOTS_MIN: Final = 1 << 12
_EMPTY: Final = np.uint64(0)
_INSTEAD_OF_ONE: Final = 0x9E3779B97F4A7C15  # what stands for the number that means empty
_INSTEAD: Final = np.uint64(_INSTEAD_OF_ONE)
_FEW: Final = 4  # numbers that are looked up one by one: arrays cost more
_CHUNK: Final = 1 << 18  # numbers that are put in, and slots that are moved, at once
_MOVED_PER_NUMBER: Final = 8  # slots that are moved for each number added: all are before the set has to grow again,
_MOVED_LEAST: Final = 1 << 10  # and so many at least
_NOTE_BITS: Final = 32
_NOTE: Final = (1 << _NOTE_BITS) - 1
NOT_THERE: Final = -1


class IdSet:
    """Numbers that are spread evenly over 64 bits, each with a note of 32 bits, and an owner to be dropped with.

    Two equal numbers are one and the same, whoever owns them.
    """

    def __init__(self) -> None:
        self._table = _Table(_SLOTS_MIN)
        self._older: _Older | None = None  # the table whose numbers move to `_table`
        self._moved = self._left = 0  # slots of it that have been moved, and numbers of it that are still to be

    def __len__(self) -> int:
        """Return how many numbers there are; while a set moves after `keep`, how many there are at most."""
        return self._table.count + self._left

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        return self._table.nbytes + (self._older.table.nbytes if self._older is not None else 0)

    @property
    def nbytes_soon(self) -> int:
        """Bytes of memory when the set has moved; if it is half full, when it has grown, which is at three fifths."""
        return self._table.nbytes * (2 if 2 * len(self) > self._table.slots else 1)

    def has(self, numbers: Ints) -> Ints:
        """Return a boolean array: True for each number that is in the set."""
        found: Ints = self._marks(_stored(numbers)) != NOT_THERE
        return found

    def notes(self, numbers: Ints) -> Ints:
        """Return the note of each number, NOT_THERE for one that is not in the set."""
        marks = self._marks(_stored(numbers))
        return np.where(marks == NOT_THERE, NOT_THERE, marks & _NOTE)

    def add(self, numbers: Ints, owners: Ints, notes: Ints | int = 0) -> Ints:
        """Put numbers in; return a boolean array: True for each that was there, and for all but one of equal ones.

        For example add([5, 3, 5], ...) -> [True, False, False] or [False, False, True] into an empty set: any of the
        fives is the new one. The lowest 32 bits of a note are kept; a number that was there keeps its note and owner.
        """
        self._make_room(len(numbers))
        if len(numbers) > _CHUNK:  # a day that is read whole: what the steps need is bounded
            notes = np.broadcast_to(notes, len(numbers))
            pieces = [slice(start, start + _CHUNK) for start in range(0, len(numbers), _CHUNK)]
            return np.concatenate([self.add(numbers[some], owners[some], notes[some]) for some in pieces])
        numbers, marks = _stored(numbers), owners.astype(np.int64) << _NOTE_BITS | notes & _NOTE
        if self._older is None:
            return self._table.put(numbers, marks)
        again: Ints = self._older.marks(numbers) != NOT_THERE
        again[~again] = self._table.put(numbers[~again], marks[~again])
        self._move(max(_MOVED_PER_NUMBER * len(numbers), _MOVED_LEAST))
        return again

    def has_one(self, number: int) -> bool:
        """Return True if a number is in the set, as `has` does of a column."""
        number = number or _INSTEAD_OF_ONE
        if self._older is None:
            return self._table.has_one(number)
        return bool(self.has(np.array([number], dtype=np.uint64))[0])

    def add_one(self, number: int, owner: int, note: int) -> None:
        """Put a number in, as `add` does of a column."""
        self._make_room(1)
        if self._older is None:
            self._table.put_one(number or _INSTEAD_OF_ONE, owner << _NOTE_BITS | note & _NOTE)
        else:
            self.add(np.array([number], dtype=np.uint64), np.array([owner]), note)

    def keep(self, place_of: Ints, kept_max: int) -> None:
        """Drop the numbers of owners whose place is negative; the others' owners are their places from now on.

        At most `kept_max` numbers are kept: to count them would take a look at each, and all callers would wait for it.
        """
        self._move_all()
        slots = _SLOTS_MIN
        while 3 * kept_max > slots:  # all have moved before the set is half full, if it does not become smaller
            slots *= 2
        self._move_to(slots, min(kept_max, self._table.count), place_of)

    def _make_room(self, count: int) -> None:
        """Have so many more numbers find an empty slot soon: at most three of five slots are full."""
        slots = self._table.slots
        while 5 * (len(self) + count) > 3 * slots:
            slots *= 2
        if slots > self._table.slots:
            self._move_all()
            self._move_to(slots, self._table.count)

    def _move_to(self, slots: int, left: int, place_of: Ints | None = None) -> None:
        self._older, self._table = _Older(self._table, place_of), _Table(slots)
        self._moved, self._left = 0, left

    def _move_all(self) -> None:
        while self._older is not None:
            self._move(_CHUNK)

    def _move(self, slots: int) -> None:
        """Put what the next slots of the older table hold into the new one; they are still found in the older one."""
        assert self._older is not None, "there is nothing to move"
        numbers, marks = self._older.kept(slice(self._moved, self._moved + slots))
        self._table.put(numbers, marks)
        self._moved += slots
        self._left -= len(numbers)
        if self._moved >= self._older.table.slots:
            self._older, self._left = None, 0

    def _marks(self, numbers: Ints) -> Ints:
        """Return the mark of each number, NOT_THERE for one that is not in the set."""
        marks = self._table.marks(numbers)
        if self._older is not None:
            left = np.flatnonzero(marks == NOT_THERE)
            marks[left] = self._older.marks(numbers[left])
        return marks


class _Table:
    """Slots for numbers, each with a mark: its owner above the bits of its note."""

    def __init__(self, slots: int) -> None:
        """`slots` is a power of two."""
        self.count = 0
        self.slots = slots
        self._numbers = np.zeros(slots, dtype=np.uint64)
        self._marks = np.zeros(slots, dtype=np.int64)
        self._mask = slots - 1
        self._shift = np.uint64(64 - self._mask.bit_length())

    @property
    def nbytes(self) -> int:
        return int(self._numbers.nbytes + self._marks.nbytes)

    def full(self, slots: slice) -> tuple[Ints, Ints]:
        """Return the numbers in some slots, and their marks."""
        here = np.flatnonzero(self._numbers[slots])
        return self._numbers[slots][here], self._marks[slots][here]

    def marks(self, numbers: Ints) -> Ints:
        """Return the mark of each number, NOT_THERE for one that has no slot."""
        if len(numbers) <= _FEW:
            few = map(self._slot_of, numbers.tolist())
            return np.array([self._marks[slot] if there else NOT_THERE for slot, there in few], dtype=np.int64)
        found = np.full(len(numbers), NOT_THERE)
        left, slots = np.arange(len(numbers)), self._first_slots(numbers)
        while len(left):
            there = self._numbers[slots]
            same = there == numbers[left]
            found[left[same]] = self._marks[slots[same]]
            on = (there != _EMPTY) & ~same
            left, slots = left[on], (slots[on] + 1) & self._mask
        return found

    def put(self, numbers: Ints, marks: Ints) -> Ints:
        """Give numbers a slot; return a boolean array: True for each that had one, and all but one of equal ones."""
        if len(numbers) <= _FEW:
            return self._put_few(numbers.tolist(), marks.tolist())
        again = np.zeros(len(numbers), dtype=bool)
        left, slots = np.arange(len(numbers)), self._first_slots(numbers)
        while len(left):
            there = self._numbers[slots]
            same = there == numbers[left]
            again[left[same]] = True
            empty = np.flatnonzero(there == _EMPTY)
            # Who finds a slot empty writes its place there; who reads it again is the one who has it.
            self._marks[slots[empty]] = left[empty]
            first = empty[self._marks[slots[empty]] == left[empty]]
            self._numbers[slots[first]] = numbers[left[first]]
            self._marks[slots[first]] = marks[left[first]]
            self.count += len(first)
            on = ~same
            on[first] = False
            moved = (there != _EMPTY).astype(np.int64)  # who lost an empty slot looks at it once more
            left, slots = left[on], (slots + moved)[on] & self._mask
        return again

    def _put_few(self, numbers: Sequence[int], marks: Sequence[int]) -> Ints:
        return np.array(list(map(self.put_one, numbers, marks)), dtype=bool)

    def has_one(self, number: int) -> bool:
        """Return True if a number has a slot."""
        return self._slot_of(number)[1]

    def put_one(self, number: int, mark: int) -> bool:
        """Give a number a slot; return True if it had one."""
        slot, there = self._slot_of(number)
        if not there:
            self._numbers[slot], self._marks[slot] = number, mark
            self.count += 1
        return there

    def _slot_of(self, number: int) -> tuple[int, bool]:
        """Return (the slot where a number lies or would be put, whether it is there)."""
        slot = number >> int(self._shift)
        while (there := int(self._numbers[slot])) not in (0, number):
            slot = slot + 1 & self._mask
        return slot, there == number

    def _first_slots(self, numbers: Ints) -> Ints:
        return (numbers >> self._shift).astype(np.int64)


class _Older(NamedTuple):
    """A table that is left, but for owners that have no place any more."""

    table: _Table
    place_of: Ints | None  # the new place of each owner, negative for one that is dropped; None: they stay as they are

    def marks(self, numbers: Ints) -> Ints:
        """Return the mark that each number is to have, NOT_THERE for one that the table has not, or that is dropped."""
        marks = self.table.marks(numbers)
        there = np.flatnonzero(marks != NOT_THERE)
        marks[there] = self._placed(marks[there])
        return marks

    def kept(self, slots: slice) -> tuple[Ints, Ints]:
        """Return the numbers in some slots that are not dropped, and the marks they are to have."""
        numbers, marks = self.table.full(slots)
        marks = self._placed(marks)
        kept = marks != NOT_THERE
        return numbers[kept], marks[kept]

    def _placed(self, marks: Ints) -> Ints:
        """Return marks with the new places of their owners, NOT_THERE for those that are dropped."""
        if self.place_of is None:
            return marks
        places = self.place_of[marks >> _NOTE_BITS]
        return np.where(places < 0, NOT_THERE, places << _NOTE_BITS | marks & _NOTE)


def _stored(numbers: Ints) -> Ints:
    return np.where(numbers == _EMPTY, _INSTEAD, numbers)
