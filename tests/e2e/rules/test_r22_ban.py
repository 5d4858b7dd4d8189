"""R22 over gRPC: API trading is banned for whole days; the tier stays, the volume does not count (A13)."""

from __future__ import annotations

import pytest

from ledger.domain.events import AccountBanned, BanLifted
from ledger.domain.instants import DAY_NS
from ledger.v1.control_service_pb2 import ListFindingsRequest
from ledger.v1.query_service_pb2 import GetRatesRequest
from tests.conftest import NOON_NS, Ledger, at
from tests.samples import batch, fill, history, state, symbol
from tests.server.calls import await_tables, refused, send
from tests.server.orders import ban, lift, tier


@pytest.fixture(autouse=True)
def _member(ledger: Ledger) -> None:
    send(ledger, symbol())
    send(ledger, tier("alice", "VIP2", valid_from=at(NOON_NS - DAY_NS)))


def test_a_ban_is_of_whole_days_and_leaves_the_tier_as_it_is(ledger: Ledger) -> None:
    answer = send(ledger, ban("alice", 3, start_time=at(NOON_NS)))
    event = ledger.log.at(answer.receipt.position).event
    assert event == AccountBanned("b1", NOON_NS, NOON_NS + 3 * DAY_NS, "ORDER_SPAM")
    instants = (NOON_NS - 1, NOON_NS, NOON_NS + 3 * DAY_NS - 1, NOON_NS + 3 * DAY_NS)
    assert [state(ledger, as_of=at(at_ns)).banned for at_ns in instants] == [False, True, True, False]
    assert not state(ledger, as_of=at(NOON_NS), known_at_position=answer.receipt.position - 1).banned
    assert state(ledger, as_of=at(NOON_NS + DAY_NS)).tier == "VIP2"


def test_a_fill_during_a_ban_is_charged_and_not_counted_and_a_control_finds_it(ledger: Ledger) -> None:
    send(ledger, ban("alice", 1, start_time=at(NOON_NS)))
    ledger.fills.RecordFills(batch(fill(transact_time=at(NOON_NS - 1)), fill(transact_time=at(NOON_NS))))
    assert [(line.banned, line.basis.tier) for line in history(ledger)] == [(False, "VIP2"), (True, "VIP2")]
    (excluded,) = send(ledger, GetRatesRequest(account_id="alice")).excluded
    assert (excluded.reason, excluded.volume.notional) == ("BANNED", "5")
    await_tables(ledger)
    (found,) = send(ledger, ListFindingsRequest(control="fills-during-bans")).findings
    assert found.finding_id == "fills-during-bans/alice/2024-10-04/USDT"
    assert found.message == "alice traded 5 USDT on 2024-10-04 while it was banned: 1 fill"


def test_a_ban_is_lifted_by_two_persons(ledger: Ledger) -> None:
    send(ledger, ban("alice", 7, start_time=at(NOON_NS)))
    assert refused(ledger, lift("alice", authority=None)).reason == "ACTOR_REQUIRED"
    answer = send(ledger, lift("alice", lift_time=at(NOON_NS + 1)))
    assert ledger.log.at(answer.receipt.position).event == BanLifted(NOON_NS + 1)
    assert [state(ledger, as_of=at(NOON_NS + later)).banned for later in (0, 1)] == [True, False]


def test_no_ban_is_shorter_than_a_day_or_longer_than_seven(ledger: Ledger) -> None:
    for days in (0, 8):
        assert refused(ledger, ban("alice", days)).reason == "BAN_DAYS_OUT_OF_RANGE"
    assert send(ledger, ban("alice", 1)).ban.ban_id == "b1"
