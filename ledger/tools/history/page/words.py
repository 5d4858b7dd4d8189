"""Small words: plurals, exact numbers with their thousands apart, percentages."""

from __future__ import annotations

from ledger.domain.money import decimal_text
from ledger.domain.state.volume_cells import FEE_SCALE, exact


def many(count: int, one: str, more: str = "") -> str:
    """A count with its noun."""
    return f"{count:,} {one if count == 1 else more or f'{one}s'}"


def decimals(amount: int, scale: int) -> str:
    """An exact amount, its thousands apart."""
    whole, point, fraction = decimal_text(abs(amount), scale).partition(".")
    return f"{'-' if amount < 0 else ''}{int(whole):,}{point}{fraction}"


def percent(rate: str) -> str:
    """A decimal fraction in percent, exactly."""
    sign, digits = ("-", rate[1:]) if rate.startswith("-") else ("", rate)
    return f"{sign}{decimal_text(exact(digits, FEE_SCALE), FEE_SCALE - 2)} %"
