"""R7, over gRPC: only who was no member in the past 90 days is matched."""

from __future__ import annotations

import pytest

from ledger.domain.events import MatchRejected
from ledger.domain.instants import DAY_NS
from ledger.v1.member_query_service_pb2 import CheckMatchEligibilityRequest, CheckMatchEligibilityResponse
from ledger.v1.member_service_pb2 import ExternalVolume
from ledger.v1.read_pb2 import ReadAt
from tests.conftest import NOON_NS, Ledger, at
from tests.e2e.rules.log import events
from tests.server.calls import refused, send
from tests.server.instants import FIRST, NOON
from tests.server.orders import approve_match, request_match, tier, trial

ENDED_NS = NOON_NS - 90 * DAY_NS


def eligibility(ledger: Ledger, account_id: str, at_ns: int, **known: object) -> CheckMatchEligibilityResponse:
    request = CheckMatchEligibilityRequest(
        account_id=account_id,
        external_volume=ExternalVolume(spot="500000"),
        at=ReadAt(as_of=at(at_ns), **known),  # type: ignore[arg-type]
    )
    found: CheckMatchEligibilityResponse = ledger.member_queries.CheckMatchEligibility(request)
    return found


@pytest.mark.parametrize(("end_ns", "eligible"), [(ENDED_NS, True), (ENDED_NS + 1, False)])
def test_exactly_90_days_after_a_membership_ended_it_does_not_count(
    ledger: Ledger, end_ns: int, eligible: bool
) -> None:
    send(ledger, tier("carol", valid_from=at(ENDED_NS - 30 * DAY_NS), valid_until=at(end_ns)))
    assert eligibility(ledger, "carol", NOON_NS).eligible is eligible
    found = send(ledger, request_match("carol", request_time=NOON))
    assert (found.eligible, found.refused_because) == (eligible, "" if eligible else "VIP_IN_PAST_90_DAYS")


def test_a_trial_counts_and_the_answer_shows_it(ledger: Ledger) -> None:
    given = send(ledger, trial("carol", start_time=at(NOON_NS - 40 * DAY_NS)))
    found = eligibility(ledger, "carol", NOON_NS)
    assert (found.refused_because, found.membership.source) == ("VIP_IN_PAST_90_DAYS", "TRIAL")
    assert eligibility(ledger, "carol", NOON_NS, known_at_position=given.receipt.position - 1).eligible
    assert eligibility(ledger, "carol", NOON_NS - 40 * DAY_NS).eligible, "a trial that starts only now is not past"


def test_matches_do_not_chain(ledger: Ledger) -> None:
    asked_ns = NOON_NS - 120 * DAY_NS
    send(ledger, request_match("carol", request_time=at(asked_ns)))
    send(ledger, approve_match("carol", approve_time=at(asked_ns)))
    assert send(ledger, request_match("carol", request_time=at(NOON_NS - 1))).refused_because == "VIP_IN_PAST_90_DAYS"
    assert send(ledger, request_match("carol", request_time=NOON)).eligible, "90 days after the 30 of the first one"
    rejected = [event for event in events(ledger, "account/carol") if isinstance(event, MatchRejected)]
    assert [event.reason for event in rejected] == [221]


def test_eligibility_is_asked_again_at_the_approval_as_of_the_request(ledger: Ledger) -> None:
    send(ledger, request_match("carol", request_time=at(NOON_NS - DAY_NS)))
    send(ledger, tier("carol", valid_from=at(NOON_NS - DAY_NS + 1)))
    assert send(ledger, approve_match("carol")).grant.tier == "VIP2", "a tier since the request does not count"
    send(ledger, request_match("dave", request_time=at(NOON_NS - DAY_NS)))
    send(ledger, tier("dave", valid_from=FIRST, valid_until=NOON))
    assert refused(ledger, approve_match("dave")).reason == "VIP_IN_PAST_90_DAYS"
