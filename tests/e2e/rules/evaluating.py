"""Evaluations over gRPC: volume that is worth a tier, closes, runs, and what they gave."""

from __future__ import annotations

from typing import Any, Final

from ledger.domain.events import VolumeEvaluated
from ledger.domain.instants import DAY_NS, SECOND_NS
from ledger.v1 import evaluation_service_pb2 as pb
from tests.conftest import NOON_NS, Ledger, at
from tests.e2e.rules.log import events
from tests.samples import FOUR_EYES, batch, fill, request_id
from tests.server.calls import await_tables

CALL_S_MAX: Final = 20
DUE_NS: Final = NOON_NS + 3 * DAY_NS + DAY_NS // 2  # 2024-10-08, the next evaluation after the tests' clock starts
FROM_NS: Final = DUE_NS - 30 * DAY_NS


def trade(ledger: Ledger, volume: str, at_ns: int = NOON_NS, account_id: str = "alice", **changes: Any) -> None:
    """One API fill of so much volume, in XRP_USDT unless another symbol is given."""
    ledger.clock.now_ns = max(ledger.clock.now_ns, at_ns)
    record = fill(account_id=account_id, last_px="1", last_qty=volume, transact_time=at(at_ns), **changes)
    answer = ledger.fills.RecordFills(batch(record))
    assert answer.recorded == 1, answer


def run(ledger: Ledger, **changes: Any) -> list[pb.RunEvaluationResponse]:
    """All messages of a run, once the tables are there; the clock is at least at the instant of the next evaluation."""
    ledger.clock.now_ns = max(ledger.clock.now_ns, DUE_NS + SECOND_NS)
    await_tables(ledger)
    values = {"request_id": request_id(), "authority": FOUR_EYES, **changes}
    return list(ledger.evaluations.RunEvaluation(pb.RunEvaluationRequest(**values), timeout=CALL_S_MAX))


def counts(messages: list[pb.RunEvaluationResponse]) -> dict[str, int]:
    """Counts of a run that are not zero, by name."""
    found = messages[-1].counts
    return {field.name: value for field, value in found.ListFields() if isinstance(value, int)}


def plan(ledger: Ledger, **changes: Any) -> list[pb.PlannedAccount]:
    """The accounts of a plan, once the tables are there."""
    await_tables(ledger)
    messages = ledger.evaluations.PlanEvaluation(pb.PlanEvaluationRequest(**changes), timeout=CALL_S_MAX)
    return [account for message in messages for account in message.accounts]


def evaluated(ledger: Ledger, account_id: str = "alice") -> list[VolumeEvaluated]:
    """What was evaluated of an account, oldest first."""
    return [event for event in events(ledger, f"account/{account_id}") if isinstance(event, VolumeEvaluated)]
