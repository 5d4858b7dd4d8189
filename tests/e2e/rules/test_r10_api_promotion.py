"""R10, over gRPC: at least one promotion for API users each calendar month, and members share its bonus."""

from __future__ import annotations

import pytest

from ledger.domain.events import BonusAwarded, PromotionAnnounced
from ledger.domain.instants import DAY_NS, day_number
from ledger.v1.member_query_service_pb2 import CheckPromotionEligibilityRequest, ListMonthsWithoutPromotionRequest
from ledger.v1.read_pb2 import ReadAt
from tests.conftest import NOON_NS, Ledger, at
from tests.e2e.rules.log import events
from tests.server.calls import refused, send
from tests.server.instants import NOON
from tests.server.orders import bonus, promotion, publish, tier


def start_of(day: str) -> int:
    return day_number(day) * DAY_NS


def missing(ledger: Ledger, from_day: str, **read_at: object) -> list[str]:
    request = ListMonthsWithoutPromotionRequest(
        from_time=at(start_of(from_day)),
        at=ReadAt(**read_at),  # type: ignore[arg-type]
    )
    return list(ledger.member_queries.ListMonthsWithoutPromotion(request).months)


def test_a_month_that_is_over_without_one_is_found(ledger: Ledger) -> None:
    assert missing(ledger, "2024-07-31") == ["2024-07", "2024-08", "2024-09"]
    first_ns, last_ns = start_of("2024-08-01"), start_of("2024-09-01") - 1
    announced = send(ledger, promotion("a", start_time=at(last_ns), end_time=at(last_ns + 40 * DAY_NS)))
    send(ledger, promotion("b", "NET_BUY", start_time=at(start_of("2024-09-01")), end_time=NOON))
    assert missing(ledger, "2024-07-31") == ["2024-07", "2024-09"], "neither a long one nor another type counts"
    assert missing(ledger, "2024-08-31", known_at_position=announced.receipt.position - 1) == ["2024-08", "2024-09"]
    assert missing(ledger, "2024-07-01", as_of=at(first_ns - 1)) == []
    assert missing(ledger, "2024-07-01", as_of=at(first_ns)) == ["2024-07"]


def test_without_a_first_month_it_begins_with_the_first_promotion_known(ledger: Ledger) -> None:
    everything = ListMonthsWithoutPromotionRequest()
    assert list(ledger.member_queries.ListMonthsWithoutPromotion(everything).months) == []
    send(ledger, promotion("a", start_time=at(start_of("2024-07-15")), end_time=NOON))
    assert list(ledger.member_queries.ListMonthsWithoutPromotion(everything).months) == ["2024-08", "2024-09"]


def test_months_of_a_ledger_that_never_had_a_promotion_count_from_its_beginning(ledger: Ledger) -> None:
    later = ListMonthsWithoutPromotionRequest(at=ReadAt(as_of=at(start_of("2025-01-01"))))
    assert list(ledger.member_queries.ListMonthsWithoutPromotion(later).months) == ["2024-10", "2024-11", "2024-12"]


@pytest.mark.parametrize("kind", ["api_exclusiv", "API_EXCLUSIV", "api_exclusive", "NET_BUYS"])
def test_a_promotion_of_a_type_that_the_programme_does_not_know_is_refused(ledger: Ledger, kind: str) -> None:
    found = refused(ledger, promotion("october", kind))
    assert (found.reason, found.field) == ("PROMOTION_TYPE_UNKNOWN", "promotion_type")
    asked = CheckPromotionEligibilityRequest(account_id="alice", promotion_type=kind)
    assert ledger.member_queries.CheckPromotionEligibility(asked).refused_because == "PROMOTION_TYPE_UNKNOWN"


def test_where_the_programme_names_no_types_any_may_be_announced(ledger: Ledger) -> None:
    names = 'types = ["API_EXCLUSIVE", "NET_BUY", "BUY_SELL", "TRADING"]'
    send(ledger, publish("3.1", (names, "")))
    assert send(ledger, promotion("october", "ANYTHING")).receipt.position


def test_a_member_gets_its_bonus_once(ledger: Ledger) -> None:
    send(ledger, promotion("october"))
    send(ledger, tier("alice", "VIP2", valid_from=at(NOON_NS - 1)))
    assert not send(ledger, bonus("alice", "october", amount="10.0", award_time=NOON)).overridden
    assert refused(ledger, bonus("alice", "october")).reason == "BONUS_ALREADY_AWARDED"
    announced, awarded, *_ = events(ledger, "promotions")
    assert announced == PromotionAnnounced("october", "API_EXCLUSIVE", NOON_NS - DAY_NS, NOON_NS + DAY_NS)
    assert awarded == BonusAwarded("october", "alice", "10", "USDT", NOON_NS, "VIP2", False)
