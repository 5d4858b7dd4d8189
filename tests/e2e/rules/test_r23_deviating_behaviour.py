"""R23, over gRPC: what was measured of an account's behaviour is the evidence of its ban."""

from __future__ import annotations

from ledger.domain.events import AccountBanned, BehaviourMetricRecorded
from ledger.domain.instants import DAY_NS
from ledger.v1.member_query_service_pb2 import GetMembershipRequest, GetMembershipResponse
from ledger.v1.read_pb2 import ReadAt
from tests.conftest import NOON_NS, Ledger, at
from tests.e2e.rules.log import events
from tests.server.calls import refused, send
from tests.server.instants import NOON
from tests.server.orders import ban, metric


def membership(ledger: Ledger, **read_at: object) -> GetMembershipResponse:
    request = GetMembershipRequest(account_id="alice", at=ReadAt(**read_at))  # type: ignore[arg-type]
    found: GetMembershipResponse = ledger.member_queries.GetMembership(request)
    return found


def test_a_ban_names_the_metrics_it_rests_on(ledger: Ledger) -> None:
    spam = send(ledger, metric("alice", code="ORDER_SPAM", value="1200.50")).receipt.position
    ratio = send(ledger, metric("alice", value="0.0010")).receipt.position
    send(ledger, ban("alice", days=2, start_time=NOON, evidence_positions=[ratio, spam]))
    assert events(ledger, "account/alice") == [
        BehaviourMetricRecorded("ORDER_SPAM", "1200.5", NOON_NS - DAY_NS, NOON_NS),
        BehaviourMetricRecorded("LOW_FILL_RATIO", "0.001", NOON_NS - DAY_NS, NOON_NS),
        AccountBanned("b1", NOON_NS, NOON_NS + 2 * DAY_NS, "ORDER_SPAM", (ratio, spam)),
    ]
    found = membership(ledger, as_of=NOON).metrics
    assert [(one.position, one.code, one.value) for one in found] == [
        (spam, "ORDER_SPAM", "1200.5"),
        (ratio, "LOW_FILL_RATIO", "0.001"),
    ]
    assert len(membership(ledger, as_of=at(NOON_NS - 1)).metrics) == 0, "its window was not over"
    assert len(membership(ledger, as_of=NOON, known_at_position=spam).metrics) == 1


def test_a_position_that_holds_no_metric_of_the_account_is_no_evidence(ledger: Ledger) -> None:
    mine = send(ledger, metric("alice")).receipt.position
    other = send(ledger, metric("bob")).receipt.position
    found = refused(ledger, ban("alice", evidence_positions=[mine, other]))
    assert (found.reason, found.field) == ("METRIC_UNKNOWN", "evidence_positions[1]")
    assert send(ledger, ban("alice", evidence_positions=[mine])).ban.ban_id == "b1"
