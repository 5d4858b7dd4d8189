"""R17 over gRPC: an asset has one close per UTC day; a restatement names the close it replaces."""

from __future__ import annotations

from typing import Any

from ledger.domain.events import DailyCloseRecorded
from ledger.domain.instants import DAY_NS
from ledger.v1.evaluation_service_pb2 import ListClosesRequest
from ledger.v1.read_pb2 import ReadAt
from tests.conftest import NOON_NS, Ledger, at
from tests.e2e.rules.log import events
from tests.samples import FOUR_EYES
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
