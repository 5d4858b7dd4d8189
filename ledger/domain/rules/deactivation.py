"""R19: benefits end when the 30-day volume gives no tier: as their grants end, or at once (A10)."""

from __future__ import annotations

from collections.abc import Iterable

from ledger.domain.grant_sources import EVALUATION
from ledger.domain.state.account import Grant
from ledger.domain.state.programme import NO_TIER, Programme


def ended_by(grants: Iterable[Grant], programme: Programme, *, tier: str, evaluation_ns: int) -> tuple[Grant, ...]:
    """Return the grants that an evaluation ends at its instant. `grants` are those given before it.

    Only deactivation = immediate ends any, only where the volume gives no tier, and only grants of evaluations: trial,
    match and manual ones keep their promise. One that has not begun yet goes too: it rests on older volume.
    """
    if programme.deactivation != "immediate" or tier != NO_TIER:
        return ()
    return tuple(
        grant
        for grant in grants
        if grant.source == EVALUATION
        and grant.programme_id == programme.programme_id
        and grant.ends_at_ns > evaluation_ns
    )
