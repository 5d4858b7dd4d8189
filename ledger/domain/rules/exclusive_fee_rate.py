"""R1: VIP users' exclusive fee rate, by tier, pair class and liquidity; negative is a rebate (R2 says who keeps it)."""

from __future__ import annotations

from operator import attrgetter

from ledger.domain.state.programme import CHANNEL_API, LIQUIDITY_MAKER, PairRates, Programme


def fee_rate(
    programme: Programme, *, tier: str, pair_class: str, liquidity: int, channel: int, override: PairRates | None = None
) -> tuple[int, str]:
    """Return (rate in ppm, why this rate) of one fill, before any discount.

    Where the pair itself has a rate for this side, everybody pays it, members too. Otherwise, without a row
    for tier and class (A19) or outside the programme's scope (A21), it is the public rate of the class; where that is
    lower than the row, it wins (A18).
    """
    rate_of = attrgetter("maker_ppm" if liquidity == LIQUIDITY_MAKER else "taker_ppm")
    if override is not None and (own_ppm := rate_of(override)) is not None:
        return own_ppm, "PAIR"
    public_ppm = rate_of(programme.public_rates(pair_class))
    row = programme.rates.get((tier, pair_class))
    if row is None or (programme.rate_scope == "api_only" and channel != CHANNEL_API):
        return public_ppm, "BASE"
    ppm = rate_of(row)
    if programme.never_worse_than_base and public_ppm < ppm:
        return public_ppm, "BASE_LOWER"
    return ppm, "TIER"
