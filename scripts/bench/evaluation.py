"""How fast volume is evaluated, beside one plain SQL GROUP BY over the same account-days."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from typing import Any, Final

import grpc

from ledger import programmes
from ledger.domain.instants import DAY_NS, SECOND_NS, day_text
from ledger.domain.rules.evaluation_days import last_evaluation_ns
from ledger.v1 import evaluation_service_pb2 as pb
from ledger.v1 import query_service_pb2, query_service_pb2_grpc
from ledger.v1.command_pb2 import Authority
from ledger.v1.evaluation_service_pb2_grpc import EvaluationServiceStub
from projections.tables.tables import read_schema
from scripts.bench.service import ledger
from scripts.bench.store import Failed, Store, check

DAYS: Final = 3  # on which each account has traded
_WAIT_SECONDS_MAX: Final = 60

# Account `number` has traded 1,000 x (number modulo 1,000) + 1 USDT on each of its days: tiers up to VIP3.
_GENERATE: Final = """
INSERT INTO {read}.accounts SELECT 'account' || lpad(n::text, 8, '0'), 'account' || lpad(n::text, 8, '0'), '', false
    FROM generate_series(0, {accounts} - 1) AS n;
INSERT INTO {read}.volume_days SELECT 'account' || lpad(n::text, 8, '0'), d::date, 'USDT', 'SPOT', 'API', false, false,
    false, 1000 * (n % 1000) + 1, 10
    FROM generate_series(0, {accounts} - 1) AS n, unnest(ARRAY[{days}]) AS d;
INSERT INTO {read}.fee_days SELECT 'account' || lpad(n::text, 8, '0'), d::date, 'USDT', 1, 0, 0, 10, 1
    FROM generate_series(0, {accounts} - 1) AS n, unnest(ARRAY[{days}]) AS d;
ANALYZE {read}.accounts; ANALYZE {read}.volume_days; ANALYZE {read}.fee_days;
"""
_GROUP_BY: Final = """
SELECT count(*), sum(volume) FROM (
    SELECT account_id, sum(notional) AS volume FROM {read}.volume_days
    WHERE day >= '{first}' AND day < '{end}' AND product = 'SPOT' AND channel = 'API' AND NOT self_trade AND NOT banned
    GROUP BY account_id
) AS found
"""


class Evaluation:
    """One evaluation of accounts that were made below the API, by a service in a process of its own."""

    def __init__(self, accounts: int) -> None:
        self._accounts = accounts
        self.settings: Mapping[str, object] = {"evaluated_accounts": accounts, "active_days_per_account": DAYS}

    def run(self, store: Store, schema: str) -> dict[str, float]:
        """One round on a fresh schema."""
        with ledger(store, schema) as served:
            due_ns = last_evaluation_ns(programmes.parse(programmes.packaged()), _await_tables(served.channel))
            self._generate(store, schema, due_ns)
            store.checkpoint()
            seconds, counts = evaluate(served.channel)
        self.verify(store, schema, counts)
        grouped_s = self._group_by(store, schema, due_ns)
        return {
            "evaluation.accounts_per_s": self._accounts / seconds,
            "limit.group_by_accounts_per_s": self._accounts / grouped_s,
            "ratio.evaluation_to_group_by": grouped_s / seconds,
        }

    def _generate(self, store: Store, schema: str, due_ns: int) -> None:
        days = ", ".join(f"'{day_text(due_ns // DAY_NS - number)}'" for number in range(1, DAYS + 1))
        text = _GENERATE.format(read=read_schema(schema), accounts=self._accounts, days=days)
        with store.connect() as connection:
            for statement in filter(str.strip, text.split(";")):
                connection.execute(statement.encode())

    def _group_by(self, store: Store, schema: str, due_ns: int) -> float:
        """Seconds that PostgreSQL takes for the sums alone."""
        day = due_ns // DAY_NS
        began = time.perf_counter()
        found = store.rows(_GROUP_BY.format(read=read_schema(schema), first=day_text(day - 30), end=day_text(day)))
        seconds = time.perf_counter() - began
        check(found == [(self._accounts, self._volume())], f"GROUP BY found (accounts, volume) {found[0]}")
        return seconds

    def verify(self, store: Store, schema: str, counts: pb.EvaluationCounts) -> None:
        """Every account has been evaluated, once, and got what its volume is worth."""
        check(counts.evaluated == self._accounts, f"{counts.evaluated} accounts evaluated of {self._accounts}")
        topics = f"SELECT count(*), count(DISTINCT originator_id) FROM {schema}.events WHERE topic = 'VolumeEvaluated'"
        found = store.rows(topics)
        check(found == [(self._accounts, self._accounts)], f"the log has (events, accounts) {found[0]}")
        granted = sum(DAYS * (1_000 * (number % 1_000) + 1) >= 100_000 for number in range(self._accounts))
        check(counts.granted == granted, f"{counts.granted} grants, {granted} accounts have the volume")

    def _volume(self) -> int:
        return sum(DAYS * (1_000 * (number % 1_000) + 1) for number in range(self._accounts))


def evaluate(channel: grpc.Channel) -> tuple[float, pb.EvaluationCounts]:
    """Seconds from the request to its last message, and the counts."""
    authority = Authority(actor="bench", approver="bench-2")
    request = pb.RunEvaluationRequest(request_id=uuid.uuid4().hex, authority=authority)
    began, last = time.perf_counter(), None
    for last in EvaluationServiceStub(channel).RunEvaluation(request):  # noqa: B007 - the last one is meant
        pass
    seconds = time.perf_counter() - began
    if last is None or not last.HasField("counts"):
        raise Failed("the evaluation ended without its counts")
    return seconds, last.counts


def _await_tables(channel: grpc.Channel) -> int:
    """The ledger's time, once its tables have taken in what it began with."""
    queries: Any = query_service_pb2_grpc.QueryServiceStub(channel)
    until_s = time.monotonic() + _WAIT_SECONDS_MAX
    while True:
        info = queries.GetLedgerInfo(query_service_pb2.GetLedgerInfoRequest())
        if not info.projections.lag_positions:
            return int(info.recorded_time.seconds) * SECOND_NS
        check(time.monotonic() < until_s, "the tables do not follow the log")
        time.sleep(0.02)
