"""R8, over gRPC: the volume elsewhere must be more than 100,000, spot and futures together (A15)."""

from __future__ import annotations

import pytest

from ledger.domain.events import MatchRejected, MatchRequested
from ledger.domain.instants import DAY_NS
from ledger.v1.member_query_service_pb2 import CheckMatchEligibilityRequest
from ledger.v1.member_service_pb2 import ExternalVolume
from ledger.v1.read_pb2 import ReadAt
from tests.conftest import NOON_NS, Ledger, at
from tests.e2e.rules.log import events
from tests.server.calls import send
from tests.server.instants import NOON
from tests.server.orders import flag, request_match, tier

TOO_LOW = "EXTERNAL_VOLUME_TOO_LOW"


@pytest.mark.parametrize(
    ("spot", "futures", "refused_because", "tier_given"),
    [
        ("100000", "", TOO_LOW, ""),
        ("100000.000000000000000001", "", "", "VIP1"),
        ("60000", "40000", TOO_LOW, ""),
        ("60000", "40000.01", "", "VIP1"),
        ("", "500000", "", "VIP2"),
        ("", "", TOO_LOW, ""),
    ],
)
def test_exactly_100_000_is_not_enough(
    ledger: Ledger, spot: str, futures: str, refused_because: str, tier_given: str
) -> None:
    asked = CheckMatchEligibilityRequest(
        account_id="carol", external_volume=ExternalVolume(spot=spot, futures=futures), at=ReadAt(as_of=NOON)
    )
    checked = ledger.member_queries.CheckMatchEligibility(asked)
    found = send(ledger, request_match("carol", spot=spot, futures=futures))
    for answer in (checked, found):
        assert (answer.refused_because, answer.tier) == (refused_because, tier_given)
    (event,) = events(ledger, "account/carol")
    assert isinstance(event, MatchRejected if refused_because else MatchRequested)


def test_of_several_reasons_the_flag_is_said_first_then_the_membership_then_the_volume(ledger: Ledger) -> None:
    send(ledger, tier("carol", valid_from=at(NOON_NS - 1)))
    send(ledger, flag("carol", flag_time=NOON))
    low = ExternalVolume(spot="1")
    reasons = [
        ledger.member_queries.CheckMatchEligibility(
            CheckMatchEligibilityRequest(account_id="carol", external_volume=low, at=ReadAt(as_of=at(at_ns)))
        ).refused_because
        for at_ns in (NOON_NS - 1, NOON_NS - 1 + 1)
    ]
    assert reasons == [TOO_LOW, "ACCOUNT_FLAGGED"]
    send(ledger, tier("dave", valid_from=at(NOON_NS - 1)))
    assert send(ledger, request_match("dave", spot="1", request_time=NOON)).refused_because == "VIP_IN_PAST_90_DAYS"


@pytest.mark.parametrize(
    ("from_ns", "until_ns", "eligible"),
    [
        (NOON_NS - 30 * DAY_NS, NOON_NS, True),
        (NOON_NS - 37 * DAY_NS, NOON_NS - 7 * DAY_NS, True),
        (NOON_NS - 37 * DAY_NS - 1, NOON_NS - 7 * DAY_NS - 1, False),
        (NOON_NS - 30 * DAY_NS - 1, NOON_NS, False),
        (NOON_NS - 30 * DAY_NS + 1, NOON_NS, False),
        (NOON_NS - 365 * DAY_NS, NOON_NS, False),
        (NOON_NS - 10**9, NOON_NS, False),
        (NOON_NS - 1600 * DAY_NS, NOON_NS - 1570 * DAY_NS, False),
        (NOON_NS - 30 * DAY_NS + 1, NOON_NS + 1, False),
    ],
)
def test_the_volume_is_that_of_the_30_days_before_the_request(
    ledger: Ledger, from_ns: int, until_ns: int, eligible: bool
) -> None:
    """A year, a second, 2020 and a period that ends after the request are not; the programme file allows a week."""
    ledger.clock.now_ns += DAY_NS
    period = {"period_from": at(from_ns), "period_until": at(until_ns)}
    found = send(ledger, request_match("carol", "120000", request_time=NOON, **period))
    assert (found.eligible, found.refused_because) == (eligible, "" if eligible else "MATCH_PERIOD_NOT_30_DAYS")
