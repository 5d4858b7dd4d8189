"""R6: fee rate match program. VIPs of other exchanges enjoy the benefits of a tier for 30 days from approval on."""

from __future__ import annotations

from typing import Final

from ledger.domain.instants import DAY_NS
from ledger.domain.state.programme import Programme

MATCH: Final = "MATCH"  # source of such a grant


def match_grant(programme: Programme, at_ns: int) -> tuple[int, int]:
    """[from, until) of the grant of a match approved at an instant (A29)."""
    return at_ns, at_ns + programme.match_days * DAY_NS
