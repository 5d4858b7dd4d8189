"""Decimals: what is one, and that nothing is lost on the way in and out."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.domain.money import decimal_text, divide_ceiling, divide_half_even, is_decimal, mantissa

scales = st.integers(0, 18)


@pytest.mark.parametrize("text", ["0", "1", "-1", "0.5", "-0.001", "1" * 20 + "." + "9" * 18, "007", "1.500"])
def test_a_plain_decimal_is_one(text: str) -> None:
    assert is_decimal(text)


BAD = ["", "-", "+1", ".5", "1.", "1e5", "NaN", "Infinity", "-0", "-0.00", "1_0", " 1", "1\n", "1,5", "0x1"]
ARABIC_ONE = "\N{ARABIC-INDIC DIGIT ONE}"


@pytest.mark.parametrize("text", [*BAD, ARABIC_ONE, "1" * 21, "0." + "1" * 19])
def test_anything_else_is_not(text: str) -> None:
    assert not is_decimal(text)


@given(value=st.integers(-(10**38), 10**38), scale=scales)
def test_text_is_canonical_and_exact(value: int, scale: int) -> None:
    text = decimal_text(value, scale)
    assert Fraction(text) == Fraction(value, 10**scale)
    assert text == "0" or not ("." in text and text.endswith("0"))
    assert text.strip("-0.") != "" or text == "0"


@given(value=st.integers(0, 10**20 - 1), digits=scales, scale=scales)
def test_a_mantissa_is_exact_or_refused(value: int, digits: int, scale: int) -> None:
    text = decimal_text(value, digits)
    exact = Fraction(value, 10**digits) * 10**scale
    assert mantissa(text, scale) == (int(exact) if exact.denominator == 1 else None)


@given(numerator=st.integers(-(10**30), 10**30), denominator=st.integers(1, 10**15))
def test_rounding_is_that_of_the_decimal_standard(numerator: int, denominator: int) -> None:
    exact = Fraction(numerator, denominator)
    assert divide_half_even(numerator, denominator) == round(exact)
    assert divide_ceiling(numerator, denominator) == -((-numerator) // denominator)


@pytest.mark.parametrize(("units", "expected"), [(5, 0), (15, 2), (25, 2), (-5, 0), (-15, -2), (-25, -2), (6, 1)])
def test_ties_go_to_the_even_neighbour(units: int, expected: int) -> None:
    assert divide_half_even(units, 10) == expected
