"""No kind of call takes the threads of another, and every wait ends with its caller."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import chain
from typing import Any

import grpc
import psycopg
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_status import rpc_status
from psycopg.sql import SQL

from ledger.server.lanes import COMMANDS, HEALTH, LANES, PAGES, READS, REFLECTION, WATCHES, lane_of
from ledger.store.log import Log
from ledger.store.writer import Commit, Writer
from ledger.v1.command_service_pb2 import RegisterAccountRequest
from ledger.v1.query_service_pb2 import GetVipStateRequest, ListAccountsRequest, ListFeeHistoryRequest
from ledger.v1.read_pb2 import ReadAt
from tests.conftest import Ledger, StartLedger, Status, refusal
from tests.samples import batch, fill, request_id, symbol
from tests.server.good_requests import RPCS, path_of
from tests.server.test_streams import numbered, request
from tests.waiting import wait_for

UNREACHED = 10**9
LONG_S = 30


def state(position: int = 0) -> GetVipStateRequest:
    return GetVipStateRequest(account_id="alice", at=ReadAt(min_position=position))


def fees(position: int = 0) -> ListFeeHistoryRequest:
    return ListFeeHistoryRequest(account_id="alice", at=ReadAt(min_position=position))


def status_of(call: Any) -> Status:
    return refusal(lambda _: call.result(), state())


def is_serving(ledger: Ledger) -> bool:
    answer = HealthStub(ledger.channel).Check(HealthCheckRequest(), timeout=10)
    return bool(answer.status == HealthCheckResponse.SERVING)


def register(ledger: Ledger, account_id: str) -> int:
    asked = RegisterAccountRequest(request_id=request_id(), account_id=account_id)
    return int(ledger.commands.RegisterAccount(asked, timeout=10).receipt.position)


@pytest.fixture
def door(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Commits are held while it is cleared."""
    opened = threading.Event()
    opened.set()
    commit = Writer.commit

    def held(writer: Writer, what: Commit) -> None:
        assert opened.wait(LONG_S)
        commit(writer, what)

    monkeypatch.setattr(Writer, "commit", held)
    yield opened
    opened.set()


def test_every_rpc_has_one_lane() -> None:
    others = (HEALTH, WATCHES, REFLECTION)
    laned = [f"/{method}" for name, methods in LANES.items() if name not in others for method in methods]
    assert sorted(laned) == sorted(map(path_of, RPCS))


@pytest.mark.parametrize(
    ("rpc", "lane"),
    [("GetNews", READS), ("CheckNews", READS), ("ListNews", PAGES), ("TellNews", COMMANDS), ("GetFill", PAGES)],
)
def test_an_rpc_that_nobody_has_listed_has_the_lane_of_its_verb(rpc: str, lane: str) -> None:
    assert lane_of(rpc) == lane


def test_seventy_reads_of_an_unreached_position_block_nobody(start_ledger: StartLedger) -> None:
    ledger = start_ledger(read_wait_ms_max=LONG_S * 1_000, waiting_reads_max=32)
    waiting = [ledger.queries.GetVipState.future(state(UNREACHED), timeout=LONG_S) for _ in range(70)]
    wait_for(lambda: sum(call.done() for call in waiting) == 70 - 32)
    told = [status_of(call) for call in waiting if call.done()]
    assert {(one.code, one.reason) for one in told} == {(grpc.StatusCode.UNAVAILABLE, "POSITION_NOT_REACHED")}
    assert is_serving(ledger)
    assert register(ledger, "alice")
    assert ledger.queries.GetVipState(state(), timeout=10).known_account
    assert list(ledger.queries.ListFeeHistory(fees(), timeout=10).lines) == []
    assert sum(not call.done() for call in waiting) == 32
    for call in waiting:
        call.cancel()


def test_a_waiting_page_leaves_its_turn_to_others(start_ledger: StartLedger) -> None:
    ledger = start_ledger(read_wait_ms_max=LONG_S * 1_000, page_threads=1, waiting_pages_max=2)
    waiting = [ledger.queries.ListFeeHistory.future(fees(UNREACHED), timeout=LONG_S) for _ in range(3)]
    wait_for(lambda: any(call.done() for call in waiting))
    assert list(ledger.queries.ListFeeHistory(fees(), timeout=10).lines) == []
    assert sum(not call.done() for call in waiting) == 2
    for call in waiting:
        call.cancel()


def test_a_cancelled_waiter_leaves_its_place(start_ledger: StartLedger) -> None:
    ledger = start_ledger(read_wait_ms_max=LONG_S * 1_000, waiting_reads_max=1)
    position = ledger.log.head().position
    calls = [ledger.queries.GetVipState.future(state(UNREACHED), timeout=LONG_S) for _ in range(2)]
    wait_for(lambda: any(call.done() for call in calls))
    for call in calls:
        call.cancel()

    def waits() -> Any:
        """A read that has found the place free, and waits."""
        call = ledger.queries.GetVipState.future(state(position + 1), timeout=LONG_S)
        other = ledger.queries.GetVipState.future(state(UNREACHED), timeout=LONG_S)
        wait_for(lambda: call.done() or other.done())
        other.cancel()
        return None if call.done() else call

    found: list[Any] = []
    wait_for(lambda: found.append(waits()) or found[-1])
    register(ledger, "bob")
    assert found[-1].result().basis.known_at_position >= position + 1


@pytest.mark.parametrize("method", ["GetVipState", "ListFeeHistory", "ListAccounts"])
def test_a_waiter_is_told_before_its_deadline_when_to_come_again(start_ledger: StartLedger, method: str) -> None:
    ledger = start_ledger(read_wait_ms_max=LONG_S * 1_000)
    asked: dict[str, Any] = {
        "GetVipState": state(UNREACHED),
        "ListFeeHistory": fees(UNREACHED),
        "ListAccounts": ListAccountsRequest(min_position=UNREACHED),
    }
    with pytest.raises(grpc.RpcError) as caught:
        getattr(ledger.queries, method)(asked[method], timeout=2)
    status = rpc_status.from_call(caught.value)  # type: ignore[arg-type]
    assert status is not None, caught.value
    assert "POSITION_NOT_REACHED" in status.message
    assert any(detail.Is(RetryInfo.DESCRIPTOR) for detail in status.details)


def test_who_waits_for_a_commit_is_told_before_the_deadline(start_ledger: StartLedger, door: threading.Event) -> None:
    ledger = start_ledger()
    ledger.commands.RegisterSymbol(symbol())
    door.clear()
    status = refusal(lambda asked: ledger.fills.RecordFills(asked, timeout=2), batch(fill()))
    assert (status.code, status.reason) == (grpc.StatusCode.UNAVAILABLE, "OUTCOME_UNKNOWN")


def test_who_hangs_up_leaves_a_thread_to_the_next(start_ledger: StartLedger, door: threading.Event) -> None:
    ledger = start_ledger(fills_threads=1, lane_queue_max=8)
    ledger.commands.RegisterSymbol(symbol())
    door.clear()
    calls = [ledger.fills.RecordFills.future(batch(fill(exec_id=f"E{number}"))) for number in range(3)]
    for call in calls:
        call.cancel()
    status = refusal(lambda asked: ledger.fills.RecordFills(asked, timeout=4), batch(fill(exec_id="E4")))
    assert status.reason == "OUTCOME_UNKNOWN"  # a thread took it up


def test_a_full_lane_refuses_at_once_and_others_are_open(start_ledger: StartLedger, door: threading.Event) -> None:
    ledger = start_ledger(fills_threads=2, lane_queue_max=1)
    ledger.commands.RegisterSymbol(symbol())
    door.clear()
    calls = [ledger.fills.RecordFills.future(batch(fill(exec_id=f"E{number}")), timeout=LONG_S) for number in range(4)]
    wait_for(lambda: any(call.done() for call in calls))
    (refused,) = (call for call in calls if call.done())
    status = status_of(refused)
    assert (status.code, status.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL")
    assert is_serving(ledger)
    assert ledger.queries.GetVipState(state(), timeout=10).tier == "NONE"
    door.set()
    assert [call.result().recorded for call in calls if call is not refused] == [1, 1, 1]


def test_one_fill_and_one_command_come_before_what_streams_have_sent(
    start_ledger: StartLedger, door: threading.Event
) -> None:
    """Ten batches fit into the queue; a commit takes four."""
    ledger = start_ledger(commit_fills_max=1_200, queue_fills_max=3_000)
    ledger.commands.RegisterSymbol(symbol())
    door.clear()
    sent: list[str] = []

    def batches(source: str) -> Iterator[Any]:
        for first in range(1, 40 * 300, 300):
            sent.append(source)
            yield request(first, *numbered_of(source, first, 300), source=source)

    streams = [ledger.fills.StreamFills(batches(source), timeout=60) for source in ("a", "b")]
    settled = settle(sent)
    single = ledger.fills.RecordFills.future(batch(fill(exec_id="S")), timeout=LONG_S)
    command = ledger.commands.RegisterAccount.future(
        RegisterAccountRequest(request_id=request_id(), account_id="bob"), timeout=LONG_S
    )
    assert settled >= 8
    threading.Event().wait(0.5)  # they are in the queue, or were refused
    door.set()
    positions = sorted(answer.batch.position for answer in chain(*streams))
    for found in (single.result().position, command.result().receipt.position):
        before = sum(position < found for position in positions)
        assert before <= 3 * 4, f"{before} of {len(positions)} batches came first"  # on its way, decided, and its own


def numbered_of(account_id: str, first: int, count: int) -> list[Any]:
    return [fill(account_id=account_id, exec_id=one.exec_id) for one in numbered(first, count)]


def settle(sent: list[str]) -> int:
    """How many batches were taken, once no more are."""
    quiet = threading.Event()
    for _ in range(30):
        before = len(sent)
        quiet.wait(0.7)
        if len(sent) == before and before:
            return before
    raise AssertionError(f"still sending after {len(sent)}")


def test_a_statement_ends_when_its_caller_hangs_up(
    start_ledger: StartLedger, monkeypatch: pytest.MonkeyPatch, dsn: str
) -> None:
    ledger = start_ledger(read_connections=1)
    slow = "SELECT pg_sleep(60), 'of a caller'"
    monkeypatch.setattr(Log, "has_account", lambda log, *_: bool(log.query(SQL(slow), {})))
    call = ledger.queries.GetVipState.future(state(), timeout=LONG_S)

    def runs() -> bool:
        with psycopg.connect(dsn) as connection:
            asked = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query = %s"
            return bool(connection.execute(asked, (slow,)).fetchall()[0][0])

    wait_for(runs)
    call.cancel()
    wait_for(lambda: not runs())
    assert list(ledger.queries.ListFeeHistory(fees(), timeout=10).lines) == []  # the connection is free
