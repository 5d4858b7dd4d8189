"""R2: makers earn a rebate on spot, the lowest rate of the table. A self-trade earns none (A20)."""

from __future__ import annotations

from ledger.domain.state.programme import PairRates, Programme


def rebate_kept(programme: Programme, *, rate_ppm: int, self_trade: bool) -> int:
    """Return what is left of a rate in ppm: a charge stays as it is, a rebate of a self-trade is 0.

    A discount never shrinks a rebate: it is asked of charges only (token_discount).
    """
    if rate_ppm < 0 and self_trade and not programme.self_trade_rebate:
        return 0
    return rate_ppm


def least_net_ppm(
    programme: Programme, *, pair_class: str, override: PairRates | None = None, with_base: bool = True
) -> int:
    """Return the least that the exchange keeps of a trade in a pair, in ppm: least maker rate plus least taker rate.

    Below 0, two accounts that trade with each other pump money out of it. `override` is what everybody pays in the
    pair. An empty class stands for every class. `with_base`: one of the two accounts may be no member.
    """
    rows = [row for (_, name), row in programme.rates.items() if pair_class in {"", name}]
    if with_base and pair_class:
        rows.append(programme.public_rates(pair_class))
    elif with_base:
        rows += [programme.base_rates, *programme.class_base_rates.values()]
    makers = [row.maker_ppm for row in rows] if override is None or override.maker_ppm is None else [override.maker_ppm]
    takers = [row.taker_ppm for row in rows] if override is None or override.taker_ppm is None else [override.taker_ppm]
    return min(makers, default=0) + min(takers, default=0)
