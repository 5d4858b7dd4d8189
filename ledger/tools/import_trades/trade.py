"""A trade of a public tape, and what can be worked out of it."""

from __future__ import annotations

from decimal import Context, Decimal, Inexact
from typing import Final, NamedTuple

TRADES_MAX: Final = 10_000_000  # of a file; a trade takes about 0.7 kB of memory
_EXACT: Final = Context(prec=3_000, traps=[Inexact])  # room for any two numbers that a tape may have


class Trade(NamedTuple):
    """One row. Price, amount and cost are plain decimals, as printed."""

    place: str  # "row 7" of a JSON list, "line 8" of CSV
    time_ms: int  # since 1970, UTC
    id: str
    taker_side: str  # "buy" or "sell"
    price: str  # quote currency, greater than zero
    amount: str  # base currency, greater than zero
    cost: str  # quote currency; empty if the file has none


def cost_difference(trade: Trade) -> Decimal:
    """Return the file's cost - price x amount, exactly; zero if the file has no cost."""
    if not trade.cost:
        return Decimal(0)
    return _EXACT.subtract(Decimal(trade.cost), _EXACT.multiply(Decimal(trade.price), Decimal(trade.amount)))


def decimals(text: str) -> int:
    """Return how many digits stand after the point."""
    return len(text.partition(".")[2])
