"""Exact amounts: decimal text outside, integer mantissas at a known scale inside. No float anywhere."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final, TypeVar, cast

PPM: Final = 1_000_000
SCALE_MAX: Final = 18  # decimals of any price, quantity, token price or currency

_POWERS: Final[tuple[int, ...]] = tuple(10**exponent for exponent in range(2 * SCALE_MAX + 1))

# The only decimals the ledger takes: no exponent, no sign but minus, no bare point, bounded.
DECIMAL: Final = re.compile(r"-?[0-9]{1,20}(?:\.[0-9]{1,18})?")


def is_decimal(text: str) -> bool:
    """Whether the text is a decimal as the contract defines it; -0 is none, zero has no sign."""
    return DECIMAL.fullmatch(text) is not None and not (text[0] == "-" and not text.strip("-0."))


def mantissa(text: str, scale: int) -> int | None:
    """The decimal times 10^scale, exactly; None if it is finer than that. `text` satisfies `is_decimal`."""
    whole, _, fraction = text.partition(".")
    missing = scale - len(fraction)
    if missing >= 0:
        return int(whole + fraction) * _POWERS[missing]
    return None if fraction[scale:].strip("0") else int(whole + fraction[:scale])


def decimal_text(value: int, scale: int) -> str:
    """value / 10^scale as canonical text: no exponent, no trailing zeros, zero is "0"."""
    if scale == 0 or value == 0:
        return str(value)
    digits = str(value) if value > 0 else str(-value)
    whole, fraction = digits[:-scale] or "0", digits[-scale:].rjust(scale, "0").rstrip("0")
    text = f"{whole}.{fraction}" if fraction else whole
    return text if value > 0 else f"-{text}"


@lru_cache(maxsize=4096)
def rate_text(rate_ppm: int) -> str:
    """A rate in ppm as a decimal fraction: 2500 is "0.0025"."""
    return decimal_text(rate_ppm, 6)


N = TypeVar("N", bound=Any)  # an integer, or an array of integers


def divide_half_even(numerator: N, denominator: N) -> N:
    """numerator / denominator, rounded to the nearest integer, ties to the even one. denominator > 0.

    Of arrays each element; |numerator| and 2 x denominator must fit their type.
    """
    quotient = numerator // denominator
    twice = 2 * (numerator - quotient * denominator)
    return cast(N, quotient + ((twice > denominator) | ((twice == denominator) & ((quotient & 1) == 1))))


def divide_ceiling(numerator: N, denominator: N) -> N:
    """numerator / denominator, rounded towards plus infinity. denominator > 0. Of arrays each element."""
    return cast(N, -(-numerator // denominator))
