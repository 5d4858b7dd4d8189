"""The owners of accounts while a commit is made: the accounts that the log links to them, and those that fills name."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ledger.domain.events import POSITION_MAX, Recorded
from ledger.domain.state.owners import linked_accounts
from ledger.domain.streams import owner_stream, subject_of
from ledger.store.log import Log


class Owners:
    """The streams `owner/<id>` as they are in the log and the commit in the making. `forget` begins a commit.

    Linking asks only for the version of a stream, whatever the owner has: one that every account names stays cheap.
    """

    def __init__(self, log: Callable[[], Log]) -> None:
        self._log = log
        self._versions: dict[str, int] = {}
        self._linked: dict[str, list[Recorded]] = {}  # in the commit in the making

    def forget(self) -> None:
        """Drop all versions and links: a commit begins."""
        self._versions.clear()
        self._linked.clear()

    def load(self, owner_ids: Iterable[str]) -> None:
        """Have the versions of some owners' streams in memory; those that are missing are read with one query."""
        missing = [owner_id for owner_id in dict.fromkeys(owner_ids) if owner_id not in self._versions]
        if missing:
            found = self._log().last_versions(map(owner_stream, missing))
            self._versions.update({owner_id: found.get(owner_stream(owner_id), 0) for owner_id in missing})

    def version(self, owner_id: str) -> int:
        """Return the version of the last event of an owner's stream; 0: there is none."""
        self.load([owner_id])
        return self._versions[owner_id]

    def accounts_of(self, owner_id: str) -> list[str]:
        """Return the accounts that are linked to an owner, in the order in which they were linked."""
        in_log = self._log().streams([owner_stream(owner_id)], POSITION_MAX)
        return linked_accounts([*in_log, *self._linked.get(owner_id, ())])

    def take(self, recorded: Recorded) -> None:
        """Take in one more event of `owner/<id>`, of the commit in the making."""
        owner_id = subject_of(recorded.stream)
        self._versions[owner_id] = recorded.version
        self._linked.setdefault(owner_id, []).append(recorded)
