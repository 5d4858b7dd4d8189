"""The set of ids says what Python's own says, however it grows, and forgets just whom it is told to."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.arrays import id_set
from ledger.arrays.columns import Ints
from ledger.arrays.id_set import NOT_THERE, IdSet

# Few numbers, close together and at both ends: slots are contended, and 0 means empty inside.
numbers = st.sampled_from([0, 1, 2, 3, 2**63, 2**64 - 2, 2**64 - 1]) | st.integers(0, 2**64 - 1)


def ids(values: list[int]) -> Ints:
    return np.array(values, dtype=np.uint64)


@given(st.lists(st.lists(numbers, max_size=40), max_size=6))
def test_it_has_what_was_added_and_says_what_came_again(rounds: list[list[int]]) -> None:
    found, expected = IdSet(), set[int]()
    for values in rounds:
        if not values:
            continue
        assert found.has(ids(values)).tolist() == [value in expected for value in values]
        again = found.add(ids(values), np.zeros(len(values)))
        new = {value for value in values if value not in expected}
        assert int((~again).sum()) == len(new)
        assert {value for value, was in zip(values, again.tolist(), strict=True) if not was} == new
        expected |= new
        assert len(found) == len(expected)


def test_it_grows_without_losing_any() -> None:
    chance = np.random.default_rng(7)
    found, all_of_them = IdSet(), chance.integers(1, 2**64, 100_000, dtype=np.uint64)
    for start in range(0, len(all_of_them), 9_999):
        assert not found.add(all_of_them[start : start + 9_999], np.zeros(9_999)[: len(all_of_them) - start]).any()
    assert found.has(all_of_them).all()
    assert not found.has(chance.integers(1, 2**64, 100_000, dtype=np.uint64)).any()
    assert found.nbytes <= 16 * 4 * len(all_of_them)


@pytest.mark.parametrize("count", [3, 3_000])
def test_a_number_keeps_the_note_it_had_when_it_came_first(count: int) -> None:
    found, values = IdSet(), ids(list(range(1, count + 1)))
    found.add(values, np.arange(count), np.arange(count) + 2**40 + 5)
    found.add(values, np.zeros(count), 9)
    found.keep(np.arange(count), count)
    assert found.notes(values).tolist() == [note + 5 for note in range(count)]
    assert found.notes(ids([count + 1] * count)).tolist() == [NOT_THERE] * count


def test_the_numbers_of_an_owner_are_dropped_and_the_others_have_owners_anew() -> None:
    found = IdSet()
    found.add(ids([10, 11, 12, 13]), np.array([0, 1, 2, 1]))
    found.keep(np.array([-1, 0, -1]), 2)
    assert found.has(ids([10, 11, 12, 13])).tolist() == [False, True, False, True]
    found.add(ids([14]), np.array([1]))
    found.keep(np.array([0, -1]), 2)
    assert found.has(ids([11, 13, 14])).tolist() == [True, True, False]
    assert len(found) == 2


def test_many_numbers_are_put_in_piece_by_piece_as_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(id_set, "_CHUNK", 7)
    values = ids([*range(1, 30), *range(20, 40), *range(1, 5)])
    found = IdSet()
    again = found.add(values, np.zeros(len(values), dtype=np.int64), np.arange(len(values)))
    assert again.tolist() == [False] * 29 + [True] * 10 + [False] * 10 + [True] * 4
    assert found.notes(values[:29]).tolist() == list(range(29)), "of equal ones the first"
    assert len(found) == 39


@given(st.lists(st.dictionaries(numbers, st.integers(0, 4), min_size=1, max_size=12) | st.sets(st.integers(0, 4))))
def test_while_it_moves_it_says_the_same(steps: list[dict[int, int] | set[int]]) -> None:
    """Numbers are added with their owners, each with a note of its own; a set names the owners that are dropped."""
    with pytest.MonkeyPatch.context() as small:
        for name, value in (("_SLOTS_MIN", 8), ("_MOVED_LEAST", 1), ("_MOVED_PER_NUMBER", 1)):
            small.setattr(id_set, name, value)
        found, expected, noted = IdSet(), dict[int, tuple[int, int]](), 0
        for step in steps:
            if isinstance(step, set):
                expected = {value: entry for value, entry in expected.items() if entry[0] not in step}
                found.keep(np.array([-1 if owner in step else owner for owner in range(5)]), len(expected))
            else:
                again = found.add(ids([*step]), np.array([*step.values()]), np.arange(noted, noted + len(step)))
                for place, (value, owner) in enumerate(step.items()):
                    assert again[place] == (value in expected)
                    expected.setdefault(value, (owner, noted + place))
                noted += len(step)
            asked = ids([*expected, 4, 5])
            assert found.notes(asked).tolist() == [*(note for _, note in expected.values()), *absent(expected, 4, 5)]
            assert len(found) == len(expected)


@pytest.mark.parametrize("kept_max", [2_000, 3_000, 10_000])
def test_a_set_that_is_told_to_keep_more_than_there_are_keeps_what_there_is(kept_max: int) -> None:
    chance = np.random.default_rng(5)
    found, values = IdSet(), chance.integers(1, 2**64, 4_000, dtype=np.uint64)
    found.add(values, np.arange(4_000) % 2)
    found.keep(np.array([0, -1]), kept_max)
    assert len(found) >= 2_000
    assert found.has(values).tolist() == [True, False] * 2_000
    more = chance.integers(1, 2**64, 6_000, dtype=np.uint64)
    assert not found.add(more, np.zeros(6_000, dtype=np.int64)).any()
    assert (found.has(more).all(), found.has(values).tolist()) == (True, [True, False] * 2_000)
    assert len(found) == 8_000, "all have moved"


def absent(expected: dict[int, tuple[int, int]], *values: int) -> list[int]:
    """Return the notes of numbers of which some may be in the set."""
    return [expected[value][1] if value in expected else NOT_THERE for value in values]


def test_a_set_that_grows_moves_a_part_with_each_call() -> None:
    found, values = IdSet(), np.random.default_rng(3).integers(1, 2**64, 20_000, dtype=np.uint64)
    steps = 0
    for start in range(0, len(values), 100):
        before = found.nbytes
        assert not found.add(values[start : start + 100], np.zeros(100)).any()
        steps += found.nbytes != before
        assert found.has(values[: start + 100]).all()
    assert steps >= 2 * 3, "each time it grows it is larger first, and then lets go of what it was"


@given(st.lists(st.lists(numbers, min_size=1, max_size=8), max_size=6), st.booleans())
def test_one_by_one_it_is_asked_and_filled_as_by_columns(rounds: list[list[int]], moves: bool) -> None:
    found, expected = IdSet(), IdSet()
    for values in rounds:
        if moves:  # to other arrays, where numbers are found meanwhile
            for each in (found, expected):
                each.keep(np.arange(2), len(each))
        assert [found.has_one(value) for value in values] == expected.has(ids(values)).tolist()
        for value in values:
            found.add_one(value, 1, value & 0xFF)
            expected.add(ids([value]), np.ones(1, dtype=np.int64), value & 0xFF)
        assert found.notes(ids(values)).tolist() == expected.notes(ids(values)).tolist()
        assert len(found) == len(expected)
