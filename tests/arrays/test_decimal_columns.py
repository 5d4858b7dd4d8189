"""Columns of limbs are exact: what they add up to and print is what Python's own integers and decimals say."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ledger.arrays.columns import column
from ledger.arrays.decimal_columns import Amounts, Printed, limbs_of, number_of, printed, rescaled, rescaled_one
from ledger.domain.money import decimal_text

DECIMALS = 36
PLACES = 4

added = st.lists(
    st.lists(
        st.tuples(st.integers(0, 10**40), st.integers(0, DECIMALS))
        | st.tuples(st.integers(0, 2**62), st.integers(0, 18)),
        min_size=1,
        max_size=PLACES,
    ),
    min_size=1,
    max_size=8,
)


def texts(found: Printed) -> list[str]:
    rows = zip(found.characters, found.begin.tolist(), found.end.tolist(), strict=True)
    return [bytes(row[begin:end]).decode() for row, begin, end in rows]


@given(added)
def test_sums_are_exact_however_large(rounds: list[list[tuple[int, int]]]) -> None:
    amounts, expected = Amounts(PLACES), [0] * PLACES
    for pairs in rounds:
        places = np.arange(len(pairs))
        amounts.add(places, limbs_of(column([value for value, _ in pairs]), np.array([scale for _, scale in pairs])))
        for place, (value, scale) in enumerate(pairs):
            expected[place] += value * 10 ** (DECIMALS - scale)
    found = amounts.at(np.arange(PLACES))
    assert [number_of(found, place, DECIMALS) for place in range(PLACES)] == expected
    assert texts(printed(found, PLACES)) == [decimal_text(value, DECIMALS) for value in expected]
    assert texts(printed(found, PLACES, negative=True)) == [decimal_text(-value, DECIMALS) for value in expected]


@given(st.lists(st.integers(0, 2**62 - 1), min_size=1), st.integers(0, 18))
def test_limbs_of_one_scale_are_those_of_any_scale(values: list[int], scale: int) -> None:
    mixed = limbs_of(np.array([*values, 1]), np.array([scale] * len(values) + [18 - scale]))
    alone = limbs_of(np.array(values), np.array([scale] * len(values)))
    for place in range(len(values)):
        assert number_of(alone, place, DECIMALS) == number_of(mixed, place, DECIMALS)


def test_nothing_is_printed_as_zero_and_a_minus_stands_only_before_something() -> None:
    assert texts(printed({}, 2)) == ["0", "0"]
    limbs = {0: np.array([0, 7, 0]), -1: np.array([0, 0, 50])}
    assert texts(printed(limbs, 3, negative=True)) == ["0", "-7", "-0.0000005"]


def test_some_of_the_numbers_are_kept_and_there_is_room_for_more() -> None:
    amounts = Amounts(3)
    amounts.add(np.array([0, 1, 2]), limbs_of(np.array([15, 25, 35]), np.array([1, 1, 1])))
    kept = amounts.only(np.array([2, 0]), 5)
    kept.add(np.array([4]), {0: np.array([9])})
    kept.grow(8)
    assert texts(printed(kept.at(np.arange(6)), 6)) == ["3.5", "1.5", "0", "0", "9", "0"]
    assert kept.nbytes == 2 * 8 * 4


@given(st.lists(st.tuples(st.integers(1, 10**38), *[st.integers(0, 18)] * 2), min_size=1, max_size=8))
def test_one_number_is_brought_to_a_scale_as_a_column_is(rows: list[tuple[int, int, int]]) -> None:
    mantissas, finer = rescaled(*(column(values) for values in zip(*rows, strict=True)))
    expected = [None if void else int(value) for value, void in zip(mantissas.tolist(), finer.tolist(), strict=True)]
    assert [rescaled_one(*row) for row in rows] == expected


@given(st.lists(st.tuples(st.integers(0, PLACES - 1), st.integers(0, 10**40)), max_size=12))
def test_numbers_added_one_by_one_add_up(more: list[tuple[int, int]]) -> None:
    amounts, expected = Amounts(PLACES), [0] * PLACES
    for place, number in more:
        amounts.add_one(place, number, DECIMALS)
        expected[place] += number
    assert [amounts.number(place, DECIMALS) for place in range(PLACES)] == expected
