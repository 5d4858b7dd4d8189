"""R16 over gRPC: maker and taker of one owner give no volume."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.domain.events import VolumeRecorded
from ledger.v1.query_service_pb2 import GetRatesRequest
from ledger.v1.read_pb2 import ReadAt
from tests.conftest import NOON_NS, Ledger, at
from tests.samples import batch, fill, history, symbol
from tests.server.calls import refused, send
from tests.server.orders import family, register


@pytest.fixture(autouse=True)
def _family(ledger: Ledger) -> None:
    send(ledger, symbol())
    for request in family("acme", "alice", "alice-2"):
        send(ledger, request)


def volume(ledger: Ledger, **read_at: Any) -> tuple[list[str], list[tuple[str, str]]]:
    rates = send(ledger, GetRatesRequest(account_id="alice", at=ReadAt(**read_at)))
    excluded = [(one.reason, one.volume.notional) for one in rates.excluded]
    return [one.notional for one in rates.counted], excluded


def test_a_trade_between_accounts_of_one_owner_is_charged_and_not_counted(ledger: Ledger) -> None:
    """A27: the engine says who owns the other side; where it says nothing, nothing is guessed."""
    answer = ledger.fills.RecordFills(
        batch(fill(), fill(counterparty_owner_id="acme"), fill(counterparty_owner_id="b"))
    )
    run = ledger.log.at(answer.position).event
    assert isinstance(run, VolumeRecorded)
    assert [(cell.key.self_trade, cell.notional) for cell in run.totals] == [(False, "10"), (True, "5")]
    assert [line.self_trade for line in history(ledger)] == [False, True, False]
    assert {fee.fee_amount for fee in answer.fees} == {"0.0125"}
    assert volume(ledger) == (["10"], [("SELF_TRADE", "5")])


def test_the_volume_is_a_reading_at_any_instant(ledger: Ledger) -> None:
    answer = ledger.fills.RecordFills(batch(fill(counterparty_owner_id="acme")))
    assert volume(ledger, as_of=at(NOON_NS - 1)) == ([], [])
    assert volume(ledger, known_at_position=answer.position - 1) == ([], [])
    assert volume(ledger, as_of=at(NOON_NS)) == ([], [("SELF_TRADE", "5")])


def test_an_owner_is_registered_once_so_that_nobody_leaves_a_family_to_trade_with_it(ledger: Ledger) -> None:
    assert refused(ledger, register("alice-2", "somebody-else")).reason == "ACCOUNT_ALREADY_REGISTERED"
