"""R3 over gRPC: half-open bands of volume, each with its tier."""

from __future__ import annotations

import pytest

from ledger.domain.events import VolumeRecorded
from ledger.v1.query_service_pb2 import GetRatesRequest
from ledger.v1.read_pb2 import ReadAt
from tests.conftest import NOON_NS, Ledger, at
from tests.samples import batch, fill, symbol
from tests.server.calls import refused, send
from tests.server.orders import tier

LEAST = "0.0001"  # the least quantity of the symbol


def trade(ledger: Ledger, volume: str, at_ns: int = NOON_NS) -> int:
    answer = ledger.fills.RecordFills(batch(fill(last_px="1", last_qty=volume, transact_time=at(at_ns))))
    assert answer.recorded == 1, answer
    return int(answer.position)


def projected(ledger: Ledger, **read_at: int) -> str:
    answer = send(ledger, GetRatesRequest(account_id="alice", at=ReadAt(**read_at)))  # type: ignore[arg-type]
    return str(answer.projected_tier)


@pytest.mark.parametrize(
    ("below", "edge_tier", "tier_below"),
    [
        ("99999.9999", "VIP1", "NONE"),
        ("499999.9999", "VIP2", "VIP1"),
        ("1999999.9999", "VIP3", "VIP2"),
        ("4999999.9999", "VIP4", "VIP3"),
        ("19999999.9999", "VIP5", "VIP4"),
        ("49999999.9999", "VIP5", "VIP5"),  # above the table the best tier stays (A4)
    ],
)
def test_a_band_begins_at_its_least_volume_as_known_at_each_position(
    ledger: Ledger, below: str, edge_tier: str, tier_below: str
) -> None:
    send(ledger, symbol())
    before = trade(ledger, below)
    assert projected(ledger) == tier_below
    position = trade(ledger, LEAST)
    assert projected(ledger) == edge_tier
    assert projected(ledger, known_at_position=before) == tier_below
    run = ledger.log.at(position).event
    assert isinstance(run, VolumeRecorded)
    assert len(run) == 1


def test_a_tier_that_no_band_has_is_refused(ledger: Ledger) -> None:
    refusal = refused(ledger, tier("alice", "VIP6"))
    assert (refusal.reason, refusal.field) == ("TIER_UNKNOWN", "tier")
