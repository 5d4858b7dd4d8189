"""The account by which a line counts: by the fold of what was known at its position and what was released since."""

from __future__ import annotations

from functools import reduce
from random import Random
from typing import Final

import pytest

from ledger.domain.decide import facts
from ledger.domain.decide.facts import BAN, GRANT, AccountFacts
from ledger.domain.events import (
    AccountBanned,
    AccountRegistered,
    Envelope,
    Event,
    FactReleased,
    Recorded,
    TierChanged,
)
from ledger.domain.state.account import AccountState, evolve_account
from tests.write_side import NOON_NS

HOUR_NS: Final = 3_600 * 10**9


def fact(number: int) -> Event:
    from_ns = NOON_NS + number * HOUR_NS
    if number % 2:
        return AccountBanned(f"b{number}", from_ns, from_ns + 9 * HOUR_NS, "ORDER_SPAM")
    return TierChanged(f"g{number}", "bitmart-api-vip", "VIP1", "MANUAL", from_ns, from_ns + 9 * HOUR_NS)


def log_of(random: Random) -> list[Recorded]:
    """Facts in the order of their numbers; some are released later, in any order, some only for some lines."""
    events: list[tuple[int, Event]] = [(3 * number + 1, fact(number)) for number in range(20)]
    events.append((2, AccountRegistered("alice", "owner", "", NOON_NS)))
    for position in random.sample(range(100, 200), 10):
        number = random.randrange(20)
        of = random.choice([((), ()), (("bitmart-api-vip",), ()), ((), ("USDT",)), (("another",), ())])
        events.append((position, FactReleased(3 * number + 1, BAN if number % 2 else GRANT, "adjust", *of)))
    return [
        Recorded(position, "account/alice", version, Envelope(NOON_NS, NOON_NS, 1), event)
        for version, (position, event) in enumerate(sorted(events, key=lambda each: each[0]), 1)
    ]


def counts(release: FactReleased, programme_id: str, currency: str) -> bool:
    return (not release.programme_ids or programme_id in release.programme_ids) and (
        not release.currencies or currency in release.currencies
    )


def folded(log: list[Recorded], known_at: int, programme_id: str, currency: str) -> AccountState:
    """The plain fold."""
    releases = [each.event for each in log if isinstance(each.event, FactReleased)]
    since = {each.fact_position for each in releases if counts(each, programme_id, currency)}
    counted = [each for each in log if each.position <= known_at or each.position in since]
    return reduce(evolve_account, counted, AccountState("alice"))


@pytest.mark.parametrize("seed", range(10))
def test_a_line_counts_by_what_was_known_at_its_position_and_by_what_was_released_since(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "_ACCOUNTS_MAX", 5)  # it forgets now and then
    random = Random(seed)
    log = log_of(random)
    found = AccountFacts("alice", log)
    for _ in range(60):
        of_line = (random.randrange(70), random.choice(["bitmart-api-vip", "another"]), random.choice(["USDT", "BMX"]))
        account, expected = found.account_for(*of_line), folded(log, *of_line)
        assert (account.grants, account.bans) == (expected.grants, expected.bans), of_line
