"""Snapshots of accounts, by which a start need not fold years of events: read before the events, written with them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Final
from zlib import crc32

from ledger.domain.events import Recorded
from ledger.domain.state.account import AccountState, account_after, fold_account
from ledger.domain.streams import account_stream, subject_of
from ledger.store.codec.account_snapshots import Snapshot, SnapshotDamaged, account_of, snapshot_of
from ledger.store.fee_streams import FeeDay
from ledger.store.log import Log

EVERY: Final = 8  # so many events of an account one is written: reading it costs as much as some three events
_WRITTEN_MAX: Final = 1_000  # in one commit, of accounts that had none, as those of an older release
_log: Final = logging.getLogger(__name__)


class Snapshots:
    """Reads accounts from their snapshots and the events after these, and says which snapshots a commit stores.

    An account is as its events say, whatever its snapshot says: one that is damaged, or that another release made, is
    passed over, and so is one of an account of which a fact was withdrawn since.
    """

    def __init__(self, log: Callable[[], Log]) -> None:
        """`log` waits for the commit in flight, and returns the log."""
        self._log = log
        self._due: dict[str, None] = {}
        self._made: dict[str, Snapshot] = {}
        self.damaged = 0  # of those that were read

    def read(
        self, account_ids: Iterable[str], days: Iterable[str]
    ) -> tuple[dict[str, AccountState], dict[str, FeeDay]]:
        """Return accounts by id, those without an event as well; and those of some fee streams that exist."""
        names = list(account_ids)
        accounts = dict(self._in_snapshots(names)) if names else {}
        after = {account_stream(name): accounts[name].version if name in accounts else 0 for name in names}
        withdrawn: dict[str, int] = {}

        def take(stream: list[Recorded]) -> None:
            name = subject_of(stream[0].stream)
            account = account_after(accounts[name], stream) if name in accounts else fold_account(name, stream)
            if account is None:
                del accounts[name]
                withdrawn[stream[0].stream] = 0
            else:
                accounts[name] = account
            if account is None or len(stream) >= EVERY:
                self._miss(name)

        found = self._log().accounts_and_days(after, days, take)
        if withdrawn:  # all their events are folded
            self._log().accounts_and_days(withdrawn, (), take)
        return {name: accounts.get(name) or AccountState(name) for name in names}, found

    def _in_snapshots(self, account_ids: Iterable[str]) -> Iterable[tuple[str, AccountState]]:
        for snapshot in self._log().snapshots(account_ids):
            account = None
            try:
                account = account_of(snapshot)
            except SnapshotDamaged:
                self.damaged += 1
                _log.error("the snapshot of the account %s is damaged: its events are read", snapshot.account_id)
            if account is not None:
                yield snapshot.account_id, account
            else:
                self._miss(snapshot.account_id)  # else one with few events would be passed over again and again

    def _miss(self, account_id: str) -> None:
        """Note that the next commit stores the snapshot of an account, unless that has very many to store."""
        if len(self._due) < _WRITTEN_MAX:
            self._due[account_id] = None

    def note(self, account: AccountState) -> None:
        """Note that an event of an account was recorded: every so often, each at another event, one is written."""
        if self.is_due(account.account_id, account.version):
            self._due[account.account_id] = None

    @staticmethod
    def is_due(account_id: str, version: int) -> bool:
        """Return True if the snapshot of an account is written with its event of a version."""
        return (version + crc32(account_id.encode())) % EVERY == 0

    def add(self, snapshot: Snapshot) -> None:
        """Have the next commit store the snapshot of an account that is not in memory."""
        self._made[snapshot.account_id] = snapshot

    def of_commit(self, accounts: Mapping[str, AccountState]) -> list[Snapshot]:
        """Return the snapshots of a commit, of accounts as it leaves them; those that are not in memory have none."""
        due, self._due = self._due, {}
        found, self._made = self._made, {}
        found.update((name, snapshot_of(accounts[name])) for name in due if name in accounts)
        return list(found.values())
