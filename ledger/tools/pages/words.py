"""Small words: exact numbers with their thousands apart, percentages and times."""

from __future__ import annotations

from datetime import UTC, datetime

from ledger.domain.instants import DAY_NS, SECOND_NS
from ledger.domain.money import decimal_text
from ledger.domain.state.volume_cells import FEE_SCALE, exact


def grouped(text: str) -> str:
    """Return a decimal with its thousands apart: 12345.678 as 12,345.678; anything else as it is."""
    whole, point, fraction = text.partition(".")
    digits = whole.removeprefix("-")
    return f"{'-' if whole != digits else ''}{int(digits):,}{point}{fraction}" if digits.isdecimal() else text


def decimals(amount: int, scale: int) -> str:
    """Return amount / 10^scale exactly, its thousands apart."""
    return grouped(decimal_text(amount, scale))


def percent(rate: str) -> str:
    """Return a decimal fraction in percent, exactly: 0.0025 as 0.25 %."""
    return f"{decimal_text(exact(rate, FEE_SCALE), FEE_SCALE - 2)} %"


def moment(at_ns: int) -> str:
    """Return an instant to the second, of midnight only the day: 2024-10-05, 2024-10-05 12:00:00."""
    time = datetime.fromtimestamp(at_ns // SECOND_NS, UTC)
    return f"{time:%Y-%m-%d}" if at_ns % DAY_NS == 0 else f"{time:%Y-%m-%d %H:%M:%S}"
