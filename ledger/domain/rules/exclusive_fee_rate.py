"""R1, R2: VIP users' exclusive fee rate, by tier, pair class and liquidity; negative is a rebate."""

from __future__ import annotations

from ledger.domain.programme import CHANNEL_API, LIQUIDITY_MAKER, PairRates, Programme, Rates


def fee_rate(
    programme: Programme,
    *,
    tier: str,
    pair_class: str,
    liquidity: int,
    channel: int,
    self_trade: bool,
    override: PairRates | None = None,
) -> tuple[int, str]:
    """(rate in ppm, why this rate) of one fill, before any discount.

    A pair with rates of its own has them for every tier, not for those without one. Without a row for tier and class
    (A19), or outside the programme's scope (A21), it is the base rate. A public rate that is lower wins (A18). A
    self-trade earns no rebate (A20).
    """
    base_ppm = _side(programme.base_rates, liquidity)
    ppm, why = base_ppm, "BASE"
    if programme.rank(tier) and (programme.rate_scope != "api_only" or channel == CHANNEL_API):
        row, own_ppm = programme.rates.get((tier, pair_class)), _own(override, liquidity)
        if own_ppm is not None:
            ppm, why = own_ppm, "PAIR"
        elif row is not None:
            ppm, why = _side(row, liquidity), "TIER"
        if programme.never_worse_than_base and base_ppm < ppm:
            ppm, why = base_ppm, "BASE_LOWER"
    if self_trade and ppm < 0 and not programme.self_trade_rebate:
        ppm, why = 0, "REBATE_SUPPRESSED"
    return ppm, why


def _own(rates: PairRates | None, liquidity: int) -> int | None:
    if rates is None:
        return None
    return rates.maker_ppm if liquidity == LIQUIDITY_MAKER else rates.taker_ppm


def _side(rates: Rates, liquidity: int) -> int:
    return rates.maker_ppm if liquidity == LIQUIDITY_MAKER else rates.taker_ppm
