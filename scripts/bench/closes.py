"""How long a plan and a look at rates take in a ledger that has recorded daily closes for years."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final

import grpc

from ledger.domain.instants import DAY_NS, day_text
from ledger.v1.command_pb2 import Authority
from ledger.v1.evaluation_service_pb2 import PlanEvaluationRequest, RecordDailyCloseRequest
from ledger.v1.evaluation_service_pb2_grpc import EvaluationServiceStub
from ledger.v1.fill_service_pb2 import RecordFillsRequest
from ledger.v1.fill_service_pb2_grpc import FillServiceStub
from ledger.v1.query_service_pb2 import GetRatesRequest
from ledger.v1.query_service_pb2_grpc import QueryServiceStub
from scripts.bench.fills import MARKETS, messages_of, reference_fills
from scripts.bench.service import CALL_SECONDS_MAX, ledger, register
from scripts.bench.store import Store, check
from scripts.bench.tables import wait_for_tables

ASSETS: Final = 20
_OTHERS: Final = tuple(f"X{number:02}" for number in range(1, ASSETS))
_CALLERS: Final = 32
_TIMES: Final = 5
_FILLS: Final = len(MARKETS)


class Closes:
    """Closes of ASSETS assets on so many days; one account has traded, against one of the assets too."""

    def __init__(self, days: int) -> None:
        self._days = days
        self.settings: Mapping[str, object] = {"closes_assets": ASSETS, "closes_days": days}

    def run(self, store: Store, schema: str) -> dict[str, float]:
        """One round: the medians of a few calls, without closes and with them."""
        (fills,) = reference_fills(_FILLS, 1)
        rows = list(messages_of(fills))
        (quote,) = {market.quote for market in MARKETS} - {"USDT"}
        day = max(fill.transact_time.ToNanoseconds() for fill in rows) // DAY_NS
        with ledger(store, schema) as served:
            register(served.channel)
            FillServiceStub(served.channel).RecordFills(RecordFillsRequest(fills=rows), timeout=CALL_SECONDS_MAX)
            wait_for_tables(store, schema)
            calls = _calls(served.channel, rows[0].account_id)
            before = {name: _ms(call) for name, call in calls.items()}
            _record(served.channel, (quote, *_OTHERS), day, self._days)
            wait_for_tables(store, schema)
            after = {name: _ms(call) for name, call in calls.items()}
        return {
            **{f"closes.{name}_ms": after[name] for name in calls},
            **{f"closes.none.{name}_ms": before[name] for name in calls},
        }


def _calls(channel: grpc.Channel, account_id: str) -> dict[str, Callable[[], Any]]:
    evaluations, queries = EvaluationServiceStub(channel), QueryServiceStub(channel)
    return {
        "plan": lambda: list(evaluations.PlanEvaluation(PlanEvaluationRequest(), timeout=CALL_SECONDS_MAX)),
        "rates": partial(queries.GetRates, GetRatesRequest(account_id=account_id), timeout=CALL_SECONDS_MAX),
    }


def _record(channel: grpc.Channel, assets: tuple[str, ...], day: int, days: int) -> None:
    """Record closes of the days up to one."""
    stub, authority = EvaluationServiceStub(channel), Authority(actor="bench", approver="bench-2")
    requests = [
        RecordDailyCloseRequest(
            request_id=f"{asset}-{number}",
            authority=authority,
            asset=asset,
            day=day_text(day - number),
            price=str(50_000 + number),
            source="bench",
            source_sha256=bytes(32),
        )
        for number in range(days)
        for asset in assets
    ]
    with ThreadPoolExecutor(_CALLERS) as pool:
        answers = pool.map(partial(stub.RecordDailyClose, timeout=CALL_SECONDS_MAX), requests)
        check(all(answer.HasField("close") for answer in answers), "a close was not recorded")


def _ms(call: Callable[[], Any]) -> float:
    took = []
    for _ in range(_TIMES):
        began_s = time.perf_counter()
        call()
        took.append((time.perf_counter() - began_s) * 1_000)
    return statistics.median(took)
