"""Rates as a person writes them, with their unit: 0.04%, -0.1bps, 400ppm. A bare number is a fraction."""

from __future__ import annotations

import re
from typing import Final

RATE: Final = re.compile(r"(-?)([0-9]{1,12})(?:\.([0-9]{1,24}))?(%|bps|ppm)?")
_SHIFT: Final = {"%": 2, "bps": 4, "ppm": 6, None: 0}  # decimals that the unit moves the point
PPM_SCALE: Final = 6


class RateError(ValueError):
    """Why a rate is none; `code` names the fault."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


def rate_fraction(text: str) -> tuple[int, int]:
    """(mantissa, decimals) of a rate as a fraction of the amount: 0.04% is (4, 4). Exact, however fine.

    Raises RateError RATE_UNIT_AMBIGUOUS for a bare number of 0.01 or more: it may well be a percentage.
    """
    match = RATE.fullmatch(text)
    if match is None:
        raise RateError("RATE_UNIT_AMBIGUOUS", "needs a number and its unit: %, bps or ppm")
    sign, whole, fraction, unit = match.groups()
    value, scale = int(whole + (fraction or "")), len(fraction or "")
    if unit is None and 100 * value >= 10**scale:
        raise RateError("RATE_UNIT_AMBIGUOUS", "may be a fraction or a percentage: give its unit, %, bps or ppm")
    return (-value if sign else value), scale + _SHIFT[unit]


def rate_ppm(text: str) -> int:
    """A rate as signed ppm. Raises RateError, RATE_TOO_FINE for one that is no whole number of them."""
    value, scale = rate_fraction(text)
    ppm, rest = divmod(value * 10**PPM_SCALE, 10**scale)
    if rest:
        raise RateError("RATE_TOO_FINE", "is finer than 1 ppm (0.0001%)")
    return int(ppm)
