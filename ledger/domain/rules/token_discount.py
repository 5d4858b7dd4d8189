"""R20: once a member, no 25 % discount for paying fees in the exchange's token."""

from __future__ import annotations

from ledger.domain.grant_sources import TRIAL
from ledger.domain.state.programme import NO_TIER, Programme


def discount_ppm(
    programme: Programme,
    *,
    token: str,
    rate_ppm: int,
    tier: str,
    grant_source: str,
    past_trial: bool,
    flagged: bool = False,
) -> int:
    """Return the discount on a charge in ppm of the fee; 0 where none applies. It never shrinks a rebate (A17).

    An account that is flagged as fake gets none, whatever its tier (R21).
    """
    offer = programme.token_discount
    if offer is None or token != offer.token or rate_ppm <= 0 or flagged:
        return 0
    excluded = {
        "while_vip": tier != NO_TIER,
        "trial_only": grant_source == TRIAL,
        "permanent_after_trial": past_trial or grant_source == TRIAL,
    }[offer.exclusion]
    return 0 if excluded else offer.discount_ppm
