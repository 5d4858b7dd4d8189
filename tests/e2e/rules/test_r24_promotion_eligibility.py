"""R24, over gRPC: members have limited eligibility for some promotions; a specialist may make an exception."""

from __future__ import annotations

from ledger.domain.events import BonusAwarded
from ledger.v1.member_query_service_pb2 import CheckPromotionEligibilityRequest
from ledger.v1.read_pb2 import ReadAt
from tests.conftest import NOON_NS, Ledger, at
from tests.e2e.rules.log import events
from tests.server.calls import refused, send
from tests.server.instants import A_DAY_AGO, NOON
from tests.server.orders import bonus, flag, promotion, tier


def checked(ledger: Ledger, promotion_type: str, **read_at: object) -> tuple[bool, str, str]:
    request = CheckPromotionEligibilityRequest(
        account_id="alice",
        promotion_type=promotion_type,
        at=ReadAt(**read_at),  # type: ignore[arg-type]
    )
    found = ledger.member_queries.CheckPromotionEligibility(request)
    return found.eligible, found.refused_because, found.tier


def test_members_may_take_part_but_not_in_competitions_of_buying(ledger: Ledger) -> None:
    granted = send(ledger, tier("alice", "VIP2", valid_from=A_DAY_AGO, valid_until=NOON))
    before, position = {"as_of": at(NOON_NS - 1)}, granted.receipt.position
    denied = (False, "PROMOTION_NOT_ELIGIBLE")
    assert checked(ledger, "API_EXCLUSIVE", **before) == (True, "", "VIP2")
    assert checked(ledger, "NET_BUY", **before) == (*denied, "VIP2")
    assert checked(ledger, "BUY_SELL", **before) == (*denied, "VIP2")
    assert checked(ledger, "API_EXCLUSIVE", as_of=NOON) == (*denied, "NONE")
    assert checked(ledger, "API_EXCLUSIVE", known_at_position=position - 1, **before) == (*denied, "NONE")
    send(ledger, flag("alice", flag_time=at(NOON_NS - 1)))
    assert checked(ledger, "API_EXCLUSIVE", **before) == (False, "ACCOUNT_FLAGGED", "NONE")


def test_an_exception_needs_two_persons_and_is_recorded_as_one(ledger: Ledger) -> None:
    send(ledger, promotion("buyers", "NET_BUY"))
    send(ledger, tier("alice", valid_from=A_DAY_AGO))
    assert refused(ledger, bonus("alice", "buyers", award_time=NOON)).reason == "PROMOTION_NOT_ELIGIBLE"
    alone = {"actor": "ops-7"}
    found = refused(ledger, bonus("alice", "buyers", award_time=NOON, override=True, authority=alone))
    assert (found.reason, found.field) == ("APPROVER_REQUIRED", "authority.approver")
    assert send(ledger, bonus("alice", "buyers", award_time=NOON, override=True)).overridden
    (awarded,) = (event for event in events(ledger, "promotions") if isinstance(event, BonusAwarded))
    assert awarded == BonusAwarded("buyers", "alice", "10", "USDT", NOON_NS, "VIP1", True)


def test_no_exception_is_recorded_where_none_was_needed(ledger: Ledger) -> None:
    send(ledger, promotion("october"))
    send(ledger, tier("alice", valid_from=A_DAY_AGO))
    assert not send(ledger, bonus("alice", "october", award_time=NOON, override=True)).overridden
