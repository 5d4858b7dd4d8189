"""A26: a fee is rounded once, by one formula for one fill and for columns of fills."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from ledger.domain.money import divide_ceiling, divide_half_even
from ledger.domain.rules.fee_amount import Formula, in_token

AMOUNTS = (0, 1, 3, 5, 7, 10**12 + 1)
ROUNDED = [(divide_half_even, [0, 2, 4, 8, 10]), (divide_ceiling, [0, 2, 5, 8, 11])]


@pytest.mark.parametrize(("divide", "fees"), ROUNDED)
def test_the_fee_of_one_fill_is_rounded_as_the_programme_says(
    divide: Callable[[Any, Any], Any], fees: list[int]
) -> None:
    assert [Formula(3, 2, divide).fee(amount) for amount in AMOUNTS[:5]] == fees


@pytest.mark.parametrize("divide", [divide_half_even, divide_ceiling])
@pytest.mark.parametrize("kind", [np.int64, object])
def test_a_column_of_fees_is_the_fee_of_each(divide: Callable[[Any, Any], Any], kind: Any) -> None:
    rules = [(factor, denominator) for factor in (-3, 0, 7) for denominator in (1, 2, 1_000) for _ in AMOUNTS]
    amounts = np.array(AMOUNTS * 9, dtype=kind)
    factors, denominators = (np.array(column, dtype=kind) for column in zip(*rules, strict=True))
    fees = Formula(factors, denominators, divide).fee(amounts)
    assert fees.tolist() == [Formula(*rule, divide).fee(amount) for rule, amount in zip(rules, amounts, strict=True)]


def test_a_fee_in_a_token_is_rounded_once() -> None:
    paid = in_token(Formula(1, 3, divide_half_even), token_price=15, token_price_scale=1)
    assert [paid.fee(amount) for amount in (9, 10, 11)] == [
        round(Fraction(amount, 3) / Fraction(3, 2)) for amount in (9, 10, 11)
    ]
