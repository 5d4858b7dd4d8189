"""Fills that the state of the ledger refuses, one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pytest

from ledger.domain.refusal import Reason
from tests.conftest import Ledger
from tests.samples import batch, fill, history
from tests.server.good_requests import a_new
from tests.server.instants import BEFORE_NOON

DENIED_FILLS: Final[Sequence[tuple[str, Mapping[str, Any], Reason, str]]] = [
    ("unknown symbol", {"symbol": "NO_SUCH"}, Reason.SYMBOL_UNKNOWN, "symbol"),
    ("symbol in small letters", {"symbol": "xrp_usdt"}, Reason.SYMBOL_UNKNOWN, "symbol"),
    ("symbol of later", {"symbol": "LATE_USDT", "transact_time": BEFORE_NOON}, Reason.SYMBOL_UNKNOWN, "symbol"),
    ("price too fine", {"last_px": "0.500000001"}, Reason.PRICE_TOO_FINE, "last_px"),
    ("quantity too fine", {"last_qty": "10.00001"}, Reason.QUANTITY_TOO_FINE, "last_qty"),
    ("both too fine", {"last_px": "0.500000001", "last_qty": "10.00001"}, Reason.PRICE_TOO_FINE, "last_px"),
    ("futures", {"product": 2}, Reason.PRODUCT_WITHOUT_RATES, "product"),
    ("symbol of futures", {"symbol": "XRP_FUTURES"}, Reason.PRODUCT_WITHOUT_RATES, "product"),
]


@pytest.mark.parametrize(("kind", "changes", "reason", "field"), DENIED_FILLS, ids=[row[0] for row in DENIED_FILLS])
def test_a_fill_refused_by_the_state_is_refused_alone(
    markets: Ledger, kind: str, changes: Mapping[str, Any], reason: Reason, field: str
) -> None:
    account = a_new("fills")
    request = batch(fill(account_id=account), fill(account_id=account, **changes), fill(account_id=account))
    answer = markets.fills.RecordFills(request)
    assert [(found.index, found.reason, found.field) for found in answer.refusals] == [(1, reason.value, field)]
    assert (answer.recorded, answer.replayed) == (2, 0)
    assert [bool(fee.fee_amount) for fee in answer.fees] == [True, False, True]
    assert [line.fill_ref.exec_id for line in history(markets, account)] == [
        request.fills[0].exec_id,
        request.fills[2].exec_id,
    ]
    again = markets.fills.RecordFills(request)
    assert (again.recorded, again.replayed, list(again.refusals)) == (0, 2, list(answer.refusals))
    assert again.position == answer.position
