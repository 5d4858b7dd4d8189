"""Grants that are recorded after they began, in every order with the run of an evaluation: the member pays the same.

600,000 are traded before the evaluation of 8 October, and a taker's fill of 1,000 ten hours after it, which is recorded
before the run: 2.5 at the base rate of 0.25 %. The run gives VIP2 (0.04 %) from the evaluation on.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

import pytest

from ledger.v1 import command_service_pb2 as commands
from ledger.v1 import evaluation_service_pb2 as evaluation
from ledger.v1 import fill_pb2, member_service_pb2, query_service_pb2
from ledger.v1.command_pb2 import Authority
from ledger.v1.control_service_pb2 import ListWithheldRequest
from tests.conftest import NOON_NS, Ledger, at
from tests.projections.audited import audit
from tests.samples import FOUR_EYES, batch, fill, request_id, symbol
from tests.server.calls import await_tables, send
from tests.server.orders import release_fact

HOUR_NS: Final = 3_600 * 10**9
EVALUATED_NS: Final = NOON_NS + 84 * HOUR_NS  # midnight of 8 October 2024
TRADED_NS: Final = EVALUATED_NS + 10 * HOUR_NS
EXEC_ID: Final = "EX"

Step = Callable[[Ledger], Any]


def trade(ledger: Ledger) -> None:
    late = fill(exec_id=EXEC_ID, last_px="0.5", last_qty="2000", transact_time=at(TRADED_NS))
    ledger.fills.RecordFills(batch(late))


def run(ledger: Ledger) -> None:
    await_tables(ledger)
    kind, instant = evaluation.EVALUATION_KIND_PERIODIC, at(EVALUATED_NS)
    send(ledger, evaluation.RunEvaluationRequest(**asks(), kind=kind, instant=instant))


def vip4(ledger: Ledger) -> None:
    send(ledger, commands.ChangeTierRequest(**asks("alice"), tier="VIP4", valid_from=at(EVALUATED_NS)))


def revoke_vip4(ledger: Ledger) -> None:
    """Revoke it from its start on; what that changes of lines that are posted waits for two persons."""
    send(ledger, commands.RevokeTierRequest(**asks("alice"), grant_id="g1", revoke_time=at(EVALUATED_NS)))


def trial(ledger: Ledger) -> None:
    send(ledger, commands.StartTrialRequest(**asks("alice"), start_time=at(EVALUATED_NS)))


def match(ledger: Ledger) -> None:
    """Of VIP4."""
    request = member_service_pb2.RequestMatchRequest(
        **asks("alice"),
        venues=["another-exchange"],
        external_tier="vip-4",
        period_from=at(EVALUATED_NS - 720 * HOUR_NS),
        period_until=at(EVALUATED_NS),
        external_volume=member_service_pb2.ExternalVolume(spot="6000000"),
        evidence_sha256=bytes(32),
        request_time=at(EVALUATED_NS),
    )
    match_id = send(ledger, request).match_id
    approval = {**asks("alice"), "authority": Authority(actor="ops-3", approver="ops-4", reason="agreed")}
    send(ledger, member_service_pb2.ApproveMatchRequest(**approval, match_id=match_id, approve_time=at(EVALUATED_NS)))


def asks(account_id: str = "") -> dict[str, Any]:
    of = {"account_id": account_id} if account_id else {}
    return {"request_id": request_id(), "authority": FOUR_EYES, **of}


def release(ledger: Ledger) -> None:
    """Release what is withheld."""
    for fact in send(ledger, ListWithheldRequest(account_id="alice")).facts:
        send(ledger, release_fact(fact.fact_position))


def order(fee: str, *steps: Step) -> Any:
    """What the fill costs after some steps."""
    return pytest.param(steps, fee, id="-".join(step.__name__ for step in steps))


@pytest.mark.parametrize(
    ("steps", "fee"),
    [
        order("0.4", trade, run),
        order("0.25", trade, run, vip4),
        order("0.25", trade, vip4, run),
        order("0.25", vip4, trade, run),
        order("0.3", trade, trial, run),
        order("0.3", trial, trade, run),
        order("0.25", trade, match, run),
        order("0.25", match, trade, run),
        order("0.25", vip4, trade, run, revoke_vip4),
        order("0.25", vip4, trade, revoke_vip4, run),
        order("0.4", vip4, trade, run, revoke_vip4, release),
        order("0.4", vip4, trade, revoke_vip4, run, release),
        order("0.4", vip4, trade, revoke_vip4, release, run),
        order("0.4", vip4, revoke_vip4, trade, run),
    ],
)
def test_a_fill_costs_what_is_known_whatever_was_recorded_first(
    ledger: Ledger, dsn: str, schema: str, steps: tuple[Step, ...], fee: str
) -> None:
    ledger.commands.RegisterSymbol(symbol("XRP_USDT"))
    ledger.fills.RecordFills(batch(fill(last_px="0.5", last_qty="1200000", transact_time=at(NOON_NS))))
    ledger.clock.now_ns = EVALUATED_NS + 12 * HOUR_NS
    for step in steps:
        step(ledger)
    day = at(TRADED_NS).ToJsonString()[:10]
    ref = fill_pb2.FillRef(account_id="alice", day=day, exec_id=EXEC_ID)
    found = ledger.queries.GetFill(query_service_pb2.GetFillRequest(fill_ref=ref))
    assert Decimal(found.line.fee_amount) == Decimal(fee), [each.fee_amount for each in found.adjustments]
    assert [str(each) for each in audit(dsn, schema)[0]] == []
