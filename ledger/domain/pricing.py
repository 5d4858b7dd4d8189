"""How one kind of fill is priced: the rules in their order, worked out once per kind and used for every fill of it."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.domain.events import TRAIT_BANNED, TRAIT_SELF_TRADE, Basis, CellKey
from ledger.domain.programme import NO_TIER
from ledger.domain.rulebook import Market
from ledger.domain.rules.exclusive_fee_rate import fee_rate
from ledger.domain.rules.fee_amount import Formula, charged_on_base, formula
from ledger.domain.rules.token_discount import discount_ppm
from ledger.domain.state import Grant


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """The price of every fill of one kind. The amount is the base quantity if `on_base`, otherwise the notional."""

    market: Market
    rate_ppm: int
    discount_ppm: int
    tier: str
    rate_source: str
    on_base: bool
    fee_currency: str
    fee_decimals: int
    formula: Formula
    cell: CellKey

    def basis(self, grant: Grant | None) -> Basis:
        """What the log says the fee rests on."""
        return Basis(
            rate_ppm=self.rate_ppm,
            discount_ppm=self.discount_ppm,
            tier=self.tier,
            grant_id=grant.grant_id if grant else "",
            grant_source=grant.source if grant else "",
            programme_id=self.market.programme.programme_id,
            programme_version=self.market.programme.version,
            pair_class=self.market.pair_class,
            rate_source=self.rate_source,
            fee_currency=self.fee_currency,
            fee_decimals=self.fee_decimals,
        )


def plan_for(
    market: Market, grant: Grant | None, traits: int, *, token: str, token_priced: bool, past_trial: bool
) -> Plan:
    """The plan for fills of one market, tier and traits (the byte of `Line.traits`)."""
    tier = grant.tier if grant else NO_TIER
    source = grant.source if grant else ""
    key = (tier, source, traits, token, token_priced, past_trial)
    plan = market.plans.get(key)
    if plan is None:
        plan = market.plans[key] = _plan(market, tier, source, traits, token, token_priced, past_trial)
    return plan


def _plan(
    market: Market, tier: str, source: str, traits: int, token: str, token_priced: bool, past_trial: bool
) -> Plan:
    programme, terms = market.programme, market.terms
    side, liquidity, channel = traits & 3, traits >> 2 & 3, traits >> 4 & 3
    self_trade = bool(traits & TRAIT_SELF_TRADE)
    rate_ppm, rate_source = fee_rate(
        programme,
        tier=tier,
        pair_class=market.pair_class,
        liquidity=liquidity,
        channel=channel,
        self_trade=self_trade,
    )
    discount = discount_ppm(
        programme, token=token, rate_ppm=rate_ppm, tier=tier, grant_source=source, past_trial=past_trial
    )
    on_base = charged_on_base(programme, side)
    currency, decimals = terms.quote_currency, market.quote_decimals
    amount_scale = terms.price_scale + terms.quantity_scale
    if on_base:
        currency, decimals, amount_scale = market.base_currency, market.base_decimals, terms.quantity_scale
    if discount and token_priced:
        currency, decimals = token, market.token_decimals
    return Plan(
        market=market,
        rate_ppm=rate_ppm,
        discount_ppm=discount,
        tier=tier,
        rate_source=rate_source,
        on_base=on_base,
        fee_currency=currency,
        fee_decimals=decimals,
        formula=formula(
            programme,
            rate_ppm=rate_ppm,
            discount_ppm=discount,
            amount_scale=amount_scale,
            fee_decimals=decimals,
        ),
        cell=CellKey(
            quote_currency=terms.quote_currency,
            product=terms.product,
            channel=channel,
            self_trade=self_trade,
            banned=bool(traits & TRAIT_BANNED),
            zero_fee=rate_ppm == 0,
        ),
    )
