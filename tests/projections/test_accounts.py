"""A read of an account begins with its snapshot where that lies in what the read may know; it answers the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from ledger.domain import commands
from ledger.domain.events import POSITION_MAX, TierChanged
from ledger.domain.state.account import AccountState, fold_account
from ledger.domain.streams import account_stream
from ledger.store.log import Log
from ledger.writing.snapshots import EVERY
from projections.accounts import account_known
from tests.write_side import NOON_NS, Writing, ask

ALICE = account_stream("alice")


class Reading(Log):
    """A log that notes how many events of streams it gave."""

    events_read = 0

    def _events(self, statement: bytes, parameters: Any) -> list[Any]:
        found = super()._events(statement, parameters)
        self.events_read += len(found)
        return found


@pytest.fixture
def log(writing: Writing) -> Reading:
    return Reading(writing.log.connections)


@pytest.fixture
def owner(dsn: str, writing: Writing) -> Iterator[Any]:
    """Changes snapshots as the owner of the schema may."""
    table = Identifier(writing.config.schema, "account_snapshots")
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield lambda text: connection.execute(SQL(text).format(table)).rowcount


def live(writing: Writing, changes: int) -> None:
    """Give alice as many tiers, one a minute."""
    for number in range(changes):
        from_ns = NOON_NS + number * 60 * 10**9
        writing.step(ask(commands.ChangeTier("alice", f"VIP{1 + number % 5}", from_ns, from_ns + 60 * 10**9)))


def positions(log: Log) -> list[int]:
    return [recorded.position for recorded in log.streams([ALICE], POSITION_MAX)]


def folded(log: Log, until: int) -> AccountState:
    return fold_account("alice", log.streams([ALICE], until))


def test_of_a_long_life_only_what_came_after_the_snapshot_is_read(writing: Writing, log: Reading) -> None:
    live(writing, 4 * EVERY)
    known, log.events_read = account_known(log, "alice", POSITION_MAX), 0
    assert known == folded(Log(log.connections), POSITION_MAX)
    account_known(log, "alice", POSITION_MAX)
    assert 1 <= log.events_read <= EVERY


def test_every_position_is_known_as_its_events_say(writing: Writing, log: Reading) -> None:
    live(writing, 2 * EVERY)
    whole = positions(log)
    assert [account_known(log, "alice", until) for until in whole] == [folded(log, until) for until in whole]
    assert account_known(log, "alice", whole[0] - 1) == AccountState("alice")


def test_a_snapshot_of_later_events_than_a_read_may_know_is_passed_over(writing: Writing, log: Reading) -> None:
    live(writing, EVERY)
    early = positions(log)[1]
    live(writing, EVERY)
    assert [grant.tier for grant in account_known(log, "alice", early).grants] == ["VIP1", "VIP2"]


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE {} SET state = set_byte(state, 9, get_byte(state, 9) # 1)",
        "UPDATE {} SET version = version + 1000",
        "UPDATE {} SET encoding = 999",
        "DELETE FROM {}",
    ],
)
def test_without_a_snapshot_that_is_whole_the_events_are_folded(
    writing: Writing, log: Reading, owner: Any, damage: str
) -> None:
    live(writing, 2 * EVERY)
    assert owner(damage) == 1
    assert account_known(log, "alice", POSITION_MAX) == folded(log, POSITION_MAX)


def test_a_fact_that_is_withdrawn_after_the_snapshot_never_was(writing: Writing, log: Reading) -> None:
    live(writing, 2 * EVERY)
    (granted,) = [
        each.position
        for each in log.streams([ALICE], POSITION_MAX)
        if isinstance(each.event, TierChanged) and each.version == 3
    ]
    writing.step(ask(commands.WithdrawFact("alice", granted), approver="ops-2"))
    known = account_known(log, "alice", POSITION_MAX)
    assert known == folded(log, POSITION_MAX)
    assert len(known.grants) == 2 * EVERY - 1
