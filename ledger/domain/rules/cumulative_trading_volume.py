"""R15, R16: which volume counts: bought and sold, on spot, via the API, not with oneself, not during a ban (A13)."""

from __future__ import annotations

from ledger.domain.events import CellKey
from ledger.domain.programme import CHANNEL_API, PRODUCTS


def excluded_because(cell: CellKey) -> str:
    """Why the volume of a cell does not count; empty: it does. Of several reasons the first in this order."""
    if cell.product != PRODUCTS["SPOT"]:
        return "NOT_SPOT"
    if cell.channel != CHANNEL_API:
        return "NOT_API"
    if cell.self_trade:
        return "SELF_TRADE"
    if cell.banned:
        return "BANNED"
    return ""
