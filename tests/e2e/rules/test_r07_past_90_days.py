"""R7, over gRPC: only who was no member in the past 90 days is matched."""

from __future__ import annotations

import grpc
import pytest
from google.protobuf.message import Message

from ledger.domain.events import MatchRejected
from ledger.domain.instants import DAY_NS
from ledger.v1.member_query_service_pb2 import CheckMatchEligibilityRequest, CheckMatchEligibilityResponse
from ledger.v1.member_service_pb2 import ExternalVolume
from ledger.v1.read_pb2 import ReadAt
from tests.conftest import NOON_NS, Ledger, at
from tests.e2e.rules.log import events
from tests.projections.audited import audit
from tests.samples import batch, fill, symbol
from tests.server.calls import refused, send
from tests.server.instants import FIRST, NOON
from tests.server.orders import approve_match, family, request_match, tier, trial

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


def test_eligibility_is_asked_again_at_the_approval_as_of_the_request_and_as_of_now(ledger: Ledger) -> None:
    send(ledger, request_match("carol", request_time=at(NOON_NS - DAY_NS)))
    send(ledger, tier("carol", valid_from=at(NOON_NS - DAY_NS + 1)))
    assert refused(ledger, approve_match("carol")).reason == "VIP_IN_PAST_90_DAYS", "a member since the request"
    asked_ns = ENDED_NS - DAY_NS + 5
    ledger.clock.now_ns += 10 * DAY_NS
    send(ledger, request_match("dave", request_time=at(asked_ns + 90 * DAY_NS)))
    send(ledger, tier("dave", valid_from=FIRST, valid_until=at(asked_ns + 1)))
    approval = approve_match("dave", approve_time=at(asked_ns + 91 * DAY_NS))
    assert refused(ledger, approval).reason == "VIP_IN_PAST_90_DAYS", "a member within 90 days of the request"


@pytest.mark.parametrize("order", [(0, 30, 60), (60, 30, 0), (0, 0, 0)])
def test_three_requests_of_one_day_do_not_give_90_days(ledger: Ledger, order: tuple[int, ...]) -> None:
    """Approved 30 days apart, in either order, or at one instant."""
    asked_ns = NOON_NS
    for _ in order:
        assert send(ledger, request_match("carol", request_time=at(asked_ns))).eligible
    ledger.clock.now_ns = NOON_NS + 61 * DAY_NS
    found = []
    for number, days in enumerate(order, 1):
        approval = approve_match("carol", f"m{number}", approve_time=at(asked_ns + days * DAY_NS))
        reason = reason_of(ledger, approval)
        found.append(reason)
    expected = {
        (0, 30, 60): ["", "VIP_IN_PAST_90_DAYS", "VIP_IN_PAST_90_DAYS"],
        (60, 30, 0): ["MATCH_EXPIRED", "MATCH_EXPIRED", ""],
        (0, 0, 0): ["", "VIP_IN_PAST_90_DAYS", "VIP_IN_PAST_90_DAYS"],
    }
    assert found == expected[order]


def test_a_match_approved_for_the_past_does_not_chain_with_a_later_one(ledger: Ledger) -> None:
    for _ in range(2):
        send(ledger, request_match("carol", request_time=at(NOON_NS - 29 * DAY_NS)))
    send(ledger, approve_match("carol", "m2", approve_time=NOON))
    early = approve_match("carol", "m1", approve_time=at(NOON_NS - 29 * DAY_NS))
    assert reason_of(ledger, early) == "VIP_IN_PAST_90_DAYS"


def test_the_owner_counts_and_not_the_account_alone(ledger: Ledger) -> None:
    for request in family("owner", "carol", "carol-2", "carol-3"):
        send(ledger, request)
    asked_ns = NOON_NS - 10 * DAY_NS
    for name in ("carol-2", "carol-3"):
        send(ledger, request_match(name, request_time=at(asked_ns)))
    send(ledger, tier("carol", valid_from=at(asked_ns + 1), valid_until=at(asked_ns + 2)))
    found = eligibility(ledger, "carol-2", NOON_NS)
    assert (found.refused_because, found.membership.tier) == ("VIP_IN_PAST_90_DAYS", "VIP1")
    assert send(ledger, request_match("carol-2")).refused_because == "VIP_IN_PAST_90_DAYS"
    assert reason_of(ledger, approve_match("carol-2", approve_time=at(asked_ns))) == ""
    assert reason_of(ledger, approve_match("carol-3", approve_time=NOON)) == "VIP_IN_PAST_90_DAYS"


def test_accounts_whose_fills_name_one_owner_count_as_one(ledger: Ledger, dsn: str, schema: str) -> None:
    send(ledger, symbol())
    asked_ns = NOON_NS - 10 * DAY_NS
    send(ledger, request_match("carol-2", request_time=at(asked_ns)))
    send(ledger, tier("carol", valid_from=at(asked_ns - 1), valid_until=at(asked_ns)))
    assert eligibility(ledger, "carol-2", NOON_NS).eligible
    first, second = (fill(account_id=name, owner_id="owner") for name in ("carol", "carol-2"))
    before = ledger.fills.RecordFills(batch(first)).position
    assert eligibility(ledger, "carol-2", NOON_NS).eligible, "nothing says yet whose it is"
    ledger.fills.RecordFills(batch(second))
    found = eligibility(ledger, "carol-2", NOON_NS)
    assert (found.refused_because, found.membership.tier) == ("VIP_IN_PAST_90_DAYS", "VIP1")
    assert eligibility(ledger, "carol-2", NOON_NS, known_at_position=before).eligible
    assert send(ledger, request_match("carol-2")).refused_because == "VIP_IN_PAST_90_DAYS"
    assert reason_of(ledger, approve_match("carol-2", approve_time=NOON)) == "VIP_IN_PAST_90_DAYS"
    assert audit(dsn, schema)[0] == []


def reason_of(ledger: Ledger, request: Message) -> str:
    """Why a command is refused; empty: it is done."""
    try:
        send(ledger, request)
    except grpc.RpcError as error:
        return str(error.details()).partition(":")[0]
    return ""
