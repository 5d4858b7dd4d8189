"""R8: the last 30 days' trading volume on other exchanges, which must be more than 100K."""

from __future__ import annotations

from typing import Final

from ledger.domain.instants import DAY_NS, instant_text
from ledger.domain.refusal import Reason, Refusal
from ledger.domain.state.programme import Programme

_DAYS: Final = 30  # "the last 30 days' trading volume"


def external_volume(programme: Programme, spot: int, futures: int) -> int:
    """Return the volume elsewhere that counts, with 36 decimals: the sum, unless the programme says otherwise (A15)."""
    return {"sum": spot + futures, "max": max(spot, futures), "spot_only": spot}[programme.match_volume]


def is_enough(programme: Programme, volume: int) -> bool:
    """Return True for strictly more than the least volume, although the table of tiers includes it."""
    return volume > programme.match_volume_min


def not_the_last_30_days(
    programme: Programme, *, from_ns: int, until_ns: int, requested_time_ns: int
) -> Refusal | None:
    """Refuse a volume that is not that of the 30 days before the request.

    The period is exactly 30 days long (A29). It ends at the request, or as many days before it as the programme allows
    for: whoever asks at noon has a statement that ends at midnight.
    """
    earliest_ns = requested_time_ns - programme.match_period_end_tolerance_days * DAY_NS
    if until_ns - from_ns == _DAYS * DAY_NS and earliest_ns <= until_ns <= requested_time_ns:
        return None
    detail = (
        f"the volume must be of exactly {_DAYS} days that end between {instant_text(earliest_ns)} and the request at"
        f" {instant_text(requested_time_ns)}"
    )
    return Refusal(Reason.MATCH_PERIOD_NOT_30_DAYS, "period_until", detail)
