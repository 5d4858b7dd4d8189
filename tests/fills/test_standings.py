"""Standings are the same in columns as worked out from states, whatever happens to accounts and programme meanwhile."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterable, Mapping
from dataclasses import replace
from random import Random
from typing import Any, Final

import numpy as np
import pytest

from ledger.domain.events import ProgrammePublished
from ledger.domain.instants import NEVER_NS
from ledger.domain.pricing.plan import Standing
from ledger.domain.state.account import AccountState, Ban, Flag, Grant
from ledger.domain.state.programme import Programme
from ledger.domain.state.rulebook import Rulebook, evolve_rulebook
from ledger.fills.batch import by_account_day
from ledger.fills.batch_lines import BatchLines
from ledger.fills.decide import BatchOutcome, priceable_lines
from ledger.fills.standings import HeldStandings, StandingTable, standings_of
from tests.domain.worked import NOON_NS, fills, programme, recorded, rulebook

NAMES: Final = ("alice", "bob", "carol", "dave")
SPAN: Final = 30  # ns after noon in which all changes lie
TIERS: Final = ("VIP1", "VIP2", "VIP3", "UNKNOWN")
SOURCES: Final = ("TRIAL", "MANUAL", "EVALUATION", "MATCH")
VERSION_NS: Final = NOON_NS + SPAN // 2  # a second version of the programme is in force from here on


class World:
    """States of accounts, and a table that follows them as the writer's does."""

    def __init__(self, accounts: Mapping[str, AccountState] = {}, book: Rulebook | None = None) -> None:
        self.accounts = dict(accounts)
        self.book = book or rulebook()
        self.table = StandingTable()
        self.read: list[str] = []  # accounts whose state the table had not enough of

    def lines(self, *rows: dict[str, Any]) -> BatchLines:
        batch = fills(*rows)
        return priceable_lines(batch, by_account_day(batch), self.book, [], BatchOutcome())

    def in_columns(self, lines: BatchLines) -> list[Standing]:
        names = lines.batch.accounts
        numbers = self.table.numbers(names)
        new = np.flatnonzero(numbers < 0)
        numbers[new] = self.table.enter(self.accounts.get(names[place]) for place in new.tolist())
        standings, standing = HeldStandings(self.table, names, numbers, self._states_of).of_lines(lines)
        return [standings[place] for place in standing.tolist()]

    def from_states(self, lines: BatchLines) -> list[Standing]:
        standings, standing = standings_of(lines, by_account_day(lines.batch), self.accounts)
        return [standings[place] for place in standing.tolist()]

    def change(self, account: AccountState) -> None:
        self.accounts[account.account_id] = account
        self.table.forget(account.account_id)

    def _states_of(self, names: Iterable[str]) -> dict[str, AccountState]:
        wanted = list(names)
        self.read += wanted
        return {name: self.accounts[name] for name in wanted}


def key(standing: Standing) -> tuple[Any, ...]:
    """All of a standing that a price depends on."""
    grant, *rest = standing
    return (grant.grant_id if grant else "", *rest)


def keys(standings: Iterable[Standing]) -> list[tuple[Any, ...]]:
    return list(map(key, standings))


def some_account(name: str, random: Random) -> AccountState:
    def instants(count: int) -> list[int]:
        return sorted(NOON_NS + random.randrange(SPAN) for _ in range(count))

    grants = []
    for number in range(1, random.randrange(9)):
        from_ns, until_ns = instants(2)
        end = random.choice([until_ns, NEVER_NS])
        revoked = random.choice([NEVER_NS, *instants(1)])
        source = random.choice(SOURCES)
        grants.append(
            Grant(f"g{number}", "bitmart-api-vip", random.choice(TIERS), source, from_ns, end, revoked, from_ns)
        )
    bans = tuple(Ban(f"b{place}", *instants(2), "ORDER_SPAM") for place in range(random.randrange(3)))
    flags = tuple(Flag(f"f{place}", "FAKE", *instants(2)) for place in range(random.randrange(3) // 2))
    return AccountState(name, 1, owner=random.choice(["", "acme"]), grants=tuple(grants), bans=bans, flags=flags)


def some_rules(random: Random) -> Programme:
    resolution = random.choice(["highest_active", "latest_evaluation_wins"])
    return programme(grant_resolution=resolution, rate_time=random.choice(["exec", "order"]))


def with_version(book: Rulebook, rules: Programme, from_ns: int) -> Rulebook:
    published = ProgrammePublished(rules.programme_id, "next", from_ns, "", b"")
    return evolve_rulebook(replace(book, parse=lambda _: rules), recorded(published, 9))


@pytest.mark.parametrize("seed", range(30))
def test_columns_and_states_say_the_same_of_every_fill_while_accounts_and_versions_change(seed: int) -> None:
    random = Random(seed)
    book = with_version(rulebook(some_rules(random)), some_rules(random), VERSION_NS)
    world = World({name: some_account(name, random) for name in NAMES[1:]}, book)  # alice has no event
    for _ in range(25):
        rows = [
            {
                "account_id": random.choice(NAMES),
                "exec_id": f"E{number}",
                "transact_time_ns": NOON_NS - 1 + random.randrange(SPAN + 2),
                "order_time_ns": random.choice([0, NOON_NS - 1 + random.randrange(SPAN + 2)]),
            }
            for number in range(random.randrange(1, 12))
        ]
        lines = world.lines(*rows)
        assert keys(world.in_columns(lines)) == keys(world.from_states(lines))
        match random.randrange(4):
            case 0:
                world.change(some_account(random.choice(NAMES), random))
            case 1:
                world.table.shrink(random.choice([0, 400, 100_000]))
            case 2:
                world.table.shrink(1 << 30)


def test_a_state_is_asked_again_only_where_three_stretches_end_or_an_event_was_recorded() -> None:
    grants = tuple(
        Grant(f"g{place}", "bitmart-api-vip", f"VIP{place}", "MANUAL", NOON_NS + 10 * place, NOON_NS + 10 * place + 10)
        for place in range(1, 6)
    )
    world = World({"alice": AccountState("alice", 5, grants=grants)})

    def tiers(*times: int) -> list[str]:
        return [
            found.tier for found in world.in_columns(world.lines(*({"transact_time_ns": NOON_NS + t} for t in times)))
        ]

    assert tiers(9) == ["NONE"]
    assert tiers(10, 19, 20, 29) == ["VIP1", "VIP1", "VIP2", "VIP2"]
    assert world.read == ["alice"]
    assert tiers(30) == ["VIP3"]
    assert tiers(30, 59) == ["VIP3", "VIP5"]
    assert world.read == ["alice"] * 2
    assert tiers(29) == ["VIP2"], "late, and before what is held"
    assert tiers(60, 10) == ["NONE", "VIP1"], "further apart than what is held"
    assert world.read == ["alice"] * 4
    world.change(AccountState("alice", 6))
    assert tiers(30) == ["NONE"]
    assert world.read == ["alice"] * 4, "an account without a change holds nothing ever"


def test_stretches_that_price_alike_are_one() -> None:
    grants = tuple(
        Grant("g1", "bitmart-api-vip", "VIP1", "MANUAL", NOON_NS + place, NOON_NS + place + 1) for place in range(9)
    )
    world = World({"alice": AccountState("alice", 1, grants=grants)})
    for place in range(10):
        world.in_columns(world.lines({"transact_time_ns": NOON_NS + place}))
    assert world.read == ["alice"]


def test_a_new_version_that_ranks_tiers_as_before_needs_no_state() -> None:
    account = AccountState("alice", 1, grants=(Grant("g1", "bitmart-api-vip", "VIP1", "MANUAL", NOON_NS),))
    world = World({"alice": account})
    for version in (programme(version="3.1"), programme(version="3.2"), programme(tiers=("VIP2", "VIP1"))):
        world.in_columns(world.lines({}))
        world.book = with_version(world.book, version, NOON_NS)
    assert world.read == ["alice"]
    world.in_columns(world.lines({}))
    assert world.read == ["alice"] * 2, "it ranks tiers otherwise"


def test_accounts_used_last_stay_and_keep_what_was_held_of_them() -> None:
    grant = Grant("g1", "bitmart-api-vip", "VIP1", "MANUAL", NOON_NS)
    names = [f"account{number}" for number in range(3_000)]
    world = World({name: AccountState(name, 1, owner="acme", grants=(grant,)) for name in names})
    lines = [world.lines(*({"account_id": name, "exec_id": name} for name in some)) for some in (names, names[1_000:])]
    for each in lines:
        assert {found.tier for found in world.in_columns(each)} == {"VIP1"}
        world.table.shrink(1 << 30)
    size = world.table.nbytes
    world.table.shrink(size * 3 // 4)
    assert 0 < len(world.table) <= 2_000
    assert world.table.nbytes < size * 3 // 4
    kept = [name for name in names if world.table.numbers([name])[0] > 0]
    assert not set(kept) - set(names[1_000:])
    world.read.clear()
    assert {found.tier for found in world.in_columns(world.lines({"account_id": kept[0]}))} == {"VIP1"}
    assert world.read == []


def test_standings_that_take_most_of_a_table_are_let_go_so_that_it_comes_within_its_limit() -> None:
    names = [f"account{number}" for number in range(200)]
    grants = {name: Grant(f"g-{name}", "bitmart-api-vip", "VIP1", "MANUAL", NOON_NS) for name in names}
    world = World({name: AccountState(name, 1, grants=(grant,)) for name, grant in grants.items()})
    lines = world.lines(*({"account_id": name, "exec_id": name} for name in names))
    said = keys(world.in_columns(lines))
    limit = world.table.nbytes * 4 // 5
    world.table.shrink(limit)
    assert world.table.nbytes <= limit
    assert keys(world.in_columns(lines)) == said


def test_a_table_takes_about_as_many_bytes_as_it_says() -> None:
    grants = [Grant("g1", "bitmart-api-vip", f"VIP{tier}", "MANUAL", NOON_NS) for tier in range(1, 6)]
    world = World()
    accounts = 4_000
    tracemalloc.start()
    try:
        before = tracemalloc.take_snapshot()
        for first in range(0, accounts, 1_000):
            numbers = range(first, first + 1_000)
            states = [AccountState(f"member{n:06}", 1, owner=f"owner{n:06}", grants=(grants[n % 5],)) for n in numbers]
            world.table.hold(programme(), world.table.enter(states), states, [NOON_NS] * 1_000)
            del states
        taken = sum(each.size_diff for each in tracemalloc.take_snapshot().compare_to(before, "filename"))
    finally:
        tracemalloc.stop()
    assert taken <= world.table.nbytes <= 2 * taken
    assert world.table.nbytes < 700 * accounts, "a million members are within 1 GB"
