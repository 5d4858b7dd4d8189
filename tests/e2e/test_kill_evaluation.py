"""A run of an evaluation is killed half way, and goes on: every account is evaluated, and evaluated once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import grpc
import pytest

from ledger.client import Client
from ledger.domain.instants import DAY_NS
from ledger.domain.rules.evaluation_days import last_evaluation_ns
from ledger.domain.state.programme import Programme
from ledger.programmes import packaged, parse
from ledger.v1 import evaluation_service_pb2 as pb
from ledger.v1.evaluation_service_pb2_grpc import EvaluationServiceStub
from tests.conftest import at
from tests.e2e.served import WAIT_S_MAX, Served, started
from tests.samples import FOUR_EYES, fill

ACCOUNTS = 30_000
CHUNK = 5_000  # of them in a commit
A_REQUEST = 10_000
BY_HAND = {"actor": "ops-1", "approver": "ops-2", "reason": "agreed"}


@pytest.fixture
def served() -> Iterator[Served]:
    with started() as service:
        yield service


def last_due_ns(ledger: Client) -> int:
    programme: Programme = parse(packaged())
    recorded = ledger.get_ledger_info().recorded_time
    return last_evaluation_ns(programme, recorded.seconds * 10**9)


def order(request_id: str) -> pb.RunEvaluationRequest:
    return pb.RunEvaluationRequest(request_id=request_id, authority=FOUR_EYES)


def test_each_account_is_evaluated_once_however_often_the_service_is_killed(served: Served) -> None:
    with Client(served.address, timeout_s=WAIT_S_MAX) as ledger:
        ledger.register_symbol(
            "XRP_USDT", base_currency="XRP", quote_currency="USDT", price_scale=2, quantity_scale=2, pair_class="A"
        )
        time = at(last_due_ns(ledger) - DAY_NS)
        names = [f"account{number:05}" for number in range(ACCOUNTS)]
        fills = [
            fill(account_id=name, last_px="1", last_qty=str(100_000 + number), transact_time=time)
            for number, name in enumerate(names)
        ]
        for first in range(0, ACCOUNTS, A_REQUEST):
            ledger.record_fills(fills[first : first + A_REQUEST])
        for name in names[:: ACCOUNTS // 20]:  # these have another tier before
            ledger.change_tier(name, tier="VIP2", valid_from=time.ToNanoseconds(), **BY_HAND)
    kill_in_the_middle(served, "first")
    began = kill_in_the_middle(served, "another", at_least=2 * CHUNK)
    evaluations = EvaluationServiceStub(served.channel)
    *_, last = evaluations.RunEvaluation(order("first"), wait_for_ready=True, timeout=WAIT_S_MAX)
    counts = last.counts
    assert (counts.evaluated, counts.gained, counts.down, counts.blocked) == (ACCOUNTS, ACCOUNTS - 20, 20, 0)
    assert last.evaluation.read_position == began.evaluation.read_position
    with Client(served.address, timeout_s=WAIT_S_MAX) as ledger:
        events = list(ledger.list_events(after_position=began.evaluation.read_position))
        topics = Counter(event.topic for event in events)
        assert (topics["VolumeEvaluated"], topics["EvaluationCompleted"]) == (ACCOUNTS, 1)
        evaluated = [event for event in events if event.topic == "VolumeEvaluated"]
        assert len({event.stream for event in evaluated}) == ACCOUNTS, "each account once"
        assert len({event.recorded_time.ToNanoseconds() for event in evaluated}) == ACCOUNTS // CHUNK, "at once"
        assert {account.account_id for account in ledger.list_accounts(tier="VIP1", min_position=ledger.position)}


def kill_in_the_middle(served: Served, request_id: str, at_least: int = 1) -> pb.RunEvaluationResponse:
    """Run until some accounts are looked at, then kill the service without a farewell, and start it again."""
    evaluations = EvaluationServiceStub(served.channel)
    messages = evaluations.RunEvaluation(order(request_id), wait_for_ready=True, timeout=WAIT_S_MAX)
    message = next(message for message in messages if message.looked_at >= at_least)
    with pytest.raises(grpc.RpcError, match="EVALUATION_RUNNING"):
        list(evaluations.RunEvaluation(order("beside"), timeout=WAIT_S_MAX))
    assert not message.HasField("counts"), "the run was over before anything could be killed"
    served.kill()
    with pytest.raises(grpc.RpcError):
        list(messages)
    served.start()
    return message
