"""The owners of an account, the accounts of an owner, and the family that these make.

An account has the owner that it was registered under, or is its own; and those that its fills name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

from ledger.domain.events import AccountLinked, Recorded
from ledger.domain.state.account import AccountState

NAMED_MAX: Final = 8  # owners that fills name for an account; more are not recorded


class Owned(NamedTuple):
    """The owners of an account, as its state has them under the same names."""

    account_id: str
    owner_id: str
    named_owners: tuple[str, ...]

    @property
    def owners(self) -> frozenset[str]:
        """The beneficial owner, and the owners that its fills name."""
        return frozenset((self.owner_id, *self.named_owners))

    @classmethod
    def of(cls, account: AccountState) -> Owned:
        """Return those of an account."""
        return cls(account.account_id, account.owner_id, account.named_owners)


def linked_accounts(stream: Iterable[Recorded]) -> list[str]:
    """Return the accounts that the events of `owner/<id>` link to it, each once, in order."""
    linked = (recorded.event.account_id for recorded in stream if isinstance(recorded.event, AccountLinked))
    return list(dict.fromkeys(linked))


def newly_named(account: AccountState | Owned, said: Mapping[str, int]) -> list[tuple[str, int]]:
    """Return those of the (owner, time) that fills say which the account did not have, as many as it may still get.

    `said` is in the order of the fills: by owner, when the first fill that names it traded, in ns since 1970.
    """
    known = account.owners
    new = [(owner_id, at_ns) for owner_id, at_ns in said.items() if owner_id not in known]
    return new[: max(NAMED_MAX - len(account.named_owners), 0)]


def family_of(
    account: AccountState,
    accounts_of: Callable[[str], Iterable[str]],
    accounts: Callable[[Iterable[str]], Iterable[AccountState]],
) -> list[AccountState]:
    """Return the other accounts that share an owner with this one, by id: what R4 and R7 ask.

    `accounts_of` says which accounts are linked to an owner; `accounts` gives the states of some accounts, by id.
    An account that bears the name of an owner belongs to it, unless it was registered under another one.
    """
    linked = {name for owner_id in account.owners for name in (owner_id, *accounts_of(owner_id))}
    members = accounts(sorted(linked - {account.account_id}))
    return [member for member in members if not account.owners.isdisjoint(member.owners)]
