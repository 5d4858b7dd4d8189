"""Exact sums of any size as columns: limbs of eight decimal digits, so that adding never overflows.

A number is the sum of limb x 10^(8 x power) over its powers; the point stands after power 0. Numbers are not negative:
1.5 and 200000000 are {-1: [50000000, 0], 0: [1, 0], 1: [0, 2]}.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar, cast

import numpy as np

from ledger.arrays.columns import INT64_ROOM, Ints, is_wide, wide

LIMB_DIGITS: Final = 8
LIMB: Final = 10**LIMB_DIGITS
# 56 digits before the point: more than 10^14 products of the largest numbers need.
_POWER_MAX: Final = 6
_SCALE_MAX: Final = 18  # decimals whose power of ten int64 holds
_TENS: Final = np.array([10**exponent for exponent in range(_SCALE_MAX + 1)])
# Four digits as the number whose bytes are their characters, in the order in which they are printed.
_FOUR: Final = np.array([f"{number:04}".encode() for number in range(10_000)]).view("<u4")
_GROUPS: Final = 2  # of four digits in a limb
_POINT, _ZERO = b".0"

N = TypeVar("N", bound=Any)  # an integer, or an array of integers

Limbs: TypeAlias = Mapping[int, Ints]  # by power; a power that is missing is zero in every number


def rescaled(mantissas: Ints, decimals: Ints, scales: Ints) -> tuple[Ints, Ints]:
    """Return (mantissas at their scales, exactly; a boolean array: True where one is finer, and its mantissa is void).

    rescaled([15, 15], [1, 1], [2, 0]) -> ([150, 1], [False, True])
    """
    up = scales - decimals
    finer = np.zeros(len(mantissas), dtype=bool)
    if up.any():
        down = _TENS[np.maximum(-up, 0)]
        finer = (mantissas % down != 0).astype(bool)
        mantissas, factors = mantissas // down, _TENS[np.maximum(up, 0)]
        if not is_wide(mantissas) and (mantissas > INT64_ROOM // factors).any():
            mantissas = wide(mantissas)
        mantissas = mantissas * factors
    return mantissas, finer


def rescaled_one(mantissa: int, decimals: int, scale: int) -> int | None:
    """Return one mantissa at a scale, as `rescaled` does; None for one that is finer."""
    if scale >= decimals:
        return int(mantissa * 10 ** (scale - decimals))
    whole, finer = divmod(mantissa, 10 ** (decimals - scale))
    return None if finer else whole


def limbs_of(values: Ints, scale: Ints) -> dict[int, Ints]:
    """Split mantissas with `scale` decimals into limbs: limbs_of([15, 7], [1, 0]) -> {0: [1, 7], -1: [50000000, 0]}.

    Limbs are below 10^8 but for the highest power, where sums of them still fit.
    """
    if len(values) == 1:
        return {power: np.array([limb]) for power, limb in _limbs_of_one(int(values[0]), int(scale[0])).items()}
    if values.dtype == object or int(scale.max()) > _SCALE_MAX:
        return _limbs_of_wide(values, scale)
    if int(scale.min()) == int(scale.max()):
        scale = scale[:1]  # one divisor for all is a quicker division
    one = _TENS[scale]
    whole = values // one
    limbs, rest = _whole_limbs(whole), values - whole * one
    power = 0
    while int(scale.max()) > 0:
        power, beyond = power - 1, np.maximum(scale - LIMB_DIGITS, 0)
        limb = rest // _TENS[beyond]
        rest = rest - limb * _TENS[beyond]
        limbs[power] = limb * _TENS[np.maximum(LIMB_DIGITS - scale, 0)]
        scale = beyond
    return limbs


def _limbs_of_one(value: int, scale: int) -> dict[int, int]:
    """Split one number, without arrays, which would take several times as long."""
    power = -(-scale // LIMB_DIGITS)
    limbs, rest, power = {}, value * 10 ** (LIMB_DIGITS * power - scale), -power
    while rest:
        rest, limbs[power] = divmod(rest, LIMB)
        power += 1
    return limbs


def _whole_limbs(whole: Ints) -> dict[int, Ints]:
    if int(whole.max()) < INT64_ROOM // max(len(whole), 1):
        return {0: whole}
    above = whole // LIMB
    return {0: whole - above * LIMB, 1: above}


def _limbs_of_wide(values: Ints, scale: Ints) -> dict[int, Ints]:
    """Split mantissas in Python's own integers."""
    lowest = -(-int(scale.max()) // LIMB_DIGITS)
    rest = wide(values) * np.array([10 ** (LIMB_DIGITS * lowest - each) for each in scale.tolist()], dtype=object)
    limbs = {}
    for power in range(-lowest, _POWER_MAX + 1):
        limbs[power], rest = (rest % LIMB).astype(np.int64), rest // LIMB
    return limbs


def number_of(limbs: Limbs, place: int, decimals: int) -> int:
    """Return one of the numbers, which has at most so many decimals, times 10^decimals."""
    lowest = min(limbs, default=0)
    mantissa = 0
    for power, limb in limbs.items():
        mantissa += int(limb[place]) * 10 ** (LIMB_DIGITS * (power - lowest))
    return _scaled(mantissa, decimals + LIMB_DIGITS * lowest)


def numbers_of(limbs: Limbs, count: int, decimals: int) -> list[int]:
    """Return so many numbers, which have at most so many decimals, times 10^decimals."""
    if not limbs:
        return [0] * count
    lowest = min(limbs)
    mantissas = sum(wide(limb) * int(LIMB ** (power - lowest)) for power, limb in limbs.items())
    return list(_scaled(np.asarray(mantissas), decimals + LIMB_DIGITS * lowest))


def _scaled(mantissa: N, missing: int) -> N:
    return cast(N, mantissa * 10**missing if missing >= 0 else mantissa // 10**-missing)


def carried(limbs: Limbs) -> dict[int, Ints]:
    """Return the same numbers with every limb below 10^8: carried({0: [3 * 10^8 + 1]}) -> {0: [1], 1: [3]}."""
    found: dict[int, Ints] = {}
    carry: Ints | None = None
    for power in range(min(limbs, default=0), _POWER_MAX + 1):
        limb = limbs.get(power)
        if carry is not None:
            limb = carry if limb is None else limb + carry
        carry = None
        if limb is None:
            continue
        above = limb // LIMB
        if above.any():
            carry, limb = above, limb - above * LIMB
        found[power] = limb
    assert carry is None, "a sum has more digits than any can have"
    return found


class Amounts:
    """A column of numbers in limbs that grows and is added to, 4 bytes a number for each power that any of them has."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._limbs: dict[int, Ints] = {}

    @property
    def nbytes(self) -> int:
        """The bytes of memory that it takes."""
        return sum(column.nbytes for column in self._limbs.values())

    def grow(self, capacity: int) -> None:
        """Make room for so many numbers."""
        for power, column in self._limbs.items():
            self._limbs[power] = grown(column, capacity)
        self._capacity = capacity

    def only(self, places: Ints, capacity: int) -> Amounts:
        """Return a column of some of the numbers, in the order of `places`."""
        found = Amounts(capacity)
        found._limbs = {power: grown(column[places], capacity) for power, column in self._limbs.items()}
        return found

    def add(self, places: Ints, more: Limbs) -> None:
        """Add a number at each of some places, which are all different."""
        if len(places) == 1:
            self._add_one(int(places[0]), {power: int(limb[0]) for power, limb in more.items()})
            return
        carry = None
        for power in range(min(more, default=0), _POWER_MAX + 1):
            added = more.get(power)
            if carry is not None:
                added = carry if added is None else added + carry
            carry = None
            if added is None or not added.any():
                continue
            column = self._column(power)
            total = column[places] + added
            above = total // LIMB
            if above.any():
                carry = above
                total -= above * LIMB
            column[places] = total
        assert carry is None, "a sum has more digits than any can have"

    def _add_one(self, place: int, more: Mapping[int, int]) -> None:
        carry, power, highest = 0, min(more, default=0), max(more, default=0)
        while carry or power <= highest:
            if added := more.get(power, 0) + carry:
                column = self._column(power)
                carry, column[place] = divmod(int(column[place]) + added, LIMB)
            power += 1
        assert power <= _POWER_MAX + 1, "a sum has more digits than any can have"

    def _column(self, power: int) -> Ints:
        column = self._limbs.get(power)
        if column is None:
            column = self._limbs[power] = np.zeros(self._capacity, dtype=np.uint32)
        return column

    def add_one(self, place: int, number: int, scale: int) -> None:
        """Add a number with so many decimals at a place."""
        self._add_one(place, _limbs_of_one(number, scale))

    def number(self, place: int, decimals: int) -> int:
        """Return the number at a place, which has at most so many decimals, times 10^decimals."""
        return number_of(self._limbs, place, decimals)

    def at(self, places: Ints) -> dict[int, Ints]:
        """Return copies of some of the numbers, as limbs."""
        return {power: column[places] for power, column in self._limbs.items()}


def grown(column: Ints, capacity: int) -> Ints:
    """Return the column with room for so many values, or rows: grown([1, 2], 4) -> [1, 2, 0, 0]."""
    longer = np.zeros((capacity, *column.shape[1:]), dtype=column.dtype)
    longer[: len(column)] = column
    return longer


class Printed(NamedTuple):
    """Numbers as canonical decimals: that of row n is the characters from begin[n] up to end[n]."""

    characters: Ints  # uint8, a row to a number
    begin: Ints
    end: Ints


def printed(limbs: Limbs, count: int, *, negative: bool = False) -> Printed:
    """Print so many numbers without leading or trailing zeros; with a minus, but for zero, if they are `negative`."""
    powers = [power for power, column in limbs.items() if column.any()]
    high, low = max([0, *powers]), min([0, *powers])
    digits = [_characters(limbs.get(power), count) for power in range(high, low - 1, -1)]
    whole, after = np.concatenate(digits[: high + 1], axis=1), digits[high + 1 :]
    point = 1 + whole.shape[1]  # room for the minus
    characters = np.empty((count, point + 1 + LIMB_DIGITS * len(after)), dtype=np.uint8)
    characters[:, 1:point] = whole
    characters[:, point] = _POINT
    for number, part in enumerate(after):
        characters[:, point + 1 + LIMB_DIGITS * number :][:, :LIMB_DIGITS] = part
    begin = np.minimum(1 + (whole != _ZERO).argmax(axis=1), point - 1)
    begin[(whole == _ZERO).all(axis=1)] = point - 1
    end = np.full(count, point)
    if after:
        fraction = characters[:, point + 1 :] != _ZERO
        last = fraction.shape[1] - fraction[:, ::-1].argmax(axis=1)
        end += np.where(fraction.any(axis=1), 1 + last, 0)
    if negative:
        not_zero = (end > point) | (characters[np.arange(count), begin] != _ZERO)
        begin -= not_zero
        characters[np.flatnonzero(not_zero), begin[not_zero]] = ord("-")
    return Printed(characters, begin, end)


def _characters(limb: Ints | None, count: int) -> Ints:
    """Return the eight digits of each limb, as characters."""
    if limb is None:
        return np.full((count, LIMB_DIGITS), _ZERO, dtype=np.uint8)
    groups = np.empty((count, _GROUPS), dtype="<u4")
    above = limb // 10_000
    groups[:, 0], groups[:, 1] = _FOUR[above], _FOUR[limb - above * 10_000]
    return groups.view(np.uint8)
