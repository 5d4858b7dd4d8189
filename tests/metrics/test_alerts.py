"""Each alert is made true by a real fault, over the text that is scraped, and ends with it.

Those that take a PostgreSQL, a disk or a process of their own are in tests/e2e/test_alerts.py.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import psycopg
import pytest
from psycopg.sql import SQL, Composable, Identifier

from ledger.domain.instants import DAY_NS, SECOND_NS
from ledger.v1.query_service_pb2 import GetVipStateRequest
from ledger.v1.read_pb2 import ReadAt
from projections.tables.tables import read_schema
from tests.conftest import Ledger, at
from tests.e2e.rules.evaluating import DUE_NS, run, trade
from tests.metrics.watching import Watch, watched
from tests.samples import batch, fill, symbol
from tests.server.calls import refused, send
from tests.server.orders import tier
from tests.unguarded import unguard
from tests.waiting import wait_for

SMALLEST = {
    "account_day_bytes_max": 16 * 2**20,
    "account_state_bytes_max": 4 * 2**20,
    "message_bytes_max": 64 * 1024,
    "lookahead_bytes": 16 * 1024,
    "request_bytes_max": 64 * 1024,
}
_HOLDER = (
    "SELECT pg_terminate_backend(pid, 1000) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted"
    " AND (classid::bigint << 32 | objid::bigint) = hashtextextended(%s, 0)"
)
_TAKE = "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))"


class Fault:
    """A session of PostgreSQL's administrator that holds up the ledger of a schema."""

    def __init__(self, dsn: str, schema: str) -> None:
        self._dsn = dsn
        self._schema = schema

    @contextmanager
    def holding(self, text: str) -> Iterator[psycopg.Connection]:
        """Execute a statement, and keep its locks until the block ends."""
        with psycopg.connect(self._dsn) as session:
            session.execute(self.sql(text))
            yield session
            session.rollback()

    def sql(self, text: str) -> Composable:
        """Return a statement with the names of the schemas in it."""
        names = {"schema": Identifier(self._schema), "read": Identifier(read_schema(self._schema))}
        return SQL(text).format(**names)  # type: ignore[arg-type]

    def take_pen(self, session: psycopg.Connection) -> bool:
        """End the session that has the pen; return whether this one has it then, until it ends."""
        pen = f"{self._schema}:writer"
        session.execute(_HOLDER, [pen])
        found = session.execute(_TAKE, [pen]).fetchone()
        return found is not None and bool(found[0])

    def session(self) -> psycopg.Connection:
        """A session of the administrator, which commits each statement."""
        return psycopg.connect(self._dsn, autocommit=True)


@pytest.fixture
def fault(dsn: str, schema: str) -> Fault:
    return Fault(dsn, schema)


@pytest.fixture
def site(dsn: str, schema: str) -> Iterator[tuple[Ledger, Watch]]:
    small = {"command_threads": 1, "waiting_previews_max": 1, "lane_queue_max": 0, "queue_fills_max": 1_000}
    with watched(dsn, schema, **small) as (ledger, watch):
        send(ledger, symbol())
        yield ledger, watch


@pytest.fixture
def ledger(site: tuple[Ledger, Watch]) -> Ledger:
    return site[0]


@pytest.fixture
def watch(site: tuple[Ledger, Watch]) -> Watch:
    return site[1]


def test_nothing_holds_while_all_is_well_and_engines_send_what_they_sent_before(ledger: Ledger, watch: Watch) -> None:
    one = batch(fill(), source="engine-1", first_sequence=1)
    for _ in range(2):
        send(ledger, one)
        watch.scrape()
    assert watch.all_that_hold() == set()
    assert [watch.value("fee_ledger_fills_total", outcome=outcome) for outcome in ("recorded", "replayed")] == [1, 1]
    assert watch.value("fee_ledger_calls_total", method="ledger.v1.FillService/RecordFills", code="OK") == 2
    wait_for(lambda: (watch.scrape(), watch.scrapes[-1].values.get("fee_ledger_source_sequence"))[1])
    assert watch.value("fee_ledger_source_sequence", source="engine-1") == 1


def test_a_clock_that_leaps(ledger: Ledger, watch: Watch) -> None:
    ledger.clock.leap(120 * SECOND_NS)
    assert [*watch.holds("LedgerClockLeaps").values()] == [120]
    ledger.clock.leap(-120 * SECOND_NS)
    assert not watch.holds("LedgerClockLeaps")


def test_commits_that_are_held_up_queue_refuse_and_are_slow_and_one_is_lost(
    ledger: Ledger, watch: Watch, fault: Fault
) -> None:
    def record(fills: int) -> str:
        try:
            ledger.fills.RecordFills(batch(*(fill() for _ in range(fills))), timeout=30)
        except grpc.RpcError as error:
            return str(error.code().name)  # type: ignore[attr-defined]
        return "OK"

    record(1)
    watch.scrape()
    with ThreadPoolExecutor(4) as pool:
        with fault.holding("LOCK TABLE {schema}.events IN SHARE MODE"):
            first = pool.submit(record, 1)
            wait_for(lambda: (watch.scrape(), watch.value("fee_ledger_commits_in_flight"))[1])
            waiting = pool.submit(record, 500)
            wait_for(lambda: (watch.scrape(), watch.value("fee_ledger_queue_fills"))[1] == 500)
            assert record(600) == "RESOURCE_EXHAUSTED"
            (refusing,) = watch.holds("LedgerRefusesForLoad")
            assert dict(refusing)["method"] == "ledger.v1.FillService/RecordFills"
            commands = [pool.submit(send, ledger, symbol(name)) for name in ("BTC_USDT", "XLM_USDT")]
            states = ("working", "waiting")
            wait_for(
                lambda: (
                    watch.scrape()
                    or sum(watch.value("fee_ledger_lane_calls", lane="commands", state=state) for state in states) == 2
                )
            )
            assert refused(ledger, symbol("ETH_USDT")).reason == "QUEUE_FULL"
            watch.scrape()
            assert watch.value("fee_ledger_lane_refusals_total", lane="commands") == 1
            register = "ledger.v1.CommandService/RegisterSymbol"
            assert watch.value("fee_ledger_refusals_total", method=register, reason="QUEUE_FULL") == 1
            assert watch.value("fee_ledger_calls_total", method=register, code="RESOURCE_EXHAUSTED") == 1
            watch.wait_until("LedgerQueueWaits")
        assert [first.result(), waiting.result()] == ["OK", "OK"]
        assert all(command.result().receipt.position for command in commands)
        watch.wait_until("LedgerQueueWaits", holds=False)
        assert watch.holds("LedgerCommitsSlow")

        with fault.holding("LOCK TABLE {schema}.events IN SHARE MODE"):
            lost = pool.submit(record, 1)
            wait_for(lambda: (watch.scrape(), watch.value("fee_ledger_commits_in_flight"))[1])
            with fault.session() as other:
                fault.take_pen(other)
            watch.wait_until("LedgerCommitLost")
            assert watch.holds("LedgerStoreFails")
        assert lost.result() in ("OK", "UNAVAILABLE")


def test_another_process_that_takes_the_pen_and_gives_it_back(
    watch: Watch, fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with fault.session() as other:
        wait_for(lambda: fault.take_pen(other))
        watch.wait_until("LedgerNobodyWrites")
        wait_for(lambda: "standing by" in caplog.text)
        assert not watch.holds("LedgerTookOver")
    watch.wait_until("LedgerNobodyWrites", holds=False)
    assert watch.holds("LedgerTookOver")
    assert watch.value("fee_ledger_writer_term") >= 2  # a term may begin before the other has the pen


def test_an_engine_that_changes_a_fill_and_falls_silent(ledger: Ledger, watch: Watch) -> None:
    send(ledger, batch(fill(exec_id="E-1"), source="engine-1", first_sequence=1))
    watch.scrape()
    changed = send(ledger, batch(fill(exec_id="E-1", last_px="0.6"), source="engine-1", first_sequence=2))
    assert len(changed.refusals) == 1
    assert watch.holds("LedgerFillConflicts")
    ledger.clock.now_ns += 301 * SECOND_NS
    watch.wait_until("LedgerSourceSilent")
    send(ledger, batch(fill(), source="engine-1", first_sequence=3))
    watch.wait_until("LedgerSourceSilent", holds=False)


def test_of_many_sources_the_longest_silent_are_told(ledger: Ledger, watch: Watch) -> None:
    for number in range(102):
        send(ledger, batch(source=f"engine-{number}", complete_until=at(ledger.clock.now_ns)))
        ledger.clock.now_ns += SECOND_NS
    wait_for(lambda: (watch.scrape(), watch.value("fee_ledger_sources"))[1] == 102)
    silent = watch.scrapes[-1].values["fee_ledger_source_silent_seconds"]
    assert {dict(labels)["source"] for labels in silent} == {f"engine-{number}" for number in range(100)}
    assert round(max(silent.values())) == 102


def test_tables_that_stand_still(ledger: Ledger, watch: Watch, fault: Fault) -> None:
    wait_for(lambda: (watch.scrape(), watch.value("fee_ledger_tables_position"))[1])
    with fault.holding("SELECT FROM {read}.position FOR UPDATE"):
        position = send(ledger, batch(fill())).position
        ledger.clock.now_ns += 61 * SECOND_NS
        watch.wait_until("LedgerTablesBehind")
        assert watch.value("fee_ledger_tables_position") < position
    watch.wait_until("LedgerTablesBehind", holds=False)
    assert watch.value("fee_ledger_tables_position") >= position


def test_an_evaluation_that_nobody_runs_and_closes_that_nobody_records(ledger: Ledger, watch: Watch) -> None:
    send(ledger, symbol("XRP_BTC"))
    trade(ledger, "2", symbol="XRP_BTC")
    ledger.clock.now_ns = DUE_NS + DAY_NS + SECOND_NS
    watch.wait_until("LedgerEvaluationMissed")
    run(ledger)
    watch.wait_until("LedgerEvaluationMissed", holds=False)
    watch.wait_until("LedgerClosesMissing")
    assert watch.value("fee_ledger_evaluations_due") == 1


def test_a_row_of_the_log_that_was_damaged(ledger: Ledger, watch: Watch, fault: Fault, schema: str) -> None:
    position = send(ledger, tier("alice")).receipt.position
    with fault.session() as owner:
        unguard(owner, schema)
        damage = "UPDATE {schema}.events SET state = '\\xffff' WHERE notification_id = %s"
        owner.execute(fault.sql(damage), [position])
    asked = GetVipStateRequest(account_id="alice", at=ReadAt(known_at_position=position))
    assert refused(ledger, asked).reason == "INTERNAL"
    (failing,) = watch.holds("LedgerDefect")
    assert dict(failing)["method"] == "ledger.v1.QueryService/GetVipState"


def test_a_log_that_cannot_be_read(watch: Watch, fault: Fault) -> None:
    with fault.holding("LOCK TABLE {schema}.commits IN ACCESS EXCLUSIVE MODE"):
        watch.wait_until("LedgerReadingsMissing")
        assert watch.value("fee_ledger_store_up") == 1
    watch.wait_until("LedgerReadingsMissing", holds=False)


def test_a_process_larger_than_its_bound(dsn: str, schema: str) -> None:
    with watched(dsn, schema, **SMALLEST, receiving_max=1, streams_max=1, page_size=10, page_size_max=10) as (_, watch):
        held = [bytes(1) * 150_000_000]
        assert watch.holds("LedgerMemoryHigh"), held
