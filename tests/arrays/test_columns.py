"""Columns of integers, packed as narrow as they can be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.arrays.columns import (
    column,
    digest,
    digests,
    packed,
    packed_list,
    packed_texts,
    packed_words,
    texts,
    unpacked,
)


@given(st.integers(0, 63).flatmap(lambda bits: st.lists(st.integers(-(2**bits), 2**bits - 1), min_size=1)))
def test_signed_integers_of_every_width_come_back(values: list[int]) -> None:
    assert unpacked(packed(column(values), signed=True).data, len(values), signed=True).tolist() == values


@given(st.integers(0, 64).flatmap(lambda bits: st.lists(st.integers(0, 2**bits - 1), min_size=1)))
def test_integers_without_a_sign_do_too(values: list[int]) -> None:
    assert unpacked(packed(column(values)).data, len(values)).tolist() == values


@pytest.mark.parametrize(
    ("value", "signed", "width"),
    [(0, False, 1), (255, False, 1), (256, False, 2), (2**24 - 1, False, 3), (2**24, False, 4), (2**64 - 1, False, 8),
     (127, True, 1), (128, True, 2), (-128, True, 1), (-129, True, 2), (2**39, True, 6), (-(2**63), True, 8)],
)  # fmt: skip
def test_a_column_is_as_wide_as_its_largest_value(value: int, signed: bool, width: int) -> None:
    assert packed(column([value, 0]), signed=signed).width == width


@given(st.integers(0, 63).flatmap(lambda bits: st.lists(st.integers(-(2**bits), 2**bits - 1), min_size=1)))
def test_a_list_is_packed_as_a_column_is(values: list[int]) -> None:
    assert packed_list(values, signed=True) == packed(column(values), signed=True)
    sizes = [abs(value) for value in values]
    assert packed_list(sizes) == packed(column(sizes))


names = st.lists(st.text("AZ09._:-", max_size=64), min_size=1, max_size=20)


@given(names)
def test_a_list_of_texts_is_packed_as_a_column_is_and_each_has_the_digest_that_it_has_there(values: list[str]) -> None:
    found, words = texts(values), [value.encode() for value in values]
    assert packed_words(words) == packed_texts(found)
    assert packed_words(words, 70) == packed_texts(found.astype("S70"))
    assert list(map(digest, words)) == digests(found).tolist()
