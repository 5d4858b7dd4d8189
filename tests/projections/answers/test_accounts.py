"""ListAccounts by every condition and all of them together, however the accounts are found."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any, Final

import pytest

from ledger.domain.instants import DAY_NS
from ledger.v1.query_service_pb2 import AccountSummary, ListAccountsRequest
from projections.answers import accounts
from tests.conftest import NOON_NS, Ledger, at, serving
from tests.server.calls import await_tables, send
from tests.server.instants import A_DAY_AGO
from tests.server.orders import ban, family, flag, lift, revoke, tier, trial, unflag

OWNERS: Final = ("", "house", "alone")
TIERS: Final = ("", "NONE", "VIP1", "VIP2", "VIP5")
ENDS: Final = (None, at(NOON_NS + 5 * DAY_NS))
INSTANTS: Final = tuple(at(NOON_NS + days * DAY_NS) for days in (-2, 1, 4))


@pytest.fixture(scope="module")
def members(dsn: str) -> Iterator[Ledger]:
    """A ledger with accounts of all kinds: with and without tier, ban, flag, owner and a past."""
    with serving(dsn, "test_accounts") as ledger:
        live(ledger)
        yield ledger


def live(ledger: Ledger) -> None:
    for command in (
        *family("house", "a", "a-1", "a.b", "b"),
        trial("a"),
        tier("a-1", "VIP1", valid_until=at(NOON_NS + 3 * DAY_NS)),
        tier("a-1", "VIP2", valid_from=at(NOON_NS + 3 * DAY_NS)),
        tier("a.b", "VIP1", valid_from=A_DAY_AGO),
        revoke("a.b", "g1", revoke_time=at(NOON_NS)),
        tier("alone", "VIP1"),
        ban("alone", 2),
        ban("alone", 7),
        ban("b"),
        lift("b"),
        ban("c", 5),
        flag("c"),
        tier("d", "VIP1", valid_until=at(NOON_NS + 2 * DAY_NS)),
        flag("d"),
        unflag("d"),
        tier("e", "VIP3"),
        flag("e"),
        ban("f", 3),
    ):
        send(ledger, command)
    await_tables(ledger)


def listed(ledger: Ledger, **asked: Any) -> list[AccountSummary]:
    """Return all accounts of a list, read in pages of two."""
    found, token = list[AccountSummary](), ""
    while True:
        page = send(ledger, ListAccountsRequest(page_size=2, page_token=token, **asked))
        found += page.accounts
        token = page.next_page_token
        if not token:
            return found


def conditions() -> Iterator[dict[str, Any]]:
    for owner_id, name, ends, banned, flagged in product(OWNERS, TIERS, ENDS, (None, True), (None, True, False)):
        given = {"owner_id": owner_id, "tier": name, "ending_before": ends, "banned": banned, "flagged": flagged}
        yield {field: value for field, value in given.items() if value not in (None, "")}
    yield {"banned": False}


def meets(one: AccountSummary, asked: dict[str, Any]) -> bool:
    """Return whether an account, as it is told, meets what is asked."""
    ends = asked.get("ending_before")
    before = ends is None or (one.HasField("tier_ends") and one.tier_ends.ToNanoseconds() < ends.ToNanoseconds())
    return before and all(getattr(one, field) == value for field, value in asked.items() if field != "ending_before")


@pytest.mark.parametrize("few", [1, accounts._FEW], ids=["walked in order", "found by their ends"])
def test_a_list_by_conditions_has_the_accounts_that_meet_them(
    members: Ledger, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "_FEW", few)
    for as_of in INSTANTS:
        everybody = listed(members, as_of=as_of)
        assert [one.account_id for one in everybody] == ["a", "a-1", "a.b", "alone", "b", "c", "d", "e", "f"]
        for asked in conditions():
            assert listed(members, as_of=as_of, **asked) == [one for one in everybody if meets(one, asked)], asked


def test_every_condition_is_met_by_some_accounts_and_not_by_all(members: Ledger) -> None:
    everybody = [one for as_of in INSTANTS for one in listed(members, as_of=as_of)]
    single = [asked for asked in conditions() if len(asked) == 1 and asked != {"tier": "VIP5"}]
    met = {str(asked): sum(meets(one, asked) for one in everybody) for asked in single}
    assert all(0 < count < len(everybody) for count in met.values()), met
