"""How one kind of fill is priced: the rules in their order, worked out once per kind and used for every fill of it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, NamedTuple

from ledger.domain.decide.standing import grant_in_effect
from ledger.domain.events import TRAIT_BANNED, TRAIT_SELF_TRADE, Basis, CellKey
from ledger.domain.rules.ban import running_ban
from ledger.domain.rules.exclusive_fee_rate import fee_rate
from ledger.domain.rules.fake_accounts import flagged_at
from ledger.domain.rules.fee_amount import Formula, charged_on_base, formula, in_token
from ledger.domain.rules.maker_rebate import rebate_kept
from ledger.domain.rules.token_discount import discount_ppm
from ledger.domain.state.account import AccountState, Grant
from ledger.domain.state.programme import NO_TIER, Programme
from ledger.domain.state.rulebook import Market
from ledger.domain.state.volume_cells import FEE_SCALE, exact


@dataclass(frozen=True, slots=True, eq=False)
class Share:
    """Where a fill is counted and what its fee rests on. One object for each pair, so that it is quickly found."""

    cell: CellKey
    basis: Basis


_share: Final = lru_cache(maxsize=65_536)(Share)


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """The price of every fill of one kind: the tier of a grant, at the rates of the market's version (A32).

    The amount is the base quantity if `on_base`, otherwise the notional.
    """

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
    shares: dict[tuple[str, str], Share] = field(default_factory=dict)  # memo of `share`, by grant

    def share(self, grant: Grant | None) -> Share:
        """Where such a fill is counted under a grant, and what the log says its fee rests on."""
        key = (grant.grant_id, grant.source) if grant else ("", "")
        share = self.shares.get(key)
        if share is None:
            share = self.shares[key] = _share(self.cell, self._basis(grant))
        return share

    def _basis(self, grant: Grant | None) -> Basis:
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


class Price(NamedTuple):
    """What a fee needs of a plan and a grant: fee = divide(amount x factor, denominator)."""

    share: Share
    factor: int
    denominator: int
    divide: Callable[[Any, Any], Any]
    on_base: bool


class Standing(NamedTuple):
    """What of an account matters to a price, between two of its changes."""

    grant: Grant | None
    tier: str
    source: str
    banned: bool
    past_trial: bool
    flagged: bool = False


NO_STANDING: Final = Standing(None, NO_TIER, "", banned=False, past_trial=False)


def price_for(market: Market, standing: Standing, traits: int, token: str = "", token_price: str = "") -> Price:
    """How every fill of a kind is priced; of a fill paid in a token by that token's price."""
    plan = plan_for(market, standing, traits, token, token_priced=token_price != "")
    rule = plan.formula
    if token_price and plan.discount_ppm:
        rule = in_token(rule, token_price=exact(token_price, FEE_SCALE), token_price_scale=FEE_SCALE)
    return Price(plan.share(standing.grant), *rule, plan.on_base)


def rate_time_ns(programme: Programme, *, transact_ns: int, order_ns: int) -> int:
    """The instant whose rates a fill pays (A25): when it traded, or if the programme says so when its order came in."""
    return order_ns if programme.rate_time == "order" and order_ns else transact_ns


def standing_at(account: AccountState, programme: Programme, at_ns: int) -> Standing:
    """What of an account matters to a price at an instant; worked out once between two of its changes."""
    if not account.change_instants:
        return NO_STANDING
    key = (bisect_right(account.change_instants, at_ns), programme)
    standing: Standing | None = account.standings.get(key)
    if standing is None:
        flagged = flagged_at(account.flags, at_ns) is not None
        grant = grant_in_effect(account, programme, at_ns)
        past_trial = account.trial_from_ns <= at_ns
        banned = running_ban(account.bans, at_ns) is not None
        tier, source = (grant.tier, grant.source) if grant else (NO_TIER, "")
        standing = account.standings[key] = Standing(grant, tier, source, banned, past_trial, flagged)
    return standing


def plan_for(market: Market, standing: Standing, traits: int, token: str, *, token_priced: bool) -> Plan:
    """The plan for fills of one market, standing and traits (the byte of `Line.traits`)."""
    key = (standing.tier, standing.source, standing.past_trial, standing.flagged, traits, token, token_priced)
    plan = market.plans.get(key)
    if plan is None:
        plan = market.plans[key] = _plan(market, standing, traits, token, token_priced)
    return plan


def _plan(market: Market, standing: Standing, traits: int, token: str, token_priced: bool) -> Plan:
    programme, terms = market.programme, market.terms
    side, liquidity, channel = traits & 3, traits >> 2 & 3, traits >> 4 & 3
    self_trade = bool(traits & TRAIT_SELF_TRADE)
    table_ppm, rate_source = fee_rate(
        programme,
        tier=standing.tier,
        pair_class=market.pair_class,
        liquidity=liquidity,
        channel=channel,
        override=market.override,
    )
    rate_ppm = rebate_kept(programme, rate_ppm=table_ppm, self_trade=self_trade)
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
        tier=standing.tier,
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
