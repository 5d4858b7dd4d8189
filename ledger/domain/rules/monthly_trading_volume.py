"""R3: the tier that a month's trading volume gives, by half-open bands."""

from __future__ import annotations

from ledger.domain.state.programme import MANUAL_REVIEW, NEGATIVE_VOLUME, NO_TIER, Programme


def tier_for_volume(programme: Programme, volume: int) -> str:
    """Return the best tier whose band the volume, with 36 decimals of the volume currency, has reached.

    A volume on an edge belongs to the upper band (A1, A2), unless boundary_policy says that the terms count, which
    name fewer tiers (A3). Above the table the best tier stays, or a person looks: MANUAL_REVIEW (A4). Less than
    nothing is NEGATIVE_VOLUME. Neither is a tier.
    """
    if volume < 0:
        return NEGATIVE_VOLUME
    if programme.boundary_policy == "terms":
        reached = [tier for tier, least, above in programme.terms_bands if volume > least - (not above)]
    elif programme.above_top == "manual_review" and programme.volume_top is not None and volume >= programme.volume_top:
        return MANUAL_REVIEW
    else:
        reached = [tier for tier, least in programme.volume_bands if volume >= least]
    return max(reached, key=programme.rank, default=NO_TIER)
