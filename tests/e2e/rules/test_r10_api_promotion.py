"""R10, over gRPC: at least one promotion for API users each calendar month, and members share its bonus."""

from __future__ import annotations

from ledger.domain.events import BonusAwarded, PromotionAnnounced
from ledger.domain.instants import DAY_NS, day_number
from ledger.v1.member_query_service_pb2 import ListMonthsWithoutPromotionRequest
from ledger.v1.read_pb2 import ReadAt
from tests.conftest import NOON_NS, Ledger, at
from tests.e2e.rules.log import events
from tests.server.calls import refused, send
from tests.server.instants import NOON
from tests.server.orders import bonus, promotion, tier


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


def test_a_member_gets_its_bonus_once(ledger: Ledger) -> None:
    send(ledger, promotion("october"))
    send(ledger, tier("alice", "VIP2", valid_from=at(NOON_NS - 1)))
    assert not send(ledger, bonus("alice", "october", amount="10.0", award_time=NOON)).overridden
    assert refused(ledger, bonus("alice", "october")).reason == "BONUS_ALREADY_AWARDED"
    announced, awarded, *_ = events(ledger, "promotions")
    assert announced == PromotionAnnounced("october", "API_EXCLUSIVE", NOON_NS - DAY_NS, NOON_NS + DAY_NS)
    assert awarded == BonusAwarded("october", "alice", "10", "USDT", NOON_NS, "VIP2", False)
