"""R24: API VIP users have limited eligibility for particular promotions, such as net buying competitions."""

from __future__ import annotations

from ledger.domain.state.programme import NO_TIER, Programme


def is_eligible(programme: Programme, promotion_type: str, tier: str, flagged: bool) -> bool:
    """Return True for members, but for types that the programme denies and accounts flagged as fake (A24)."""
    return promotion_type not in programme.promotions_denied and tier != NO_TIER and not flagged
