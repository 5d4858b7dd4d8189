"""The state of one account as known at a position: its snapshot and the events after that, or else all its events."""

from __future__ import annotations

from ledger.domain.state.account import AccountState, account_after, fold_account
from ledger.domain.streams import account_stream
from ledger.store.codec.account_snapshots import SnapshotDamaged, account_of
from ledger.store.log import Log


def account_known(log: Log, account_id: str, until: int) -> AccountState:
    """Return an account after its events up to a position.

    A snapshot counts only where the event that it ends with lies there too: the writer may be further on by now.
    """
    stream = account_stream(account_id)
    held = _in_snapshot(log, account_id)
    events = log.stream_from(stream, held.version, until) if held is not None else []
    if held is not None and events and (account := account_after(held, events[1:])) is not None:
        return account
    return fold_account(account_id, log.streams([stream], until))


def _in_snapshot(log: Log, account_id: str) -> AccountState | None:
    """Return an account as its snapshot has it; None where there is none, or none that can be used."""
    try:
        return next(filter(None, map(account_of, log.snapshots([account_id]))), None)
    except SnapshotDamaged:
        return None  # `check` and the writer name it
