"""Owners that fills name are the same over columns as line after line."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any, Final

import pytest

from ledger.domain.instants import DAY_NS
from ledger.domain.state.account import AccountState
from ledger.domain.state.owners import NAMED_MAX, newly_named
from ledger.fills.fill_runs import FillRuns
from ledger.fills.owners import NamedOwner, newly_named_owners, owners_said
from tests.domain.worked import NOON_NS, fills, record, rulebook

NAMES: Final = ("alice", "bob", "carol")


def runs_of(*rows: dict[str, Any]) -> FillRuns:
    found = record(fills(*rows), rulebook())[0].runs
    assert isinstance(found, FillRuns)
    return found


def one_by_one(runs: FillRuns, accounts: dict[str, AccountState]) -> list[NamedOwner]:
    """Run by run, line by line."""
    states, found = dict(accounts), list[NamedOwner]()
    for (account_id, _), run in runs:
        state = states.setdefault(account_id, AccountState(account_id))
        new = newly_named(state, owners_said(run))
        states[account_id] = replace(state, named_owners=(*state.named_owners, *(owner for owner, _ in new)))
        found += [NamedOwner(account_id, *each) for each in new]
    return found


def test_the_first_fill_that_names_an_owner_says_since_when() -> None:
    row = {"account_id": "alice", "owner_id": "acme"}
    times = (NOON_NS + 5, NOON_NS, NOON_NS + 9)
    rows = ({"transact_time_ns": NOON_NS - 1}, *({**row, "transact_time_ns": each} for each in times))
    assert newly_named_owners(runs_of(*rows), {}) == [NamedOwner("alice", "acme", NOON_NS + 5)]


def test_who_names_nobody_or_its_own_owner_says_nothing_new() -> None:
    runs = runs_of({"owner_id": "alice"}, {"owner_id": ""}, {"account_id": "bob", "owner_id": "acme"})
    assert newly_named_owners(runs, {"bob": AccountState("bob", owner="acme")}) == []
    assert newly_named_owners(runs_of({}), {}) == []


def test_an_account_with_as_many_owners_as_it_may_have_gets_no_other() -> None:
    rows = [{"exec_id": f"E{number}", "owner_id": f"o{number}"} for number in range(NAMED_MAX + 3)]
    first = [each.owner_id for each in newly_named_owners(runs_of(*rows), {})]
    assert first == [f"o{number}" for number in range(NAMED_MAX)]
    assert newly_named_owners(runs_of(*rows), {"alice": AccountState("alice", named_owners=tuple(first))}) == []


@pytest.mark.parametrize("seed", range(60))
def test_columns_and_lines_name_the_same(seed: int) -> None:
    random = Random(seed)
    owners = ["", "acme", "alice", "zeta", "an-owner-with-a-longer-name", *(f"o{number}" for number in range(9))]
    accounts = {
        name: AccountState(
            name, owner=random.choice(("", "acme")), named_owners=tuple(random.sample(owners[1:], random.randrange(9)))
        )
        for name in NAMES[:2]
    }
    rows = [
        {
            "account_id": random.choice(NAMES),
            "exec_id": f"E{number}",
            "owner_id": random.choice(owners[: random.randint(1, len(owners))]),
            "transact_time_ns": NOON_NS + random.randrange(DAY_NS),
        }
        for number in range(random.randint(1, 60))
    ]
    runs = runs_of(*rows)
    found = newly_named_owners(runs, accounts)
    assert sorted(found) == sorted(one_by_one(runs, accounts))
    for name in NAMES:
        of_account = [each for each in found if each.account_id == name]
        assert of_account == [each for each in one_by_one(runs, accounts) if each.account_id == name]
