"""A26: the amount of a fee: amount traded x rate x (1 - discount), rounded once, at the end."""

from __future__ import annotations

from collections.abc import Callable
from math import gcd
from typing import Any, Final, NamedTuple, TypeVar

from ledger.domain.money import PPM, divide_ceiling, divide_half_even
from ledger.domain.state.programme import SIDE_BUY, Programme

_DIVIDE: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "ROUND_HALF_EVEN": divide_half_even,
    "ROUND_CEILING": divide_ceiling,
}


N = TypeVar("N", bound=Any)  # an integer, or an array of integers


class Formula(NamedTuple):
    """How a fee follows from an amount: of one fill, or of many where factor and denominator are columns too."""

    factor: int
    denominator: int
    divide: Callable[[Any, Any], Any]

    def fee(self, amount: N) -> N:
        """Compute the fee in units of its currency's decimals. Nothing else in the ledger computes or rounds one.

        Formula(3, 2, divide_half_even).fee(5) -> 8, the even one of the two next to 15/2.
        """
        fee: N = self.divide(amount * self.factor, self.denominator)
        return fee


def charged_on_base(programme: Programme, side: int) -> bool:
    """Return True if the fee is taken from the base quantity (fee_currency RECEIVED, on a BUY), not the notional."""
    return programme.fee_currency == "RECEIVED" and side == SIDE_BUY


def formula(programme: Programme, *, rate_ppm: int, discount_ppm: int, amount_scale: int, fee_decimals: int) -> Formula:
    """Return the formula of every fee at one rate, for integer amounts at `amount_scale` decimals."""
    factor = rate_ppm * (PPM - discount_ppm)
    exponent = amount_scale + 12 - fee_decimals  # the rate carries 6 decimals, the discount 6 more
    divide = _DIVIDE[programme.rounding]
    if exponent < 0:
        return Formula(factor * 10**-exponent, 1, divide)
    common = gcd(factor, 10**exponent)  # the same fraction in smaller numbers, which divide faster
    return Formula(factor // common, 10**exponent // common, divide)


def in_token(fee: Formula, *, token_price: int, token_price_scale: int) -> Formula:
    """Return the formula of the same fee in a token: divided by its price in quote currency (A17), which is above 0."""
    return Formula(fee.factor * 10**token_price_scale, fee.denominator * token_price, fee.divide)


def reversal(fee: int) -> int:
    """Return the amount that takes a posted fee back: exactly what was posted, whatever the rate is today."""
    return -fee
