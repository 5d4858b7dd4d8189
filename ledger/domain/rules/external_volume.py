"""R8: the last 30 days' trading volume on other exchanges, which must be more than 100K."""

from __future__ import annotations

from ledger.domain.state.programme import Programme


def external_volume(programme: Programme, spot: int, futures: int) -> int:
    """What of the volume elsewhere counts, in the volume currency with 36 decimals: the sum unless A15 is switched."""
    return {"sum": spot + futures, "max": max(spot, futures), "spot_only": spot}[programme.match_volume]


def is_enough(programme: Programme, volume: int) -> bool:
    """Strictly more than the least volume, although the table of tiers includes it."""
    return volume > programme.match_volume_min
