"""R11, over gRPC: what a tier entitles to, and the key account manager."""

from __future__ import annotations

from ledger.domain.events import KamAssigned
from ledger.domain.instants import DAY_NS
from ledger.v1.member_query_service_pb2 import GetEntitlementsRequest, GetEntitlementsResponse
from ledger.v1.read_pb2 import ReadAt
from tests.conftest import NOON_NS, Ledger, at
from tests.e2e.rules.log import events
from tests.server.calls import refused, send
from tests.server.instants import A_DAY_AGO, NOON
from tests.server.orders import assign, flag, tier


def entitlements(ledger: Ledger, at_ns: int, **known: object) -> GetEntitlementsResponse:
    at_ = ReadAt(as_of=at(at_ns), **known)  # type: ignore[arg-type]
    found: GetEntitlementsResponse = ledger.member_queries.GetEntitlements(
        GetEntitlementsRequest(account_id="alice", at=at_)
    )
    return found


def test_a_tier_entitles_to_support_and_a_manager_while_it_lasts(ledger: Ledger) -> None:
    send(ledger, tier("alice", "VIP1", valid_from=A_DAY_AGO, valid_until=NOON))
    first = send(ledger, assign("alice", "kam-1", assign_time=A_DAY_AGO))
    send(ledger, assign("alice", "kam-2", assign_time=at(NOON_NS - 1)))
    assert events(ledger, "account/alice")[1:] == [
        KamAssigned("kam-1", NOON_NS - DAY_NS),
        KamAssigned("kam-2", NOON_NS - 1),
    ]
    found = entitlements(ledger, NOON_NS - 2)
    assert (found.tier, list(found.entitlements)) == ("VIP1", ["support_24_7", "key_account_manager"])
    instants = (NOON_NS - DAY_NS - 1, NOON_NS - DAY_NS, NOON_NS - 2, NOON_NS - 1, NOON_NS)
    assert [entitlements(ledger, at_ns).manager_id for at_ns in instants] == ["", "kam-1", "kam-1", "kam-2", ""]
    assert list(entitlements(ledger, NOON_NS).entitlements) == []
    assert entitlements(ledger, NOON_NS - 1, known_at_position=first.receipt.position).manager_id == "kam-1"


def test_without_a_tier_there_is_no_manager_to_assign(ledger: Ledger) -> None:
    assert refused(ledger, assign("alice")).reason == "NOT_ENTITLED"
    send(ledger, tier("alice", valid_from=A_DAY_AGO))
    send(ledger, flag("alice", flag_time=NOON))
    assert refused(ledger, assign("alice", assign_time=NOON)).reason == "NOT_ENTITLED"
    assert send(ledger, assign("alice", assign_time=at(NOON_NS - 1))).assigned_time == at(NOON_NS - 1)
