"""An account state takes as many bytes as it is said to take, as far as anybody can count them."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from typing import Final

import pytest

from ledger.domain.events import (
    AccountBanned,
    AccountFlagged,
    AccountRegistered,
    ApplicationSubmitted,
    BehaviourMetricRecorded,
    Envelope,
    Event,
    KamAssigned,
    MatchClaim,
    MatchRequested,
    Recorded,
    TierChanged,
    VolumeEvaluated,
)
from ledger.domain.pricing.plan import standing_at
from ledger.domain.state.account import AccountState, fold_account
from ledger.domain.state.held import Held, account_bytes
from tests.domain.worked import programme

ACCOUNTS: Final = 100
# Files whose code makes states and their parts.
MAKERS: Final = (__file__, "*/ledger/domain/*", "*/dataclasses.py", "<string>")
RULES: Final = programme()
AT_NS: Final = 1_700_000_000_000_000_000


def fresh(text: str) -> str:
    """A text of its own, as one that comes from the log."""
    return "".join(list(text))


def banned(at_ns: int) -> Event:
    return AccountBanned(f"ban-{at_ns}", at_ns, at_ns + 5, fresh("WASH_TRADES"), (1, 2))


def evaluated(at_ns: int) -> Event:
    return VolumeEvaluated(
        programme_id=fresh("bitmart-api-vip"),
        programme_version=fresh("3.0"),
        kind=fresh("PERIODIC"),
        evaluated_time_ns=at_ns,
        window_from_ns=at_ns - 9,
        window_until_ns=at_ns,
        read_position=7,
        cells=(),
        closes=(),
        volume=fresh("1000000"),
        volume_currency=fresh("USDT"),
        tier=fresh("VIP1"),
        grant_id=f"grant-{at_ns}",
        valid_from_ns=at_ns + 1,
        valid_until_ns=at_ns + 9,
    )


def granted(at_ns: int) -> Event:
    ids = (f"grant-{at_ns}", fresh("bitmart-api-vip"), fresh("VIP1"), fresh("MANUAL"))
    return TierChanged(*ids, at_ns, at_ns + 7, fresh("evidence"))


def matched(at_ns: int) -> Event:
    claim = MatchClaim(
        (fresh("binance"), fresh("okx")), fresh("VIP2"), at_ns - 9, at_ns, fresh("100000"), fresh("200000"), bytes(32)
    )
    return MatchRequested(f"match-{at_ns}", fresh("bitmart-api-vip"), at_ns, fresh("VIP2"), claim)


KINDS: Final[dict[str, Callable[[int], Event]]] = {
    "granted": granted,
    "banned": banned,
    "flagged": lambda at_ns: AccountFlagged(f"flag-{at_ns}", fresh("FAKE"), at_ns, bytes(32)),
    "evaluated": evaluated,
    "matched": matched,
    "applied": lambda at_ns: ApplicationSubmitted(
        f"app-{at_ns}", fresh("bitmart-api-vip"), at_ns, True, True, True, True
    ),
    "measured": lambda at_ns: BehaviourMetricRecorded(fresh("CODE"), fresh("0.125"), at_ns, at_ns + 1),
    "assigned": lambda at_ns: KamAssigned(fresh("manager-1"), at_ns),
}


def account(number: int, kind: str, events: int) -> AccountState:
    """A registered account after some events of a kind, with all that is worked out of it."""
    name, at_ns = f"account-{number:09}", AT_NS + number
    every: list[Event] = [AccountRegistered(name, f"owner-{number:09}", f"parent-{number:09}", at_ns)]
    every += [KINDS[kind](at_ns + 100 * place) for place in range(events)]
    envelope = Envelope(at_ns, at_ns, 1)
    stream = [Recorded(place, f"account/{name}", place, envelope, event) for place, event in enumerate(every, 1)]
    state = fold_account(name, stream)
    for changed_ns in (0, *state.change_instants):
        standing_at(state, RULES, changed_ns)
    return state


@pytest.mark.parametrize("events", [1, 12])
@pytest.mark.parametrize("kind", KINDS)
def test_the_bytes_of_states_are_about_what_they_take(kind: str, events: int) -> None:
    gc.collect()
    held: Held[str, AccountState] = Held(account_bytes)
    tracemalloc.start()
    try:
        for number in range(ACCOUNTS):
            state = account(number, kind, events)
            held[state.account_id] = state
        # Services that other tests have started go on in their threads, and take memory of their own.
        of_states = [tracemalloc.Filter(inclusive=True, filename_pattern=pattern) for pattern in MAKERS]
        taken = sum(trace.size for trace in tracemalloc.take_snapshot().filter_traces(of_states).traces)
    finally:
        tracemalloc.stop()
    assert taken <= held.size <= 2 * taken


def test_those_used_least_recently_go_first_until_the_others_fit() -> None:
    held: Held[str, AccountState] = Held(account_bytes)
    for number in range(9):
        state = account(number, "granted", number)
        held[state.account_id] = state
    held.used(["account-000000002", "account-000000001"])
    assert held.size == sum(map(account_bytes, held.values()))
    held.shrink(account_bytes(account(1, "granted", 1)) + account_bytes(account(2, "granted", 2)))
    assert list(held) == ["account-000000002", "account-000000001"]
    assert held.size == sum(map(account_bytes, held.values()))
    held["account-000000001"] = account(1, "granted", 5)
    assert held.size == sum(map(account_bytes, held.values()))
    held.shrink(0)
    assert (held.size, len(held)) == (0, 0)


def test_without_weights_it_is_the_number_that_is_bounded() -> None:
    held: Held[str, int] = Held()
    for number, name in enumerate("abcd"):
        held.hold(name, number)
    assert held.hold("a", 9) == 9
    assert (held.size, held.shrink(4)) == (4, False)
    assert held.shrink(3)
    assert list(held) == ["c", "d", "a"]
    assert (held.drop(), held.size) == (2, 2)
