"""A26: the amount of a fee: amount traded x rate x (1 - discount), rounded once, at the end."""

from __future__ import annotations

from collections.abc import Callable
from math import gcd
from typing import Any, NamedTuple

from ledger.domain.money import PPM, divide_ceiling, divide_half_even
from ledger.domain.state.programme import SIDE_BUY, Programme

_DIVIDE: dict[str, Callable[[Any, Any], Any]] = {
    "ROUND_HALF_EVEN": divide_half_even,
    "ROUND_CEILING": divide_ceiling,
}


class Formula(NamedTuple):
    """fee = divide(amount x factor, denominator), in units of the currency's decimals; of one fill or of columns."""

    factor: int
    denominator: int
    divide: Callable[[Any, Any], Any]


def charged_on_base(programme: Programme, side: int) -> bool:
    """Whether the fee is taken from the base quantity: fee_currency RECEIVED, on a BUY; otherwise from the notional."""
    return programme.fee_currency == "RECEIVED" and side == SIDE_BUY


def formula(programme: Programme, *, rate_ppm: int, discount_ppm: int, amount_scale: int, fee_decimals: int) -> Formula:
    """How to compute every fee of one rate from integer amounts at `amount_scale` decimals."""
    factor = rate_ppm * (PPM - discount_ppm)
    exponent = amount_scale + 12 - fee_decimals  # the rate carries 6 decimals, the discount 6 more
    divide = _DIVIDE[programme.rounding]
    if exponent < 0:
        return Formula(factor * 10**-exponent, 1, divide)
    common = gcd(factor, 10**exponent)  # the same fraction in smaller numbers, which divide faster
    return Formula(factor // common, 10**exponent // common, divide)


def in_token(fee: Formula, *, token_price: int, token_price_scale: int) -> Formula:
    """The same fee paid in a token: divided by its price in quote currency (A17). token_price > 0."""
    return Formula(fee.factor * 10**token_price_scale, fee.denominator * token_price, fee.divide)


def reversal(fee: int) -> int:
    """What takes a posted fee back: exactly what was posted, whatever the rate is today."""
    return -fee
