"""R1: VIP users' exclusive fee rate, by tier, pair class and liquidity; negative is a rebate (R2 says who keeps it)."""

from __future__ import annotations

from typing import overload

from ledger.domain.state.programme import CHANNEL_API, LIQUIDITY_MAKER, PairRates, Programme, Rates


def fee_rate(
    programme: Programme, *, tier: str, pair_class: str, liquidity: int, channel: int, override: PairRates | None = None
) -> tuple[int, str]:
    """(rate in ppm, why this rate) of one fill, before any discount.

    A rate of the pair itself, where this side has one, is what everybody pays, members too. Otherwise, without a row
    for tier and class (A19) or outside the programme's scope (A21), it is the public rate of the class; where that is
    lower than the row, it wins (A18).
    """
    if override is not None and (own_ppm := _side(override, liquidity)) is not None:
        return own_ppm, "PAIR"
    public_ppm = _side(programme.public_rates(pair_class), liquidity)
    row = programme.rates.get((tier, pair_class))
    if row is None or (programme.rate_scope == "api_only" and channel != CHANNEL_API):
        return public_ppm, "BASE"
    ppm = _side(row, liquidity)
    if programme.never_worse_than_base and public_ppm < ppm:
        return public_ppm, "BASE_LOWER"
    return ppm, "TIER"


@overload
def _side(rates: Rates, liquidity: int) -> int: ...
@overload
def _side(rates: PairRates, liquidity: int) -> int | None: ...
def _side(rates: Rates | PairRates, liquidity: int) -> int | None:
    return rates.maker_ppm if liquidity == LIQUIDITY_MAKER else rates.taker_ppm
