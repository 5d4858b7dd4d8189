"""States of accounts in memory, as many as a number of bytes holds: the least recently used ones go first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from ledger.domain.state.account import AccountState

NAME_BYTES: Final = 200  # of the name of an account in a set: the text, and its share of the table
# Bytes, measured on states of every kind and rounded up. With what changes a price come the standings at its two ends.
_STATE: Final = 1_100
_OWNER: Final = 150
_GRANT, _BAN, _FLAG, _EVALUATED, _WITHHELD = 1_000, 1_000, 700, 350, 3_000
_MATCH, _APPLICATION, _METRIC, _MANAGER = 1_800, 500, 500, 300


def account_bytes(state: AccountState) -> int:
    """About how many bytes a state takes in memory, with what is worked out of it and kept beside."""
    dossier = state.dossier
    return (
        _STATE
        + _OWNER * len(state.named_owners)
        + _GRANT * len(state.grants)
        + _BAN * len(state.bans)
        + _FLAG * len(state.flags)
        + _EVALUATED * len(state.evaluated)
        + _WITHHELD * len(state.withheld)
        + _MATCH * len(dossier.matches)
        + _APPLICATION * len(dossier.applications)
        + _METRIC * len(dossier.metrics)
        + _MANAGER * len(dossier.managers)
    )


class HeldAccounts(OrderedDict[str, AccountState]):
    """States of accounts by id, least recently used first; `bytes` is what they take together."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __setitem__(self, account_id: str, state: AccountState) -> None:
        before = self.get(account_id)
        self.bytes += account_bytes(state) - (account_bytes(before) if before is not None else 0)
        super().__setitem__(account_id, state)

    def used(self, account_ids: Iterable[str]) -> None:
        """Move those that were just used to the end."""
        for account_id in account_ids:
            self.move_to_end(account_id)

    def shrink(self, bytes_max: int) -> None:
        """Let go of the least recently used ones until the others take no more than so many bytes."""
        while self.bytes > bytes_max and self:
            _, state = self.popitem(last=False)
            self.bytes -= account_bytes(state)
