"""The fee that a fill would have: the price of its kind, applied to one that is not recorded."""

from __future__ import annotations

from typing import NamedTuple

from ledger.domain.events import Basis
from ledger.domain.money import mantissa
from ledger.domain.pricing.plan import price_for, standing_at
from ledger.domain.refusal import Refusal
from ledger.domain.state.account import AccountState
from ledger.domain.state.rulebook import Rulebook, too_fine
from ledger.domain.traits import TRAIT_BANNED, packed_traits


class Offer(NamedTuple):
    """The fill asked about. Numbers are those of the contract's enums, decimals as sent; the token may be empty."""

    venue: str
    symbol: str
    product: int
    side: int
    liquidity: int
    channel: int
    price: str
    quantity: str
    token: str = ""
    token_price: str = ""


class Quote(NamedTuple):
    """`notional` at `notional_scale` decimals, `fee` in units of its currency's decimals."""

    notional: int
    notional_scale: int
    fee: int
    basis: Basis
    banned: bool


def quote(offer: Offer, account: AccountState, book: Rulebook, at_ns: int) -> Quote | Refusal:
    """Quote a fee by the rules that price fills: `price_for` is asked for one kind, as for the kinds of a batch."""
    market = book.market(offer.venue, offer.symbol, offer.product, at_ns)
    if isinstance(market, Refusal):
        return market
    terms = market.terms
    price, quantity = mantissa(offer.price, terms.price_scale), mantissa(offer.quantity, terms.quantity_scale)
    if price is None or quantity is None:
        return too_fine(terms, price=price is None)
    standing = standing_at(account, market.programme, at_ns)
    traits = packed_traits(offer.side, offer.liquidity, offer.channel) | (TRAIT_BANNED if standing.banned else 0)
    rule = price_for(market, standing, traits, offer.token, offer.token_price)
    scale = terms.price_scale + terms.quantity_scale
    return Quote(price * quantity, scale, rule.fee(price, quantity), rule.posting.basis, standing.banned)
