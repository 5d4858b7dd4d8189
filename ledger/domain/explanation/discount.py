"""The discount of a fee for being paid in a token, or why there is none (R20, A17)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ledger.domain.explanation.facts import Facts
from ledger.domain.explanation.sentence import Sentence, say
from ledger.domain.money import decimal_text, rate_text

# Why an account gets none though it asked, by the programme's switch.
_EXCLUDED: Final = {
    "while_vip": ("NO_DISCOUNT_FOR_MEMBERS", "R20", "a member gets none, and the tier was {tier}"),
    "trial_only": ("NO_DISCOUNT_DURING_TRIAL", "R20", "there is none during the trial"),
    "permanent_after_trial": ("NO_DISCOUNT_AFTER_TRIAL", "A17", "who ever took the trial gets none"),
}


def explain_discount(facts: Facts) -> Iterator[Sentence]:
    """Tell the discount, and what the fee is paid in; or why there is none."""
    line, terms, basis = facts.known
    stays = say(
        "CURRENCY_STAYS", "A31", "It stays in {currency}, in which it was charged first.", currency=facts.currency
    )
    if not basis.discount_ppm:
        yield _no_discount(facts)
        if facts.is_in_token:
            yield stays
        return
    discount = {"discount": rate_text(basis.discount_ppm), "percent": decimal_text(basis.discount_ppm, 4)}
    yield say("TOKEN_DISCOUNT", "A17", "{percent} % is off for paying in {token}.", **discount, token=line.token)
    if line.token_price and not facts.is_in_token:
        yield stays
    elif line.token_price:
        source = line.token_price_source or "a source that is not named"
        text = "It is paid in {token}, at {price} {quote_currency} a token as told by {price_source}."
        price = {"price": line.token_price, "quote_currency": terms.quote_currency, "price_source": source}
        yield say("PAID_IN_TOKEN", "A17", text, token=line.token, **price)
    else:
        text = "No price of {token} came with the fill, so the fee stays in {fee_currency}."
        yield say("TOKEN_WITHOUT_PRICE", "A17", text, token=line.token, fee_currency=basis.fee_currency)


def _no_discount(facts: Facts) -> Sentence:
    """Tell why there is no discount: the first reason, in the order in which the rule asks."""
    line, _, basis = facts.known
    offer = facts.programme.token_discount
    if not line.token:
        return say("DISCOUNT_NOT_ASKED", "R20", "The fill does not ask to pay in a token, so there is no discount.")
    start = "The fill asks to pay in {token}, but "
    parameters = {"token": line.token, "tier": basis.tier}
    if offer is None or offer.token != line.token:
        text = f"{start}the programme has no discount for it."
        return say("NO_DISCOUNT_FOR_TOKEN", "A17", text, **parameters)
    if basis.rate_ppm <= 0:
        text = f"{start}a discount is off a charge, and this is none."
        return say("NO_DISCOUNT_OFF_REBATE", "A17", text, **parameters)
    if facts.flag is not None:
        text = f"{start}an account that is flagged gets no discount."
        return say("NO_DISCOUNT_WHILE_FLAGGED", "R21", text, **parameters)
    code, clause, why = _EXCLUDED[offer.exclusion]
    return say(code, clause, f"{start}{why}.", **parameters)
