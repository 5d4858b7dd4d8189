"""A set of 64-bit numbers as two arrays, asked and filled for whole columns: 16 bytes a slot; Python's takes 64 to 100.

Open addressing with linear probing; every step looks at one slot of each number that is still undecided.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from ledger.arrays.columns import Ints

_SLOTS_MIN: Final = 1 << 12
_EMPTY: Final = np.uint64(0)
_INSTEAD: Final = np.uint64(0x9E3779B97F4A7C15)  # what stands for the number that means empty
_FEW: Final = 4  # numbers that are looked up one by one: arrays cost more
_CHUNK: Final = 1 << 18  # numbers that are put in at once, also when the set grows
_NOTE_BITS: Final = 32
_NOTE: Final = (1 << _NOTE_BITS) - 1
NOT_THERE: Final = -1


class IdSet:
    """Numbers that are spread evenly over 64 bits, each with a note of 32 bits, and an owner to be dropped with.

    Of all numbers two are taken for one and the same.
    """

    def __init__(self) -> None:
        self._count = 0
        self._make(_SLOTS_MIN)

    def __len__(self) -> int:
        return self._count

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        return int(self._numbers.nbytes + self._owners.nbytes)

    def has(self, numbers: Ints) -> Ints:
        """Return for each number whether it is in the set."""
        found: Ints = self._find(_stored(numbers)) != NOT_THERE
        return found

    def notes(self, numbers: Ints) -> Ints:
        """Return the note of each number, NOT_THERE for one that is not in the set."""
        slots = self._find(_stored(numbers))
        return np.where(slots == NOT_THERE, NOT_THERE, self._owners[slots] & _NOTE)

    def _find(self, numbers: Ints) -> Ints:
        """Return the slot of each number, NOT_THERE for one that is not in the set."""
        if len(numbers) <= _FEW:
            few = map(self._slot_of, numbers.tolist())
            return np.array([slot if there else NOT_THERE for slot, there in few], dtype=np.int64)
        found = np.full(len(numbers), NOT_THERE)
        left, slots = np.arange(len(numbers)), self._slots(numbers)
        while len(left):
            there = self._numbers[slots]
            same = there == numbers[left]
            found[left[same]] = slots[same]
            on = (there != _EMPTY) & ~same
            left, slots = left[on], (slots[on] + 1) & self._mask
        return found

    def add(self, numbers: Ints, owners: Ints, notes: Ints | int = 0) -> Ints:
        """Put numbers in; of each whether it was there, or is there again: of equal ones one is taken for the first.

        Of a note the lowest 32 bits are kept, of a number that was there the note it had.
        """
        while 5 * (self._count + len(numbers)) > 3 * len(self._numbers):
            self._rebuild(2 * len(self._numbers))
        if len(numbers) > _CHUNK:  # a day that is read whole: what the steps need is bounded
            notes = np.broadcast_to(notes, len(numbers))
            pieces = [slice(start, start + _CHUNK) for start in range(0, len(numbers), _CHUNK)]
            return np.concatenate([self.add(numbers[some], owners[some], notes[some]) for some in pieces])
        return self._put(_stored(numbers), owners.astype(np.int64) << _NOTE_BITS | notes & _NOTE)

    def keep(self, place_of: Ints) -> None:
        """Drop the numbers of owners whose place is negative; the others' owners are their places from now on."""
        places = place_of[self._owners[self._numbers != _EMPTY] >> _NOTE_BITS]
        slots = _SLOTS_MIN
        while 5 * int((places >= 0).sum()) > 2 * slots:
            slots *= 2
        self._rebuild(slots, place_of)

    def _make(self, slots: int) -> None:
        self._numbers = np.zeros(slots, dtype=np.uint64)
        self._owners = np.zeros(slots, dtype=np.int64)  # above the bits of their notes
        self._mask = slots - 1
        self._shift = np.uint64(64 - self._mask.bit_length())

    def _rebuild(self, slots: int, place_of: Ints | None = None) -> None:
        numbers, owners = self._numbers, self._owners
        self._make(slots)
        self._count = 0
        for start in range(0, len(numbers), _CHUNK):
            chunk = slice(start, start + _CHUNK)
            here = np.flatnonzero(numbers[chunk] != _EMPTY) + start
            marks = owners[here]
            if place_of is None:
                self._put(numbers[here], marks)
                continue
            places = place_of[marks >> _NOTE_BITS]
            kept = places >= 0
            self._put(numbers[here][kept], places[kept] << _NOTE_BITS | marks[kept] & _NOTE)

    def _put(self, numbers: Ints, owners: Ints) -> Ints:
        if len(numbers) <= _FEW:
            return self._put_few(numbers.tolist(), owners.tolist())
        again = np.zeros(len(numbers), dtype=bool)
        left, slots = np.arange(len(numbers)), self._slots(numbers)
        while len(left):
            there = self._numbers[slots]
            same = there == numbers[left]
            again[left[same]] = True
            empty = np.flatnonzero(there == _EMPTY)
            # Who finds a slot empty writes its place there; who reads it again is the one who has it.
            self._owners[slots[empty]] = left[empty]
            first = empty[self._owners[slots[empty]] == left[empty]]
            self._numbers[slots[first]] = numbers[left[first]]
            self._owners[slots[first]] = owners[left[first]]
            self._count += len(first)
            on = ~same
            on[first] = False
            moved = (there != _EMPTY).astype(np.int64)  # who lost an empty slot looks at it once more
            left, slots = left[on], (slots + moved)[on] & self._mask
        return again

    def _put_few(self, numbers: Sequence[int], owners: Sequence[int]) -> Ints:
        again = []
        for number, owner in zip(numbers, owners, strict=True):
            slot, there = self._slot_of(number)
            if not there:
                self._numbers[slot], self._owners[slot] = number, owner
                self._count += 1
            again.append(there)
        return np.array(again, dtype=bool)

    def _slot_of(self, number: int) -> tuple[int, bool]:
        """(where a number lies, or where it would be put; whether it is there)."""
        slot = number >> int(self._shift)
        while (there := int(self._numbers[slot])) not in (0, number):
            slot = slot + 1 & self._mask
        return slot, there == number

    def _slots(self, numbers: Ints) -> Ints:
        return (numbers >> self._shift).astype(np.int64)


def _stored(numbers: Ints) -> Ints:
    return np.where(numbers == _EMPTY, _INSTEAD, numbers)
