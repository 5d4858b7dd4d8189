"""The price of one kind of fill: the rules in their order, worked out once per kind and used for every fill of it."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, NamedTuple

from ledger.domain.decide.standing import grant_in_effect
from ledger.domain.events import Basis, CellKey
from ledger.domain.rules.ban import running_ban
from ledger.domain.rules.exclusive_fee_rate import fee_rate
from ledger.domain.rules.fake_accounts import flagged_at
from ledger.domain.rules.fee_amount import Formula, charged_on_base, formula, in_token
from ledger.domain.rules.maker_rebate import rebate_kept
from ledger.domain.rules.token_discount import discount_ppm
from ledger.domain.state.account import STANDINGS_MAX, AccountState, Grant
from ledger.domain.state.programme import NO_TIER, Programme
from ledger.domain.state.rulebook import Market
from ledger.domain.state.volume_cells import FEE_SCALE, cell_key, exact
from ledger.domain.traits import TRAIT_SELF_TRADE, channel_of, liquidity_of, side_of


@dataclass(frozen=True, slots=True, eq=False)
class Posting:
    """The cell that a fill is counted in, and the basis that its fee rests on. There is one object for each pair."""

    cell: CellKey
    basis: Basis


_posting: Final = lru_cache(maxsize=65_536)(Posting)


@dataclass(frozen=True, slots=True, eq=False)
class PricePlan:
    """The price of every fill of one kind: the tier of a grant, at the rates of the market's version (A32).

    The amount is the base quantity if `on_base`, otherwise the notional.
    """

    formula: Formula
    on_base: bool
    cell: CellKey
    basis: Basis  # without a grant
    postings: dict[tuple[str, str], Posting] = field(default_factory=dict)  # a memo of `posting`, by grant

    def posting(self, grant: Grant | None) -> Posting:
        """Return where such a fill is counted under a grant, and the basis that the log holds of its fee."""
        key = grant_id, grant_source = (grant.grant_id, grant.source) if grant else ("", "")
        posting = self.postings.get(key)
        if posting is None:
            basis = self.basis._replace(grant_id=grant_id, grant_source=grant_source)
            posting = self.postings[key] = _posting(self.cell, basis)
        return posting


class Price(NamedTuple):
    """The price of every fill of one kind under one grant."""

    posting: Posting
    formula: Formula
    on_base: bool

    def fee(self, price: int, quantity: int) -> int:
        """Compute the fee of one such fill, from mantissas at the scales of its symbol."""
        return self.formula.fee(quantity if self.on_base else price * quantity)


class Payment(NamedTuple):
    """The token that a fill offers to pay its fee in, and the token's price; empty: it offers none, or no price."""

    token: str
    token_price: str


class Standing(NamedTuple):
    """All of an account that matters to a price, between two of its changes."""

    grant: Grant | None
    tier: str
    source: str
    banned: bool
    past_trial: bool
    flagged: bool = False


NO_STANDING: Final = Standing(None, NO_TIER, "", banned=False, past_trial=False)


def price_for(market: Market, standing: Standing, traits: int, token: str = "", token_price: str = "") -> Price:
    """Return the price of every fill of a kind; that of a fee paid in a token depends on the token's price."""
    plan = plan_for(market, standing, traits, token, token_priced=token_price != "")
    rule = plan.formula
    if token_price and plan.basis.discount_ppm:
        rule = in_token(rule, token_price=exact(token_price, FEE_SCALE), token_price_scale=FEE_SCALE)
    return Price(plan.posting(standing.grant), rule, plan.on_base)


def price_as_posted(market: Market, standing: Standing, traits: int, payment: Payment, posted: Basis) -> Price:
    """Return the price of a recorded line, in the currency that was posted: another rate does not change that.

    A fee that would be in a token now, or in one no longer, is valued at the line's own price of the token.
    """
    price = price_for(market, standing, traits, *payment)
    basis, terms = price.posting.basis, market.terms
    if basis.fee_currency == posted.fee_currency or not payment.token_price:
        return price
    stays_in_token = posted.fee_currency == payment.token
    on_base = not stays_in_token and charged_on_base(market.programme, side_of(traits))
    rule = formula(
        market.programme,
        rate_ppm=basis.rate_ppm,
        discount_ppm=basis.discount_ppm,
        amount_scale=terms.quantity_scale if on_base else terms.price_scale + terms.quantity_scale,
        fee_decimals=posted.fee_decimals,
    )
    if stays_in_token:
        rule = in_token(rule, token_price=exact(payment.token_price, FEE_SCALE), token_price_scale=FEE_SCALE)
    basis = basis._replace(fee_currency=posted.fee_currency, fee_decimals=posted.fee_decimals)
    return Price(Posting(price.posting.cell, basis), rule, on_base)


def rate_time_ns(programme: Programme, *, transact_ns: int, order_ns: int) -> int:
    """Return the instant whose rates a fill pays (A25): its trade, or its order's arrival if the programme says so."""
    return order_ns if programme.rate_time == "order" and order_ns else transact_ns


def standing_at(account: AccountState, programme: Programme, at_ns: int) -> Standing:
    """Return the standing of an account at an instant; it is worked out once between two of its changes."""
    if not account.change_instants:
        return NO_STANDING
    key = (bisect_right(account.change_instants, at_ns), programme)
    standing: Standing | None = account.standings.get(key)
    if standing is None:
        if len(account.standings) >= STANDINGS_MAX:
            account.standings.clear()
        standing = account.standings[key] = find_standing(account, programme, at_ns)
    return standing


def find_standing(account: AccountState, programme: Programme, at_ns: int) -> Standing:
    """Work out the standing of an account at an instant. Of the programme it asks its `ranking` alone."""
    grant = grant_in_effect(account, programme, at_ns)
    flagged = grant is None and flagged_at(account.flags, at_ns) is not None  # or it had none
    past_trial = account.trial_from_ns <= at_ns
    banned = running_ban(account.bans, at_ns) is not None
    tier, source = (grant.tier, grant.source) if grant else (NO_TIER, "")
    return Standing(grant, tier, source, banned, past_trial, flagged)


def plan_for(market: Market, standing: Standing, traits: int, token: str, *, token_priced: bool) -> PricePlan:
    """Return the plan for fills of one market, standing and traits (the byte of `Line.traits`)."""
    key = (standing.tier, standing.source, standing.past_trial, standing.flagged, traits, token, token_priced)
    plan = market.plans.get(key)
    if plan is None:
        plan = market.plans[key] = _plan(market, standing, traits, token, token_priced)
    return plan


def _plan(market: Market, standing: Standing, traits: int, token: str, token_priced: bool) -> PricePlan:
    programme, terms = market.programme, market.terms
    table_ppm, rate_source = fee_rate(
        programme,
        tier=standing.tier,
        pair_class=market.pair_class,
        liquidity=liquidity_of(traits),
        channel=channel_of(traits),
        override=market.override,
    )
    rate_ppm = rebate_kept(programme, rate_ppm=table_ppm, self_trade=bool(traits & TRAIT_SELF_TRADE))
    if rate_ppm != table_ppm:
        rate_source = "REBATE_SUPPRESSED"
    discount = discount_ppm(
        programme,
        token=token,
        rate_ppm=rate_ppm,
        tier=standing.tier,
        grant_source=standing.source,
        past_trial=standing.past_trial,
        flagged=standing.flagged,
    )
    paid_in_token = discount > 0 and token_priced
    on_base = not paid_in_token and charged_on_base(programme, side_of(traits))
    currency, decimals = terms.quote_currency, market.quote_decimals
    amount_scale = terms.price_scale + terms.quantity_scale
    if on_base:
        currency, decimals, amount_scale = market.base_currency, market.base_decimals, terms.quantity_scale
    if paid_in_token:
        currency, decimals = token, market.token_decimals
    basis = Basis(
        rate_ppm=rate_ppm,
        discount_ppm=discount,
        tier=standing.tier,
        grant_id="",
        grant_source="",
        programme_id=programme.programme_id,
        programme_version=programme.version,
        pair_class=market.pair_class,
        rate_source=rate_source,
        fee_currency=currency,
        fee_decimals=decimals,
    )
    rule = formula(
        programme, rate_ppm=rate_ppm, discount_ppm=discount, amount_scale=amount_scale, fee_decimals=decimals
    )
    return PricePlan(rule, on_base, cell_key(terms, traits, basis), basis)
