"""The owners of accounts while a commit is made: whose accounts the log links, and what fills name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from ledger.domain.commands import Request
from ledger.domain.events import AccountLinked, Event, OwnerNamed, Recorded
from ledger.domain.state.owners import linked_accounts
from ledger.domain.streams import account_stream, owner_stream
from ledger.fills.owners import Named
from ledger.store.log import Log

_ALL: Final = 2**63 - 1
_PREFIX: Final = owner_stream("")


class Owners:
    """The streams `owner/<id>` as they are in the log and the commit in the making. `forget` begins a commit.

    Linking asks only for the version of a stream, whatever the owner has: one that every account names stays cheap.
    """

    def __init__(self, log: Callable[[], Log]) -> None:
        self._log = log
        self._versions: dict[str, int] = {}
        self._linked: dict[str, list[Recorded]] = {}  # in the commit in the making

    def forget(self) -> None:
        """Drop what was known: a commit begins."""
        self._versions.clear()
        self._linked.clear()

    def load(self, owner_ids: Iterable[str]) -> None:
        """Have the versions of some owners' streams, those that are not at hand read at once."""
        missing = [owner_id for owner_id in dict.fromkeys(owner_ids) if owner_id not in self._versions]
        if missing:
            found = self._log().last_versions(map(owner_stream, missing))
            self._versions.update({owner_id: found.get(owner_stream(owner_id), 0) for owner_id in missing})

    def version(self, owner_id: str) -> int:
        """Version of the last event of an owner's stream; 0: there is none."""
        self.load([owner_id])
        return self._versions[owner_id]

    def accounts_of(self, owner_id: str) -> list[str]:
        """The accounts that are linked to an owner, in order."""
        in_log = self._log().streams([owner_stream(owner_id)], _ALL)
        return linked_accounts([*in_log, *self._linked.get(owner_id, ())])

    def take(self, recorded: Recorded) -> None:
        """Take in one more event of `owner/<id>`, of the commit in the making."""
        owner_id = recorded.stream.removeprefix(_PREFIX)
        self._versions[owner_id] = recorded.version
        self._linked.setdefault(owner_id, []).append(recorded)


def name_owners(
    named: Iterable[Named], record: Callable[[str, int, Event, Request], Recorded], request: Request
) -> None:
    """Record owners that fills name for the first time: with the account, and with the owner."""
    for account_id, owner_id, time_ns in named:
        record(account_stream(account_id), time_ns, OwnerNamed(owner_id), request)
        record(owner_stream(owner_id), time_ns, AccountLinked(account_id), request)
