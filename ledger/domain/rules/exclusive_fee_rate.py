"""R1: VIP users' exclusive fee rate, by tier, pair class and liquidity; negative is a rebate (R2 says who keeps it)."""

from __future__ import annotations

from ledger.domain.state.programme import CHANNEL_API, LIQUIDITY_MAKER, PairRates, Programme, Rates


def fee_rate(
    programme: Programme, *, tier: str, pair_class: str, liquidity: int, channel: int, override: PairRates | None = None
) -> tuple[int, str]:
    """(rate in ppm, why this rate) of one fill, before any discount.

    Without a row for tier and class (A19), or outside the programme's scope (A21), it is the base rate. The rates of
    the pair itself, where it has some, stand for those of every tier. A public rate that is lower wins (A18).
    """
    base_ppm = _side(programme.base_rates, liquidity)
    if programme.rate_scope == "api_only" and channel != CHANNEL_API:
        return base_ppm, "BASE"
    ppm, why = _of_tier(programme, tier, pair_class, liquidity, override)
    if ppm is None:
        return base_ppm, "BASE"
    if programme.never_worse_than_base and base_ppm < ppm:
        return base_ppm, "BASE_LOWER"
    return ppm, why


def _of_tier(
    programme: Programme, tier: str, pair_class: str, liquidity: int, override: PairRates | None
) -> tuple[int | None, str]:
    """What a member pays: the pair's own rate, else the row of the table; None: there is none."""
    if override is not None and programme.rank(tier):
        ppm = override.maker_ppm if liquidity == LIQUIDITY_MAKER else override.taker_ppm
        if ppm is not None:
            return ppm, "PAIR"
    row = programme.rates.get((tier, pair_class))
    return (None if row is None else _side(row, liquidity)), "TIER"


def _side(rates: Rates, liquidity: int) -> int:
    return rates.maker_ppm if liquidity == LIQUIDITY_MAKER else rates.taker_ppm
