"""A18: members whose tier cost them more than the base rate with the token discount, which they cannot have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ledger.domain.events import KnownLine
from ledger.domain.money import PPM, decimal_text
from ledger.domain.rules.exclusive_fee_rate import fee_rate
from ledger.domain.rules.token_discount import discount_ppm
from ledger.domain.state.programme import NO_TIER, Programme, TokenDiscount
from ledger.domain.state.volume_cells import NOTIONAL_SCALE
from projections.answers.fee_history import AccountSpan, fills_now
from projections.controls.scope import Control, Finding, Scope

_MEMBERS: Final = """
SELECT v.account_id, v.tier, v.source, coalesce(a.trial_from_ns <= %(at)s, false) FROM {read}.vip_intervals v
JOIN {read}.accounts a ON a.account_id = v.account_id
WHERE v.programme_id = %(programme)s AND v.valid_from_ns <= %(at)s
    AND (v.valid_until_ns IS NULL OR v.valid_until_ns > %(at)s) AND v.tier = ANY(%(tiers)s)
    AND EXISTS (SELECT 1 FROM {read}.volume_days d
        WHERE d.account_id = v.account_id AND d.day BETWEEN %(since_day)s::date AND %(at_day)s::date)
"""
_SCALE: Final = NOTIONAL_SCALE + 12  # a rate carries 6 decimals, the discount 6 more


def _find(scope: Scope) -> Iterator[Finding]:
    programme, offer = scope.programme, scope.programme.token_discount
    if offer is None:
        return
    own = bool(programme.overrides) or any(name == programme.programme_id for name, _ in scope.book.pair_rates)
    tiers = [tier for tier in programme.tiers if own or _may_be_worse(programme, offer, tier)]
    for account_id, tier, source, past_trial in scope.rows(_MEMBERS, tiers=tiers):
        if discount_ppm(
            programme, token=offer.token, rate_ppm=1, tier=tier, grant_source=source, past_trial=past_trial
        ):
            continue  # a member who has the discount too
        for currency, saved in sorted(_saved(scope, offer, account_id).items()):
            if saved > 0:
                amount = decimal_text(saved, _SCALE)
                yield Finding(
                    subject=f"{account_id}/{currency}",
                    message=f"{account_id} has {tier} and would have paid {amount} {currency} less in"
                    f" {scope.within_days} days at the base rate with the discount for paying in {offer.token}",
                    account_id=account_id,
                    details={"tier": tier, "saved": amount, "currency": currency, "token": offer.token},
                )


def _may_be_worse(programme: Programme, offer: TokenDiscount, tier: str) -> bool:
    rows = [(row, programme.public_rates(name)) for (of, name), row in programme.rates.items() if of == tier]
    return any(
        rate_ppm * PPM > _discounted(base_ppm, offer)
        for row, public in rows
        for rate_ppm, base_ppm in zip(row, public, strict=True)
    )


def _discounted(base_ppm: int, offer: TokenDiscount) -> int:
    """Return the base rate with the discount, times PPM; the discount never shrinks a rebate."""
    return base_ppm * (PPM - offer.discount_ppm if base_ppm > 0 else PPM)


def _saved(scope: Scope, offer: TokenDiscount, account_id: str) -> dict[str, int]:
    """Return by how much a member's fills cost more than without a tier, by quote currency, at _SCALE, not rounded."""
    span = AccountSpan(account_id, scope.since_ns, scope.as_of_ns + 1, scope.log.head().position)
    saved: dict[str, int] = {}
    for known in fills_now(scope.log, span):
        if known.basis.tier != NO_TIER and known.basis.programme_id == scope.programme.programme_id:
            currency = known.terms.quote_currency
            saved[currency] = saved.get(currency, 0) + _difference(scope, offer, known)
    return saved


def _difference(scope: Scope, offer: TokenDiscount, known: KnownLine) -> int:
    line, terms, basis = known
    base_ppm, _ = fee_rate(
        scope.programme,
        tier=NO_TIER,
        pair_class=basis.pair_class,
        liquidity=line.liquidity,
        channel=line.channel,
        override=scope.book.override(scope.programme, terms.symbol, line.transact_time_ns),
    )
    notional: int = line.price * line.quantity * 10 ** (NOTIONAL_SCALE - terms.price_scale - terms.quantity_scale)
    return notional * (basis.rate_ppm * PPM - _discounted(base_ppm, offer))


CONTROL: Final = Control(
    "token-discount-better",
    "members whose fills cost more than at the base rate with the token discount (A18); looks back",
    _find,
)
