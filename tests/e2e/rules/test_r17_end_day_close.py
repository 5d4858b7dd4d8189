"""R17 over gRPC: an asset has one close per UTC day; a restatement names the close it replaces."""

from __future__ import annotations

from typing import Any

from ledger.domain.events import DailyCloseRecorded
from ledger.domain.instants import DAY_NS
from ledger.v1.evaluation_service_pb2 import ListClosesRequest, RunEvaluationRequest
from ledger.v1.query_service_pb2 import GetRatesRequest
from ledger.v1.read_pb2 import ReadAt
from tests.conftest import NOON_NS, Ledger, at
from tests.e2e.rules.evaluating import DUE_NS, counts, evaluated, plan, run, trade
from tests.e2e.rules.log import events
from tests.samples import FOUR_EYES, state, symbol
from tests.server.calls import refused, send
from tests.server.orders import close

TODAY_NS = NOON_NS - DAY_NS // 2  # where 2024-10-03 ends


def prices(ledger: Ledger, *, restated: bool = False, **read_at: Any) -> list[str]:
    request = ListClosesRequest(asset="BTC", include_restated=restated, at=ReadAt(**read_at))
    return [found.price for found in send(ledger, request).closes]


def test_a_close_is_recorded_with_where_it_comes_from(ledger: Ledger) -> None:
    answer = send(ledger, close("BTC", "2024-10-03", "60000.50"))
    assert events(ledger, "closes/BTC") == [
        DailyCloseRecorded("BTC", "USDT", 19_999, "60000.5", "binance-1d", b"\x01" * 32)
    ]
    (found,) = send(ledger, ListClosesRequest()).closes
    assert found == answer.close
    assert (found.day, found.currency, found.price, found.restates) == ("2024-10-03", "USDT", "60000.5", 0)


def test_a_close_is_of_a_day_that_has_ended(ledger: Ledger) -> None:
    ledger.clock.now_ns = TODAY_NS + DAY_NS - 1
    assert refused(ledger, close("BTC", "2024-10-04")).reason == "CLOSE_DAY_NOT_OVER"
    ledger.clock.now_ns = TODAY_NS + DAY_NS
    assert send(ledger, close("BTC", "2024-10-04")).receipt.position


def test_a_day_has_one_close_until_a_restatement_names_it(ledger: Ledger) -> None:
    first = send(ledger, close("BTC", price="60000")).close
    assert refused(ledger, close("BTC", price="61000")).reason == "CLOSE_ALREADY_RECORDED"
    assert refused(ledger, close("BTC", price="61000", restates=first.position)).reason == "ACTOR_REQUIRED"
    second = send(ledger, close("BTC", price="61000", restates=first.position, authority=FOUR_EYES)).close
    again = close("BTC", price="62000", restates=first.position, authority=FOUR_EYES)
    assert refused(ledger, again).reason == "CLOSE_UNKNOWN"
    assert prices(ledger) == ["61000"]
    assert prices(ledger, restated=True) == ["60000", "61000"]
    old, new = send(ledger, ListClosesRequest(include_restated=True)).closes
    assert (old.restated_by, new.restates) == (second.position, first.position)


def test_closes_are_read_as_they_were_known(ledger: Ledger) -> None:
    first = send(ledger, close("BTC", price="60000")).close
    send(ledger, close("BTC", price="61000", restates=first.position, authority=FOUR_EYES))
    assert prices(ledger, known_at_position=first.position - 1) == []
    assert prices(ledger, known_at_position=first.position) == ["60000"]
    assert prices(ledger, as_of=at(TODAY_NS)) == ["61000"]
    assert prices(ledger, as_of=at(TODAY_NS - 1)) == [], "the day had not ended"


def test_a_close_is_in_a_currency_that_volume_is_counted_in(ledger: Ledger) -> None:
    assert refused(ledger, close("BTC", currency="EUR")).reason == "VOLUME_CURRENCY_UNKNOWN"
    assert send(ledger, close("BTC", currency="USDT")).close.currency == "USDT"


def test_closes_of_some_days_are_asked_for(ledger: Ledger) -> None:
    for day in ("2024-10-03", "2024-10-01", "2024-10-02"):
        send(ledger, close("BTC", day))
    send(ledger, close("ETH", "2024-10-02"))
    request = ListClosesRequest(from_day="2024-10-02", until_day="2024-10-03")
    assert [(found.asset, found.day) for found in send(ledger, request).closes] == [
        ("BTC", "2024-10-02"),
        ("ETH", "2024-10-02"),
    ]


DAY = "2024-10-04"  # of the fills


def two_markets(ledger: Ledger) -> None:
    """Alice trades 2 BTC worth of XRP_BTC, bob 100,000 USDT of XRP_USDT; both are due for evaluation."""
    send(ledger, symbol(price_scale=2, quantity_scale=2))
    send(ledger, symbol("XRP_BTC"))
    trade(ledger, "2", symbol="XRP_BTC")
    trade(ledger, "100000", account_id="bob")
    ledger.clock.now_ns = DUE_NS + DAY_NS


def test_volume_in_btc_counts_at_the_close_of_the_day_it_was_traded_on(ledger: Ledger) -> None:
    two_markets(ledger)
    used = send(ledger, close("BTC", DAY, "50000")).close
    send(ledger, close("BTC", "2024-10-05", "90000"))
    assert counts(run(ledger)) == {"evaluated": 2, "gained": 2, "granted": 2}
    (event,) = evaluated(ledger)
    assert (event.volume, event.tier) == ("100000", "VIP1")
    assert [(one.asset, one.day, one.price, one.position) for one in event.closes] == [
        ("BTC", 20_000, "50000", used.position)
    ]


def test_a_missing_close_blocks_those_who_need_it_alone_until_a_later_run(ledger: Ledger) -> None:
    two_markets(ledger)
    (alice, bob) = plan(ledger, instant=at(DUE_NS))
    assert (alice.movement, alice.volume, alice.tier_after) == ("BLOCKED", "", "")
    assert [(one.asset, one.day) for one in alice.missing_closes] == [("BTC", DAY)]
    assert (bob.movement, bob.tier_after) == ("GAINED", "VIP1")
    messages = run(ledger)
    assert counts(messages) == {"evaluated": 1, "gained": 1, "granted": 1, "blocked": 1}
    assert [one.account_id for message in messages for one in message.blocked] == ["alice"]
    assert [(one.asset, one.day) for one in messages[-1].counts.missing_closes] == [("BTC", DAY)]
    assert (evaluated(ledger), len(evaluated(ledger, "bob"))) == ([], 1)
    waiting, settled = (state(ledger, name, as_of=at(DUE_NS + DAY_NS)) for name in ("alice", "bob"))
    assert (waiting.evaluation_pending, settled.evaluation_pending) == (True, False)
    send(ledger, close("BTC", DAY, "50000"))
    assert counts(run(ledger)) == {"evaluated": 1, "gained": 1, "granted": 1}
    assert [event.tier for event in evaluated(ledger)] == ["VIP1"]
    assert len(evaluated(ledger, "bob")) == 1
    assert not state(ledger, as_of=at(DUE_NS + DAY_NS)).evaluation_pending


def test_a_restatement_leaves_evaluations_as_they_are(ledger: Ledger) -> None:
    two_markets(ledger)
    first = send(ledger, close("BTC", DAY, "50000")).close
    run(ledger)
    send(ledger, close("BTC", DAY, "1", restates=first.position, authority=FOUR_EYES))
    assert refused(ledger, RunEvaluationRequest(request_id="again", authority=FOUR_EYES)).reason == (
        "EVALUATION_ALREADY_COMPLETED"
    )
    (event,) = evaluated(ledger)
    assert (event.closes[0].price, event.closes[0].position) == ("50000", first.position)


def test_a_restated_close_counts_for_evaluations_after_it(ledger: Ledger) -> None:
    two_markets(ledger)
    first = send(ledger, close("BTC", DAY, "1")).close
    send(ledger, close("BTC", DAY, "50000", restates=first.position, authority=FOUR_EYES))
    run(ledger)
    assert [event.volume for event in evaluated(ledger)] == ["100000"]


def test_rates_say_what_the_volume_so_far_is_worth_and_which_closes_it_lacks(ledger: Ledger) -> None:
    two_markets(ledger)
    ledger.clock.now_ns = NOON_NS + DAY_NS
    request = GetRatesRequest(account_id="alice", at=ReadAt(as_of=at(NOON_NS + DAY_NS)))
    lacking = send(ledger, request)
    assert [(one.asset, one.day) for one in lacking.missing_closes] == [("BTC", DAY)]
    assert (lacking.volume, lacking.projected_tier) == ("", "")
    known = send(ledger, close("BTC", DAY, "50000")).receipt.position
    assert (send(ledger, request).volume, send(ledger, request).projected_tier) == ("100000", "VIP1")
    request.at.known_at_position = known - 1
    assert send(ledger, request).volume == ""


def test_a_day_that_has_not_ended_takes_the_close_before_it(ledger: Ledger) -> None:
    """A30, for what the volume so far is worth."""
    two_markets(ledger)
    send(ledger, close("BTC", "2024-10-03", "60000"))
    assert send(ledger, GetRatesRequest(account_id="alice", at=ReadAt(as_of=at(NOON_NS)))).volume == "120000"
