"""R15 over gRPC: what is bought and sold on spot through the API counts, each account's own side once."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.domain.events import VolumeRecorded
from ledger.domain.instants import DAY_NS
from ledger.v1.fill_pb2 import CHANNEL_APP, CHANNEL_UNSPECIFIED, CHANNEL_WEB, PRODUCT_FUTURES, SIDE_SELL
from ledger.v1.query_service_pb2 import GetRatesRequest
from ledger.v1.read_pb2 import ReadAt
from tests.conftest import NOON_NS, Ledger, at
from tests.samples import batch, fill, symbol
from tests.server.calls import send


@pytest.fixture(autouse=True)
def _symbol(ledger: Ledger) -> None:
    send(ledger, symbol())


def volume(ledger: Ledger, account_id: str = "alice", **read_at: Any) -> tuple[list[str], list[tuple[str, str]]]:
    rates = send(ledger, GetRatesRequest(account_id=account_id, at=ReadAt(**read_at)))
    excluded = [(one.reason, one.volume.notional) for one in rates.excluded]
    return [one.notional for one in rates.counted], excluded


def test_what_is_bought_and_what_is_sold_count_alike(ledger: Ledger) -> None:
    answer = ledger.fills.RecordFills(batch(fill(), fill(side=SIDE_SELL, last_qty="20")))
    assert volume(ledger) == (["15"], [])
    run = ledger.log.at(answer.position).event
    assert isinstance(run, VolumeRecorded)
    assert [(cell.notional, cell.lines) for cell in run.totals] == [("15", 2)]


def test_both_sides_of_a_trade_count_for_their_own_account(ledger: Ledger) -> None:
    ledger.fills.RecordFills(batch(fill(trade_id="T"), fill(trade_id="T", account_id="bob", side=SIDE_SELL)))
    assert volume(ledger) == volume(ledger, "bob") == (["5"], [])


@pytest.mark.parametrize("channel", [CHANNEL_WEB, CHANNEL_APP, CHANNEL_UNSPECIFIED])
def test_what_does_not_come_through_the_api_is_excluded(ledger: Ledger, channel: Any) -> None:
    ledger.fills.RecordFills(batch(fill(), fill(channel=channel, last_qty="40")))
    assert volume(ledger) == (["5"], [("NOT_API", "20")])


def test_a_fill_of_another_product_finds_no_rate(ledger: Ledger) -> None:
    answer = ledger.fills.RecordFills(batch(fill(product=PRODUCT_FUTURES)))
    assert [(entry.reason, entry.field) for entry in answer.refusals] == [(206, "product")]
    assert volume(ledger) == ([], [])


def test_volume_is_that_of_the_window_as_of_an_instant_and_as_known_at_a_position(ledger: Ledger) -> None:
    first = ledger.fills.RecordFills(batch(fill(transact_time=at(NOON_NS - 10 * DAY_NS))))
    ledger.fills.RecordFills(batch(fill(transact_time=at(NOON_NS - 5 * DAY_NS))))
    assert volume(ledger, as_of=at(NOON_NS)) == (["10"], [])
    assert volume(ledger, as_of=at(NOON_NS - 7 * DAY_NS)) == (["5"], [])
    assert volume(ledger, as_of=at(NOON_NS), known_at_position=first.position) == (["5"], [])
