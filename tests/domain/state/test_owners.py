"""Whose accounts they are: owners by registration and by fills, and the family that shares one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ledger.domain.events import AccountLinked, AccountRegistered, CommandRefused, OwnerNamed
from ledger.domain.state.account import AccountState
from ledger.domain.state.owners import NAMED_MAX, family_of, linked_accounts, newly_named
from tests.domain.state.test_account import fold
from tests.domain.worked import recorded


def named(account_id: str, *owners: str, registered: str = "") -> AccountState:
    return replace(AccountState(account_id), owner=registered, named_owners=owners)


def family(account: AccountState, *others: AccountState) -> list[str]:
    """The ids of the family, where every owner's stream links whom its accounts say."""
    states = {each.account_id: each for each in (account, *others)}

    def accounts_of(owner_id: str) -> list[str]:
        return [name for name, each in states.items() if owner_id in (each.owner, *each.named_owners)]

    def accounts(account_ids: Iterable[str]) -> list[AccountState]:
        return [states.get(name, AccountState(name)) for name in account_ids]

    return [member.account_id for member in family_of(account, accounts_of, accounts)]


def test_owners_that_fills_name_are_kept_each_once_beside_the_owner_of_the_account() -> None:
    state = fold(OwnerNamed("acme"), OwnerNamed("zeta"), OwnerNamed("acme"))
    assert (state.owner_id, state.named_owners, state.version) == ("alice", ("acme", "zeta"), 3)
    assert state.owners == {"alice", "acme", "zeta"}


def test_a_registration_takes_the_place_of_itself_and_leaves_what_fills_named() -> None:
    state = fold(OwnerNamed("acme"), AccountRegistered("alice", "zeta", "", 5))
    assert state.owners == {"zeta", "acme"}


def test_an_owner_links_each_account_once() -> None:
    stream = [AccountLinked("b"), AccountLinked("a"), CommandRefused("X", 1, "", ""), AccountLinked("b")]
    assert linked_accounts(recorded(event) for event in stream) == ["b", "a"]


def test_only_owners_that_the_account_did_not_have_are_new() -> None:
    account = named("alice", "acme", registered="zeta")
    assert newly_named(account, {"zeta": 1, "b": 2, "acme": 3, "a": 4}) == [("b", 2), ("a", 4)]
    assert newly_named(AccountState("alice"), {"alice": 1}) == []


def test_an_account_gets_no_more_owners_than_it_may_have() -> None:
    account = named("alice", *(f"o{number}" for number in range(NAMED_MAX - 1)))
    assert newly_named(account, {"x": 1, "y": 2}) == [("x", 1)]
    assert newly_named(named("alice", *account.named_owners, "x"), {"y": 2}) == []


def test_a_family_shares_any_owner_registered_or_named() -> None:
    alice = named("alice", "acme")
    others = (named("bob", registered="acme"), named("carol", "zeta", "acme"), named("dave", "zeta"))
    assert family(alice, *others) == ["acme", "bob", "carol"]
    assert family(others[1], alice, others[0], others[2]) == ["acme", "alice", "bob", "dave", "zeta"]


def test_an_account_that_bears_an_owners_name_belongs_to_it_unless_registered_under_another() -> None:
    assert family(named("bob", "alice"), named("alice")) == ["alice"]
    assert family(named("bob", "alice"), named("alice", registered="acme")) == []
    assert family(named("alice"), named("bob", "alice")) == ["bob"]
