"""R25 over gRPC: a tier changes by hand with a reason and two persons, as an event, never an edit."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.domain.events import CommandRefused, TierChanged
from ledger.domain.instants import DAY_NS
from ledger.store import log
from ledger.v1.command_pb2 import Authority
from ledger.v1.control_service_pb2 import ListSoloActionsRequest
from ledger.v1.read_pb2 import ReadAt
from tests.conftest import NOON_NS, Ledger, at
from tests.samples import state, symbol
from tests.server.calls import refused, send
from tests.server.orders import ban, lift, promotion, publish, tier

ONE_PERSON = ('  "ChangeTier",\n', "")


def solo(ledger: Ledger, **asked: Any) -> list[tuple[str, str, str]]:
    found = send(ledger, ListSoloActionsRequest(**asked)).actions
    return [(action.actor, action.event, action.stream) for action in found]


def test_a_tier_changes_by_hand_and_the_event_says_who_asked_and_who_approved(ledger: Ledger) -> None:
    answer = send(ledger, tier("alice", "VIP4", valid_from=at(NOON_NS), valid_until=at(NOON_NS + DAY_NS)))
    recorded = ledger.log.at(answer.receipt.position)
    assert isinstance(recorded.event, TierChanged)
    assert (recorded.envelope.actor, recorded.envelope.approver) == ("ops-1", "ops-2")
    assert len(recorded.envelope.reason_sha256) == 32
    assert (answer.grant.source, state(ledger).tier) == ("MANUAL", "VIP4")
    assert state(ledger, as_of=at(NOON_NS - 1)).tier == "NONE"
    assert state(ledger, as_of=at(NOON_NS + DAY_NS)).tier == "NONE"
    assert state(ledger, known_at_position=answer.receipt.position - 1).tier == "NONE"


def test_one_person_alone_is_refused_and_that_is_recorded_with_who_tried(ledger: Ledger) -> None:
    request = tier("alice", "VIP5", authority=Authority(actor="ops-1", approver="ops-1", reason="for a friend"))
    found = refused(ledger, request)
    assert (found.reason, found.field) == ("APPROVER_IS_ACTOR", "authority.approver")
    recorded = ledger.log.at(int(found.metadata["position"]))
    assert isinstance(recorded.event, CommandRefused)
    assert (recorded.envelope.actor, recorded.envelope.approver) == ("ops-1", "ops-1")
    assert state(ledger).tier == "NONE"
    assert refused(ledger, request).metadata["replayed"] == "true"


def test_no_other_date_gets_around_the_second_person(ledger: Ledger) -> None:
    """What counts is the programme in force when the command is given, not when it takes effect."""
    for at_ns in (NOON_NS - 5_000 * DAY_NS, NOON_NS + DAY_NS):
        request = tier("alice", valid_from=at(at_ns), authority=Authority(actor="ops-1"))
        assert refused(ledger, request).reason == "APPROVER_REQUIRED"


def test_a_programme_that_leaves_it_to_one_person_does_so_from_its_first_instant_on(ledger: Ledger) -> None:
    send(ledger, publish("3.1", ONE_PERSON, valid_from=at(NOON_NS + DAY_NS)))
    assert refused(ledger, tier("alice", authority=None)).reason == "ACTOR_REQUIRED"
    ledger.clock.now_ns = NOON_NS + DAY_NS
    assert send(ledger, tier("alice", authority=None)).grant.tier == "VIP1"
    assert refused(ledger, publish("3.2", ONE_PERSON, authority=None)).reason == "ACTOR_REQUIRED"


@pytest.mark.parametrize("at_once", [1, 20_000])
def test_what_was_done_alone_is_listed_by_person_period_and_both_clocks(
    ledger: Ledger, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "_REQUESTS_AT_ONCE", at_once)
    send(ledger, symbol(authority=Authority(actor="ops-7")))
    send(ledger, tier("alice", "VIP4"))
    refused(ledger, tier("alice", "VIP5", authority=Authority(actor="ops-7")))
    first = send(ledger, ban("alice", authority=Authority(actor="ops-7", approver="ops-7"))).receipt
    send(ledger, lift("alice"))
    ledger.clock.now_ns = NOON_NS + DAY_NS
    later = {"start_time": at(NOON_NS + 5 * DAY_NS), "end_time": at(NOON_NS + 6 * DAY_NS)}
    second = send(ledger, promotion("autumn", **later)).receipt
    alone = [
        ("ops-7", "SymbolRegistered", "registers"),
        ("ops-7", "AccountBanned", "account/alice"),
        ("", "PromotionAnnounced", "promotions"),
    ]
    assert solo(ledger, at=ReadAt(as_of=at(NOON_NS + 5 * DAY_NS))) == alone
    assert solo(ledger) == alone[:2], "what takes effect later is left out"
    assert solo(ledger, actor="ops-7") == alone[:2]
    assert solo(ledger, actor="ops-1") == []
    assert solo(ledger, from_time=first.recorded_time) == alone[1:2]
    assert solo(ledger, until_time=first.recorded_time) == alone[:1]
    late = ReadAt(as_of=at(NOON_NS + 9 * DAY_NS), known_at_position=second.position - 1)
    assert solo(ledger, at=late) == alone[:2]
