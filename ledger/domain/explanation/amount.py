"""From the trade to the amount: the exact product, and how it was rounded (A26)."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from ledger.domain.explanation.facts import Facts
from ledger.domain.explanation.sentence import Sentence, say
from ledger.domain.money import PPM, decimal_text, rate_text
from ledger.domain.state.volume_cells import FEE_SCALE, exact


def explain_amount(facts: Facts) -> Iterator[Sentence]:
    """Tell the recorded amount beside the exact one; where it is not its rounding, the audit finds that."""
    line, _, basis = facts.known
    if facts.on_base:
        yield say("CHARGED_ON_RECEIVED", "A26", "What the account received is charged: the quantity, not the notional.")
    product, fee = _product(facts), Fraction(line.fee, 10**basis.fee_decimals)
    residual = fee - product
    parameters = {
        "calculation": _calculation(facts),
        "exact": fraction_text(product),
        "amount": decimal_text(line.fee, basis.fee_decimals),
        "currency": basis.fee_currency,
        "decimals": str(basis.fee_decimals),
        "rounding": facts.programme.rounding,
        "residual": fraction_text(residual),
    }
    if not residual:
        yield say("AMOUNT_EXACT", "A26", "The fee is {calculation} = {amount} {currency}, exactly.", **parameters)
    elif abs(residual) * 10**basis.fee_decimals < 1:
        text = "The fee is {calculation} = {exact} {currency}, recorded as {amount}: {decimals} decimals, {rounding}."
        yield say("AMOUNT_ROUNDED", "A26", text, **parameters)
    else:
        text = "The fee is recorded as {amount} {currency}, but {calculation} is {exact}: audit the ledger."
        yield say("AMOUNT_DEVIATES", "", text, **parameters)


def _product(facts: Facts) -> Fraction:
    basis = facts.known.basis
    product = _traded(facts) * Fraction(basis.rate_ppm, PPM) * Fraction(PPM - basis.discount_ppm, PPM)
    return product / _token_price(facts)


def _calculation(facts: Facts) -> str:
    """Write the product out: its factors, one after the other."""
    line, _, basis = facts.known
    less = f" x (1 - {rate_text(basis.discount_ppm)})" if basis.discount_ppm else ""
    over = f" / {line.token_price}" if facts.is_in_token else ""
    return f"{fraction_text(_traded(facts))} x {rate_text(basis.rate_ppm)}{less}{over}"


def _traded(facts: Facts) -> Fraction:
    """Return the amount that the rate applies to: the notional, or the quantity."""
    line, terms, _ = facts.known
    quantity = Fraction(line.quantity, 10**terms.quantity_scale)
    if facts.on_base:
        return quantity
    return quantity * Fraction(line.price, 10**terms.price_scale)


def _token_price(facts: Facts) -> Fraction:
    """Return the price of the token; 1 where the fee is not paid in one."""
    if not facts.is_in_token:
        return Fraction(1)
    return Fraction(exact(facts.known.line.token_price, FEE_SCALE), 10**FEE_SCALE)


def fraction_text(value: Fraction) -> str:
    """Write a decimal where it has an end, else the fraction in its lowest terms: "0.25", "1/3"."""
    scale, power = 0, 1
    while power % value.denominator and scale < value.denominator.bit_length():
        scale, power = scale + 1, power * 10
    if power % value.denominator:
        return f"{value.numerator}/{value.denominator}"
    return decimal_text(value.numerator * (power // value.denominator), scale)
