"""F4: a better grant that is recorded late, its revocation and the run, in every order, over a service.

The fill, the run and the grants are those of tests/e2e/test_backdated_grants.py; here the revocation is also released
or declined.
"""

from __future__ import annotations

from decimal import Decimal

import pytest

from ledger.v1 import fill_pb2, query_service_pb2
from tests.conftest import NOON_NS, Ledger, at
from tests.e2e.test_backdated_grants import EVALUATED_NS, EXEC_ID, HOUR_NS, TRADED_NS, revoke_vip4, run, trade, vip4
from tests.properties import late_boundary as boundary
from tests.samples import batch, fill, symbol

ACCOUNT = "alice"


def release(ledger: Ledger) -> None:
    (position,) = boundary.withheld(ledger, ACCOUNT)
    boundary.release(ledger, ACCOUNT, position)


def decline(ledger: Ledger) -> None:
    (position,) = boundary.withheld(ledger, ACCOUNT)
    boundary.decline(ledger, ACCOUNT, position)


STEPS = {"trade": trade, "run": run, "vip4": vip4, "revoke": revoke_vip4, "release": release, "decline": decline}


@pytest.mark.parametrize(
    ("steps", "fee"),
    [
        ("vip4 trade revoke run", "0.25"),
        ("vip4 trade run revoke", "0.25"),
        ("vip4 trade revoke release", "2.5"),
        ("vip4 trade revoke release run", "0.4"),
        ("vip4 trade revoke run release", "0.4"),
        ("vip4 trade run revoke release", "0.4"),
        ("vip4 trade revoke decline run", "0.25"),
        ("vip4 trade run revoke decline", "0.25"),
        ("trade vip4 revoke run release", "0.4"),
        ("trade vip4 run revoke release", "0.4"),
    ],
)
def test_a_fill_costs_what_is_known_and_released_whatever_was_recorded_first(
    ledger: Ledger, steps: str, fee: str
) -> None:
    ledger.commands.RegisterSymbol(symbol("XRP_USDT"))
    ledger.fills.RecordFills(batch(fill(last_px="0.5", last_qty="1200000", transact_time=at(NOON_NS))))
    ledger.clock.now_ns = EVALUATED_NS + 12 * HOUR_NS
    for name in steps.split():
        STEPS[name](ledger)
    ref = fill_pb2.FillRef(account_id=ACCOUNT, day=at(TRADED_NS).ToJsonString()[:10], exec_id=EXEC_ID)
    found = ledger.queries.GetFill(query_service_pb2.GetFillRequest(fill_ref=ref))
    assert Decimal(found.line.fee_amount) == Decimal(fee), [each.fee_amount for each in found.adjustments]
