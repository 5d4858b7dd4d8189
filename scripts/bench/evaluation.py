"""How fast volume is evaluated, until the tables say so, beside one plain SQL GROUP BY over the same account-days."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from typing import Any, Final

import grpc
import psycopg
from psycopg.sql import SQL, Identifier

from ledger import programmes
from ledger.domain.events import Envelope, TierChanged
from ledger.domain.grant_sources import MANUAL
from ledger.domain.instants import DAY_NS, day_text
from ledger.domain.rules.evaluation_days import last_evaluation_ns
from ledger.domain.streams import account_stream
from ledger.store.codec.events import encode
from ledger.store.log import Head, Log
from ledger.store.postgres.database import open_datastore
from ledger.store.rows import COLUMNS, COPY_BEGINS, COPY_ENDS, Row
from ledger.v1 import evaluation_service_pb2 as pb
from ledger.v1.command_pb2 import Authority
from ledger.v1.evaluation_service_pb2_grpc import EvaluationServiceStub
from projections.tables.tables import read_schema
from scripts.bench.service import ledger
from scripts.bench.store import Failed, Store, check
from scripts.bench.tables import bring_up, wait_for_tables
from scripts.bench.use import used

DAYS: Final = 3  # on which each account has traded
HAVE_A_GRANT: Final = 10  # one account in so many, by hand

# Account `number` has traded 1,000 x (number modulo 1,000) + 1 USDT on each of its days: tiers up to VIP3.
_NAME: Final = "'account' || lpad(n::text, 8, '0')"
_GENERATE: Final = f"""
INSERT INTO {{read}}.accounts SELECT {_NAME}, {_NAME}, '', false FROM generate_series(0, {{accounts}} - 1) AS n
    ON CONFLICT DO NOTHING;
INSERT INTO {{read}}.volume_days SELECT {_NAME}, d::date, 'USDT', 'SPOT', 'API', false, false, false,
    1000 * (n % 1000) + 1, 10 FROM generate_series(0, {{accounts}} - 1) AS n, unnest(ARRAY[{{days}}]) AS d;
INSERT INTO {{read}}.fee_days SELECT {_NAME}, d::date, 'USDT', 1, 0, 0, 10, 1
    FROM generate_series(0, {{accounts}} - 1) AS n, unnest(ARRAY[{{days}}]) AS d;
VACUUM ANALYZE {{read}}.accounts; VACUUM ANALYZE {{read}}.volume_days; VACUUM ANALYZE {{read}}.fee_days;
"""
_GROUP_BY: Final = """
SELECT count(*), sum(volume) FROM (
    SELECT account_id, sum(notional) AS volume FROM {read}.volume_days
    WHERE day >= '{first}' AND day < '{end}' AND product = 'SPOT' AND channel = 'API' AND NOT self_trade AND NOT banned
    GROUP BY account_id
) AS found
"""
_TOLD: Final = "SELECT count(*), count(*) FILTER (WHERE source = 'EVALUATION') FROM {read}.vip_intervals"


class Evaluation:
    """One evaluation of accounts that were made below the API, by a service in a process of its own.

    A tenth of them have a tier by hand, which ends within the grants of the evaluation.
    """

    def __init__(self, accounts: int) -> None:
        self._accounts = accounts
        self.settings: Mapping[str, object] = {
            "evaluated_accounts": accounts,
            "active_days_per_account": DAYS,
            "accounts_with_a_grant": self._with_a_grant,
        }

    @property
    def _with_a_grant(self) -> int:
        return len(range(HAVE_A_GRANT - 1, self._accounts, HAVE_A_GRANT))

    def run(self, store: Store, schema: str) -> dict[str, float]:
        """One round on a fresh schema."""
        with ledger(store, schema):
            wait_for_tables(store, schema)
        due_ns = self._generate(store, schema)
        with ledger(store, schema) as served:
            wait_for_tables(store, schema)
            store.checkpoint()
            with used(store, schema, served) as use:
                seconds, counts = evaluate(served.channel)
        self.verify(store, schema, counts)
        grouped_s = self._group_by(store, schema, due_ns)
        told_s = seconds + use.behind_s
        return {
            "evaluation.accounts_per_s": self._accounts / seconds,
            "evaluation.told_accounts_per_s": self._accounts / told_s,
            "evaluation.cpu_us": use.service_cpu_s * 1e6 / self._accounts,
            "evaluation.postgres_cpu_us": use.postgres_cpu_s * 1e6 / self._accounts,
            "limit.group_by_accounts_per_s": self._accounts / grouped_s,
            "ratio.evaluation_to_group_by": grouped_s / told_s,
        }

    def _generate(self, store: Store, schema: str) -> int:
        """Put the accounts into a ledger that nobody writes; return when the evaluation is due."""
        programme = programmes.parse(programmes.packaged())
        with open_datastore(store.dsn, schema, connections=2) as pool, store.connect() as connection:
            log = Log(pool)
            head = log.head()
            due_ns = last_evaluation_ns(programme, head.recorded_time_ns)
            grant = TierChanged(
                "g1", programme.programme_id, programme.tiers[0], MANUAL, due_ns - 10 * DAY_NS, due_ns + 10 * DAY_NS
            )
            self._grant(connection, schema, head, grant)
            bring_up(log, schema, connection)
            days = ", ".join(f"'{day_text(due_ns // DAY_NS - number)}'" for number in range(1, DAYS + 1))
            text = _GENERATE.format(read=read_schema(schema), accounts=self._accounts, days=days)
            for statement in filter(str.strip, text.split(";")):
                connection.execute(statement.encode())
            connection.execute(f"VACUUM ANALYZE {schema}.events".encode())
        return due_ns

    def _grant(self, connection: psycopg.Connection[Any], schema: str, head: Head, grant: TierChanged) -> None:
        """Write a grant of each account that has one, in the commit after the head."""
        recorded_ns = head.recorded_time_ns + 1
        topic, state = encode(Envelope(grant.valid_from_ns, recorded_ns, 1, "bench", approver="bench-2"), grant)
        columns = SQL(", ").join(map(Identifier, COLUMNS))
        statement = SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(Identifier(schema, "events"), columns)
        position = head.position
        with connection.transaction(), connection.cursor() as cursor:
            with cursor.copy(statement) as copy:
                copy.write(COPY_BEGINS)
                for number in range(HAVE_A_GRANT - 1, self._accounts, HAVE_A_GRANT):
                    position += 1
                    copy.write(Row(account_stream(f"account{number:08}"), 1, topic, state, position).copied())
                copy.write(COPY_ENDS)
            commit = SQL("INSERT INTO {} (last_position, first_position, recorded_time_ns) VALUES (%s, %s, %s)")
            cursor.execute(commit.format(Identifier(schema, "commits")), (position, head.position + 1, recorded_ns))

    def _group_by(self, store: Store, schema: str, due_ns: int) -> float:
        """Seconds that PostgreSQL takes for the sums alone."""
        day = due_ns // DAY_NS
        began = time.perf_counter()
        found = store.rows(_GROUP_BY.format(read=read_schema(schema), first=day_text(day - 30), end=day_text(day)))
        seconds = time.perf_counter() - began
        check(found == [(self._accounts, self._volume())], f"GROUP BY found (accounts, volume) {found[0]}")
        return seconds

    def verify(self, store: Store, schema: str, counts: pb.EvaluationCounts) -> None:
        """Every account has been evaluated, once, and got what its volume is worth; and the tables say so."""
        check(counts.evaluated == self._accounts, f"{counts.evaluated} accounts evaluated of {self._accounts}")
        topics = f"SELECT count(*), count(DISTINCT originator_id) FROM {schema}.events WHERE topic = 'VolumeEvaluated'"
        found = store.rows(topics)
        check(found == [(self._accounts, self._accounts)], f"the log has (events, accounts) {found[0]}")
        granted = [DAYS * (1_000 * (number % 1_000) + 1) >= 100_000 for number in range(self._accounts)]
        check(counts.granted == sum(granted), f"{counts.granted} grants, {sum(granted)} accounts have the volume")
        told = store.rows(_TOLD.format(read=read_schema(schema)))
        kept = self._with_a_grant  # until the evaluation, or until it ends: a row beside that of the evaluation
        check(told == [(sum(granted) + kept, sum(granted))], f"the tables have (intervals, by evaluations) {told[0]}")

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
