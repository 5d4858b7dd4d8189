"""R15: which volume counts: bought and sold, on spot, via the API, not with oneself, during the event period."""

from __future__ import annotations

from ledger.domain.events import CellKey
from ledger.domain.state.account import AccountState
from ledger.domain.state.programme import CHANNEL_API, PRODUCTS, Programme


def excluded_because(cell: CellKey, programme: Programme) -> str:
    """Return why the volume of a cell does not count, the first of these reasons in order; empty: it counts.

    Futures never count (A11); fills during a ban only if the programme says so (A13). Time is the caller's: volume
    outside `event_period` is OUTSIDE_PROGRAMME.
    """
    if cell.product != PRODUCTS["SPOT"]:
        return "NOT_SPOT"
    if cell.channel != CHANNEL_API:
        return "NOT_API"
    if cell.self_trade:
        return "SELF_TRADE"
    if cell.banned and not programme.ban_count_volume:
        return "BANNED"
    return ""


def event_period(programme: Programme, window: tuple[int, int]) -> tuple[int, int]:
    """Cut a window [from, until) to the programme's period; the result is empty where they do not meet.

    The rest of the window is OUTSIDE_PROGRAMME.
    """
    from_ns, until_ns = window
    if programme.period_from_ns is not None:
        from_ns = max(from_ns, programme.period_from_ns)
    if programme.period_until_ns is not None:
        until_ns = min(until_ns, programme.period_until_ns)
    return from_ns, max(from_ns, until_ns)


def counts_for(account: AccountState, programme: Programme) -> str:
    """Return the account that volume counts for: itself, or the parent if the programme aggregates (A14)."""
    if programme.aggregate_subaccounts and account.parent_account_id:
        return account.parent_account_id
    return account.account_id
