"""Running totals of an account-day by volume cell: integers while they grow, canonical decimals in the log."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ledger.domain.events import (
    AdjustedLine,
    Basis,
    CellKey,
    CellTotals,
    CreditEvent,
    FeeAdjusted,
    FeeCredited,
    FeeSum,
    SymbolTerms,
)
from ledger.domain.money import SCALE_MAX, decimal_text, mantissa
from ledger.domain.traits import TRAIT_BANNED, TRAIT_SELF_TRADE, channel_of

NOTIONAL_SCALE: Final = 2 * SCALE_MAX  # the finest price times the finest quantity
FEE_SCALE: Final = SCALE_MAX  # the finest currency

# The cell of no line: its rebates are the credits by hand. Whatever is about volume leaves it out.
CREDITS: Final = CellKey("", 0, 0, self_trade=False, banned=False, zero_fee=False)


class CellSum:
    """The sums of one cell: notional at NOTIONAL_SCALE; per currency [charges, rebates, lines] at FEE_SCALE."""

    __slots__ = ("fees", "lines", "notional")

    def __init__(self) -> None:
        self.notional = 0
        self.lines = 0
        self.fees: dict[str, list[int]] = {}

    def count(self, lines: int, notional: int, currency: str, charges: int, rebates: int) -> None:
        """Add lines with their notional, and their fees in one currency."""
        self.lines += lines
        self.notional += notional
        self.add_fees(currency, charges, rebates, lines)

    def add_fees(self, currency: str, charges: int, rebates: int, lines: int) -> None:
        """Add sums of one currency, at FEE_SCALE."""
        known = self.fees.setdefault(currency, [0, 0, 0])
        known[0] += charges
        known[1] += rebates
        known[2] += lines

    def totals(self, key: CellKey) -> CellTotals:
        """Return the sums as the log holds them."""
        fees = [
            FeeSum(currency, decimal_text(charges, FEE_SCALE), decimal_text(rebates, FEE_SCALE), lines)
            for currency, (charges, rebates, lines) in (
                sorted(self.fees.items()) if len(self.fees) > 1 else self.fees.items()
            )
        ]
        return CellTotals(key, decimal_text(self.notional, NOTIONAL_SCALE), self.lines, tuple(fees))


CellSums = dict[CellKey, CellSum]


def to_totals(sums: CellSums) -> tuple[CellTotals, ...]:
    """Return all cells in the order of their keys, so that equal sums have equal bytes."""
    return tuple([sums[key].totals(key) for key in (sorted(sums) if len(sums) > 1 else sums)])


def add_totals(sums: CellSums, totals: Iterable[CellTotals]) -> None:
    """Add totals out of the log to sums."""
    for cell in totals:
        known = sums.setdefault(cell.key, CellSum())
        known.notional += exact(cell.notional, NOTIONAL_SCALE)
        known.lines += cell.lines
        for fee in cell.fees:
            known.add_fees(fee.currency, exact(fee.charges, FEE_SCALE), exact(fee.rebates, FEE_SCALE), fee.lines)


def add_sums(sums: CellSums, more: CellSums) -> None:
    """Add sums to others."""
    for key, cell in more.items():
        known = sums.setdefault(key, CellSum())
        known.notional += cell.notional
        known.lines += cell.lines
        for currency, amounts in cell.fees.items():
            known.add_fees(currency, *amounts)


def subtract(sums: CellSums, part: CellSums) -> None:
    """Subtract sums that are contained in others; cells in which nothing is left are gone."""
    for key, cell in part.items():
        whole = sums[key]
        whole.notional -= cell.notional
        whole.lines -= cell.lines
        for currency, (charges, rebates, lines) in cell.fees.items():
            whole.add_fees(currency, -charges, -rebates, -lines)
            if not any(whole.fees[currency]):
                del whole.fees[currency]
        if not (whole.notional or whole.lines or whole.fees):
            del sums[key]


def restate(sums: CellSums, event: FeeAdjusted, line: AdjustedLine) -> None:
    """Count a line as it is after an adjustment, not as before. A cell stays, though it may be empty now."""
    for values, sign in ((line.before, -1), (line.after, 1)):
        terms, basis = event.symbols[values.symbol_index], event.bases[values.basis_index]
        scale = NOTIONAL_SCALE - terms.price_scale - terms.quantity_scale
        notional = values.price * values.quantity * int(10**scale)
        amount = values.fee * int(10 ** (FEE_SCALE - basis.fee_decimals))
        cell = sums.setdefault(cell_key(terms, values.traits, basis), CellSum())
        cell.count(sign, sign * notional, basis.fee_currency, sign * max(amount, 0), sign * min(amount, 0))


def count_credit(sums: CellSums, event: CreditEvent) -> None:
    """Count a credit, or take it out where it is withdrawn."""
    sums.setdefault(CREDITS, CellSum()).add_fees(event.currency, 0, amount_of(event), 0)


def amount_of(event: CreditEvent) -> int:
    """Return what the account pays by a credit, or by its withdrawal, at FEE_SCALE: of a credit it is negative."""
    amount = exact(event.amount, FEE_SCALE)
    return -amount if isinstance(event, FeeCredited) else amount


def cell_key(terms: SymbolTerms, traits: int, basis: Basis) -> CellKey:
    """Return the cell that a line counts in; `traits` is the byte of `Line.traits`."""
    return CellKey(
        quote_currency=terms.quote_currency,
        product=terms.product,
        channel=channel_of(traits),
        self_trade=bool(traits & TRAIT_SELF_TRADE),
        banned=bool(traits & TRAIT_BANNED),
        zero_fee=basis.rate_ppm == 0,
    )


def exact(text: str, scale: int) -> int:
    """Return the mantissa of a decimal that the ledger itself wrote."""
    value = mantissa(text, scale)
    assert value is not None, (text, scale)
    return value
