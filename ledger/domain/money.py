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
    """Return True for a decimal as the contract defines it; "-0" is none, as zero has no sign."""
    return DECIMAL.fullmatch(text) is not None and not (text[0] == "-" and not text.strip("-0."))


def mantissa(text: str, scale: int) -> int | None:
    """Return a decimal times 10^scale, exactly; None if it is finer: mantissa("1.5", 3) -> 1500, ("1.5", 0) -> None."""
    whole, _, fraction = text.partition(".")
    missing = scale - len(fraction)
    if missing >= 0:
        return int(whole + fraction) * _POWERS[missing]
    return None if fraction[scale:].strip("0") else int(whole + fraction[:scale])


def decimal_text(value: int, scale: int) -> str:
    """Write value / 10^scale as canonical text, without exponent or trailing zeros: decimal_text(1500, 3) -> "1.5"."""
    if scale == 0 or value == 0:
        return str(value)
    digits = str(value) if value > 0 else str(-value)
    whole, fraction = digits[:-scale] or "0", digits[-scale:].rjust(scale, "0").rstrip("0")
    text = f"{whole}.{fraction}" if fraction else whole
    return text if value > 0 else f"-{text}"


@lru_cache(maxsize=4096)
def rate_text(rate_ppm: int) -> str:
    """Write a rate in ppm as a decimal fraction: 2500 -> "0.0025"."""
    return decimal_text(rate_ppm, 6)


N = TypeVar("N", bound=Any)  # an integer, or an array of integers


def divide_half_even(numerator: N, denominator: N) -> N:
    """Divide and round to the nearest integer, ties to the even one. denominator > 0.

    Arrays are divided element by element; |numerator| and 2 x denominator must fit their type.
    """
    quotient = numerator // denominator
    twice = 2 * (numerator - quotient * denominator)
    return cast(N, quotient + ((twice > denominator) | ((twice == denominator) & ((quotient & 1) == 1))))


def divide_ceiling(numerator: N, denominator: N) -> N:
    """Divide and round towards plus infinity, arrays element by element. denominator > 0."""
    return cast(N, -(-numerator // denominator))
