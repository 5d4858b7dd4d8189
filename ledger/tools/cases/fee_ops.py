"""Ops about fees: what a fill costs, how rates are written, what a table may hold, what a bust gives back."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from typing import Any, Final

from ledger import programmes
from ledger.domain.events import SymbolTerms
from ledger.domain.money import SCALE_MAX, decimal_text, rate_text
from ledger.domain.pricing.plan import Standing, price_for
from ledger.domain.rules.fake_accounts import KINDS
from ledger.domain.rules.fee_amount import reversal
from ledger.domain.rules.maker_rebate import least_net_ppm
from ledger.domain.state.programme import CHANNEL_API, NO_TIER, PRODUCTS, PairRates, Programme, Rates
from ledger.domain.state.rulebook import FEE_DECIMALS_DEFAULT, Market
from ledger.domain.traits import TRAIT_SELF_TRADE, channel_of, packed_traits
from ledger.programmes.rates import PPM_SCALE, RateError, rate_fraction
from ledger.tools.cases.fields import REQUIRED, Fields, UnreadableError
from ledger.tools.cases.words import CHANNELS, LIQUIDITIES, SIDES, SOURCES, TIERS

_CLASSES: Final = ("A", "B", "C", "D")
_RATE: Final = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,24})?(%|bps|ppm)?")
_POSTED: Final = re.compile(r"(-?)([0-9]{1,20})\.([0-9]{8})")


def compute_fee(given: Fields, _: Fields, programme: Programme) -> dict[str, Any]:
    """R1, R2, R16, R20, R21: one fill, priced by the functions that price every fill."""
    standing, pair_class = _standing(given), given.choice("pair_class", _CLASSES)
    price, price_scale = _mantissa(given, "price")
    quantity, quantity_scale = _mantissa(given, "qty")
    traits, token = _traits(given, programme), "BMX" if given.flag("pay_with_bmx", False) else ""
    token_price = given.read("bmx_price_usdt", _token_price, None)
    base = given.text("base") if _charged_on_base(given, programme) else given.text("base", "")
    market = Market(
        programme=_with_base_rates(given, programme, standing, pair_class, traits),
        pair_class=pair_class,
        terms=SymbolTerms("S", given.text("quote"), PRODUCTS["SPOT"], price_scale, quantity_scale),
        base_currency=base,
        base_decimals=FEE_DECIMALS_DEFAULT,
        quote_decimals=FEE_DECIMALS_DEFAULT,
        token_decimals=FEE_DECIMALS_DEFAULT,
    )
    rule = price_for(market, standing, traits, token, token_price or "" if token else "")
    basis, amount = rule.posting.basis, quantity if rule.on_base else price * quantity
    fee = rule.fee(price, quantity)
    exact = Fraction(amount * rule.formula.factor, rule.formula.denominator) / 10**basis.fee_decimals
    found = {
        "notional": decimal_text(price * quantity, price_scale + quantity_scale),
        "rate": rate_text(basis.rate_ppm),
        "discount": rate_text(basis.discount_ppm),
        "fee": decimal_text(fee, basis.fee_decimals),
        "fee_currency": basis.fee_currency,
        "kind": "CHARGE" if fee > 0 else "REBATE" if fee < 0 else "ZERO",
    }
    return found if (text := _exact_text(exact)) is None else {**found, "fee_exact": text}


def _standing(given: Fields) -> Standing:
    """Return what a price asks of an account. While it is flagged, no grant counts."""
    tier: str = given.choice("tier", TIERS)
    source: str | None = given.choice("tier_source", SOURCES, None)
    flagged = given.choice("flagged", KINDS, None) is not None
    if flagged:
        tier, source = NO_TIER, None
    return Standing(None, tier, source or "", False, given.flag("past_trial", False), flagged)


def _traits(given: Fields, programme: Programme) -> int:
    """Side, liquidity, channel and self-trade in one number, as lines hold them."""
    side = given.choice("side", SIDES, REQUIRED if programme.fee_currency == "RECEIVED" else "BUY")
    liquidity, channel = given.choice("liquidity", LIQUIDITIES), given.choice("channel", CHANNELS, "API")
    places = (SIDES.index(side) + 1, LIQUIDITIES.index(liquidity) + 1, CHANNELS.index(channel) + 1)
    self_trade = TRAIT_SELF_TRADE if given.flag("self_trade", False) else 0
    return packed_traits(*places) | self_trade


def _charged_on_base(given: Fields, programme: Programme) -> bool:
    return programme.fee_currency == "RECEIVED" and given.values.get("side") == "BUY"


def _with_base_rates(
    given: Fields, programme: Programme, standing: Standing, pair_class: str, traits: int
) -> Programme:
    """The programme with the base rates of the case; without any there is nothing to compare with."""
    if given.has("base_rate"):
        row = given.fields("base_rate")
        rates = Rates(*(row.scaled(side, PPM_SCALE) for side in ("maker", "taker")))
        row.end()
        return replace(programme, base_rates=rates, class_base_rates={})
    outside = programme.rate_scope == "api_only" and channel_of(traits) != CHANNEL_API
    if outside or (standing.tier, pair_class) not in programme.rates:
        raise UnreadableError(f"{given.path}.base_rate is missing: this fill pays it")
    return replace(programme, never_worse_than_base=False)


def _mantissa(given: Fields, name: str) -> tuple[int, int]:
    """(mantissa, decimals) of an amount."""
    scale = len(given.amount(name).partition(".")[2])
    if scale > SCALE_MAX:
        raise UnreadableError(f"{given.path}.{name} is finer than {SCALE_MAX} decimals")
    return given.scaled(name, scale), scale


def _token_price(value: Any) -> str:
    price = Fields({"price": value}, "").amount("price")
    if price == "0" or price.startswith("-"):
        raise ValueError("is no price above 0")
    return price


def _exact_text(value: Fraction) -> str | None:
    """A fraction as a decimal; None if it has no end."""
    denominator, scale = value.denominator, 0
    for prime in (2, 5):
        power = 0
        while denominator % prime == 0:
            denominator, power = denominator // prime, power + 1
        scale = max(scale, power)
    return decimal_text(int(value * 10**scale), scale) if denominator == 1 else None


def parse_rate(given: Fields, _: Fields, __: Programme) -> dict[str, Any]:
    """R1: rates as a programme file writes them."""
    entry = given.fields("schedule_entry")
    texts = {side: entry.read(side, _rate) for side in ("maker", "taker")}
    entry.end()
    try:
        return {side: decimal_text(*rate_fraction(text)) for side, text in texts.items()}
    except RateError as error:
        return {"error": error.code}


def _rate(value: Any) -> str:
    if not isinstance(value, str) or not _RATE.fullmatch(value):
        raise ValueError("is no rate: digits, and %, bps or ppm")
    return value


def validate_schedule(given: Fields, _: Fields, __: Programme) -> dict[str, Any]:
    """R2: the guard against a money pump, over a packaged programme and perhaps the rates of one pair."""
    names = tuple(name.removesuffix(".toml") for name in programmes.packaged_names())
    programme = programmes.parse(programmes.packaged(f"{given.choice('schedule', names)}.toml"))
    nets = [least_net_ppm(programme, pair_class=name, with_base=False) for name in programme.pair_classes]
    if given.has("override"):
        override = _override(given.fields("override"), programme)
        pair_class = override.pair_class
        nets.append(least_net_ppm(programme, pair_class=pair_class, override=override, with_base=False))
    rows = programme.rates.values()
    found = {
        "ok": min(nets) >= 0,
        "worst_pair_net": rate_text(min(nets)),
        "min_maker": rate_text(min(row.maker_ppm for row in rows)),
        "min_taker": rate_text(min(row.taker_ppm for row in rows)),
    }
    return found if min(nets) >= 0 else {**found, "error": "NEGATIVE_NET_PAIR"}


def _override(row: Fields, programme: Programme) -> PairRates:
    row.text("pair")
    pair_class = row.choice("pair_class", programme.pair_classes)
    found = PairRates(None, row.scaled("taker", PPM_SCALE), pair_class)
    row.end()
    return found


def bust_fill(given: Fields, _: Fields, __: Programme) -> dict[str, Any]:
    """A busted fill gives back what was posted, whatever its rate would be today."""
    posted = given.read("posted_fee", _posted)
    for unused in ("rate", "notional"):
        given.amount(unused, None)
    taken_back = reversal(posted)
    return {"reversal_fee": _posted_text(taken_back), "net": _posted_text(posted + taken_back)}


def _posted(value: Any) -> int:
    match = _POSTED.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("is no amount with 8 decimals")
    return int(match[1] + match[2] + match[3])


def _posted_text(units: int) -> str:
    """Always all 8 decimals, as a posting shows them."""
    whole, fraction = divmod(abs(units), 10**FEE_DECIMALS_DEFAULT)
    return f"{'-' if units < 0 else ''}{whole}.{fraction:08}"
