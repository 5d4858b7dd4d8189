"""R6, over gRPC: VIPs of other exchanges enjoy the fee rates of their volume for 30 days."""

from __future__ import annotations

import pytest

from ledger import programmes
from ledger.domain.events import MatchRejected, MatchRequested, TierChanged
from ledger.domain.instants import DAY_NS
from ledger.v1.member_query_service_pb2 import GetMembershipRequest, GetMembershipResponse
from ledger.v1.read_pb2 import ReadAt
from tests.conftest import NOON_NS, Ledger, StartLedger, at
from tests.e2e.rules.log import events
from tests.samples import state
from tests.server.calls import refused, send
from tests.server.instants import NOON
from tests.server.orders import approve_match, reject_match, request_match, revoke


def membership(ledger: Ledger, account_id: str, **read_at: object) -> GetMembershipResponse:
    request = GetMembershipRequest(account_id=account_id, at=ReadAt(**read_at))  # type: ignore[arg-type]
    found: GetMembershipResponse = ledger.member_queries.GetMembership(request)
    return found


def test_a_match_gives_its_tier_for_thirty_days_from_its_approval(ledger: Ledger) -> None:
    asked = send(ledger, request_match("carol", spot="1500000", futures="500000", request_time=at(NOON_NS - DAY_NS)))
    assert (asked.match_id, asked.eligible, asked.tier) == ("m1", True, "VIP3")
    assert state(ledger, "carol").tier == "NONE"
    approved = send(ledger, approve_match("carol", approve_time=NOON))
    assert (approved.grant.source, approved.grant.evidence, approved.grant.tier) == ("MATCH", "m1", "VIP3")
    end_ns = NOON_NS + 30 * DAY_NS
    tiers = [state(ledger, "carol", as_of=at(t)).tier for t in (NOON_NS - 1, NOON_NS, end_ns - 1, end_ns)]
    assert tiers == ["NONE", "VIP3", "VIP3", "NONE"]
    requested, granted = events(ledger, "account/carol")
    assert isinstance(requested, MatchRequested)
    assert (requested.claim.venues, requested.claim.spot_volume) == (("okx",), "1500000")
    assert granted == TierChanged("g1", "bitmart-api-vip", "VIP3", "MATCH", NOON_NS, end_ns, "m1")
    known_before = state(ledger, "carol", as_of=NOON, known_at_position=approved.receipt.position - 1)
    assert known_before.tier == "NONE"


def test_who_requested_a_match_cannot_approve_it(ledger: Ledger) -> None:
    request = request_match("carol")
    send(ledger, request)
    found = refused(ledger, approve_match("carol", authority={"actor": "requester", "approver": "ops-8"}))
    assert (found.reason, found.field) == ("APPROVER_IS_ACTOR", "authority.actor")
    assert send(ledger, approve_match("carol")).grant.tier == "VIP2"


def test_an_ineligible_match_is_recorded_with_its_reason_and_answered_the_same_way_again(ledger: Ledger) -> None:
    request = request_match("carol", spot="100000")
    first, again = send(ledger, request), send(ledger, request)
    assert (first.eligible, first.refused_because, first.tier) == (False, "EXTERNAL_VOLUME_TOO_LOW", "")
    assert (again.receipt.replayed, again.refused_because) == (True, "EXTERNAL_VOLUME_TOO_LOW")
    (rejected,) = events(ledger, "account/carol")
    assert isinstance(rejected, MatchRejected)
    assert (rejected.reason, rejected.claim and rejected.claim.spot_volume) == (222, "100000")


def test_membership_shows_each_match_as_it_stood_at_an_instant(ledger: Ledger) -> None:
    send(ledger, request_match("carol", request_time=at(NOON_NS - 2 * DAY_NS)))
    send(ledger, reject_match("carol", reject_time=at(NOON_NS - DAY_NS)))
    days = [membership(ledger, "carol", as_of=at(NOON_NS - day * DAY_NS)).matches for day in (3, 2, 1)]
    assert [[match.status for match in matches] for matches in days] == [[], ["PENDING"], ["REJECTED"]]
    assert [match.reason_code for match in days[2]] == ["EVIDENCE_FALSE"]


def test_a_match_whose_evidence_proves_false_is_revoked(ledger: Ledger) -> None:
    send(ledger, request_match("carol", request_time=at(NOON_NS - 2 * DAY_NS)))
    send(ledger, approve_match("carol", approve_time=at(NOON_NS - 2 * DAY_NS)))
    send(ledger, revoke("carol", revoke_time=at(NOON_NS - DAY_NS)))
    assert [state(ledger, "carol", as_of=at(NOON_NS - t)).tier for t in (DAY_NS + 1, DAY_NS)] == ["VIP2", "NONE"]


def test_a_match_is_not_approved_or_rejected_before_it_was_requested(ledger: Ledger) -> None:
    send(ledger, request_match("carol", request_time=NOON))
    earlier = at(NOON_NS - 1)
    assert refused(ledger, approve_match("carol", approve_time=earlier)).reason == "INTERVAL_EMPTY"
    assert refused(ledger, reject_match("carol", reject_time=earlier)).reason == "INTERVAL_EMPTY"
    assert send(ledger, approve_match("carol", approve_time=NOON)).grant.valid_from == NOON


def test_a_volume_above_the_table_that_a_person_must_look_at_is_no_tier_to_match(
    start_ledger: StartLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = programmes.packaged()
    changed = content.replace('above_top = "keep"', 'above_top = "manual_review"')
    assert changed != content
    monkeypatch.setattr(programmes, "packaged", lambda: changed)
    ledger = start_ledger()
    assert send(ledger, request_match("carol", spot="50000000")).tier == "MANUAL_REVIEW"
    assert refused(ledger, approve_match("carol")).reason == "TIER_UNKNOWN"
    send(ledger, request_match("dave", spot="49999999"))
    assert send(ledger, approve_match("dave")).grant.tier == "VIP5"


@pytest.mark.parametrize(
    ("claim", "refused_because"),
    [
        ({"venues": ["bitmart"]}, "MATCH_VENUE_GOVERNED"),
        ({"venues": ["okx", "Bit-Mart"]}, "MATCH_VENUE_GOVERNED"),
        ({"external_tier": "none"}, "MATCH_LEVEL_MISSING"),
        ({"external_tier": "N.A"}, "MATCH_LEVEL_MISSING"),
        ({"external_tier": "VIP0"}, "MATCH_LEVEL_MISSING"),
        ({"external_tier": "VIP-10"}, ""),
        ({"external_tier": "Gold"}, ""),
    ],
)
def test_a_match_is_for_vips_of_other_exchanges(ledger: Ledger, claim: dict[str, object], refused_because: str) -> None:
    found = send(ledger, request_match("carol", **claim))
    assert (found.eligible, found.refused_because) == (not refused_because, refused_because)


def test_a_match_that_nobody_settles_expires_after_the_days_of_the_programme(ledger: Ledger) -> None:
    for name in ("carol", "dave"):
        send(ledger, request_match(name, request_time=NOON))
    end_ns = NOON_NS + 30 * DAY_NS
    ledger.clock.now_ns = end_ns + 1
    for late in (approve_match("carol", approve_time=at(end_ns)), reject_match("carol", reject_time=at(end_ns))):
        found = refused(ledger, late)
        assert (found.reason, found.field) == ("MATCH_EXPIRED", "match_id")
    shown = [membership(ledger, "carol", as_of=at(end_ns - before)).matches[0] for before in (1, 0)]
    assert [match.status for match in shown] == ["PENDING", "EXPIRED"]
    assert [match.HasField("settled_time") for match in shown] == [False, True]
    assert shown[1].settled_time == at(end_ns)
    assert send(ledger, approve_match("dave", approve_time=at(end_ns - 1))).grant.tier == "VIP2"
    assert membership(ledger, "dave", as_of=at(end_ns)).matches[0].status == "APPROVED"
    assert send(ledger, request_match("carol", request_time=at(end_ns))).eligible, "it may be asked for again"
