"""R3: the tier that a month's trading volume gives, by half-open bands."""

from __future__ import annotations

from bisect import bisect_right

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


class TierTable:
    """The tiers of a version by volume, for very many volumes: between two edges of its bands all have the same."""

    def __init__(self, programme: Programme) -> None:
        bands = [least for _, least in programme.volume_bands]
        bands += [least + above for _, least, above in programme.terms_bands]
        top = () if programme.volume_top is None else (programme.volume_top,)
        self._edges = sorted({0, *bands, *top})
        self._tiers = [tier_for_volume(programme, volume) for volume in (-1, *self._edges)]

    def tier(self, volume: int) -> str:
        """Return what `tier_for_volume` says of a volume."""
        return self._tiers[bisect_right(self._edges, volume)]
