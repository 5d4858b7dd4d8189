"""R3: the tier that a month's trading volume gives, by half-open bands; above the top band the top tier stays (A4)."""

from __future__ import annotations

from ledger.domain.programme import NO_TIER, Programme


def tier_for_volume(programme: Programme, volume: int) -> str:
    """The best tier whose band starts at or below the volume (A1, A2), in whole and 36 decimals of its currency."""
    reached = [tier for tier, least in programme.volume_bands if volume >= least]
    return max(reached, key=programme.rank, default=NO_TIER)
