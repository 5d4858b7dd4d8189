"""Who writes: one process at a time, through restarts and lost connections; and what callers are told meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import grpc
import psycopg
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from ledger.domain.events import WriterStarted
from ledger.store.writer import Commit, Writer, WriterLost
from ledger.v1 import command_service_pb2 as pb
from ledger.v1.fill_service_pb2 import GetSourcePositionRequest
from tests.conftest import Ledger, StartLedger, refusal
from tests.samples import FOUR_EYES, batch, fill, history, request_id, state, symbol
from tests.waiting import wait_for


def once_writing(call: Callable[[Any], Any], request: Any) -> Any:
    """The answer, as soon as the process writes: a term is in the log a moment before its commands are taken."""
    answers: list[Any] = []

    def answered() -> bool:
        with suppress(grpc.RpcError):
            answers.append(call(request))
        return bool(answers)

    wait_for(answered)
    return answers[0]


def grants(request_name: str = "") -> pb.ChangeTierRequest:
    return pb.ChangeTierRequest(
        request_id=request_name or request_id(), authority=FOUR_EYES, account_id="alice", tier="VIP1"
    )


def lose_connection(dsn: str) -> None:
    """The writer's backend dies."""
    with psycopg.connect(dsn, autocommit=True) as other:
        name = "fee-ledger writer"
        other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s", [name])


def terms(ledger: Ledger) -> list[int]:
    return [found.event.term for found in ledger.log.ledger() if isinstance(found.event, WriterStarted)]


def test_a_second_process_stands_by_serves_reads_and_takes_over(start_ledger: StartLedger, dsn: str) -> None:
    first = start_ledger()
    standby: list[Ledger] = []
    starting = threading.Thread(target=lambda: standby.append(start_ledger()))
    starting.start()
    starting.join(10)
    (second,) = standby
    assert second.ledger_id == first.ledger_id
    granted = first.commands.ChangeTier(grants())
    assert state(second, min_position=granted.receipt.position).tier == "VIP1"
    assert refusal(second.commands.ChangeTier, grants()).reason == "NOT_THE_WRITER"
    lose_connection(dsn)
    wait_for(lambda: len(terms(first)) == 2)

    def someone_writes() -> bool:
        for ledger in (first, second):
            try:
                ledger.commands.ChangeTier(grants())
                return True
            except grpc.RpcError:
                continue
        return False

    wait_for(someone_writes)
    assert terms(first) == [1, 2]


def test_a_lost_connection_ends_the_term_and_the_next_one_goes_on(start_ledger: StartLedger, dsn: str) -> None:
    ledger = start_ledger(writer_check_ms=60_000)
    ledger.commands.RegisterSymbol(symbol())
    ledger.fills.RecordFills(batch(fill(exec_id="A"), source="engine", first_sequence=1))
    lose_connection(dsn)
    again = batch(fill(exec_id="B"), source="engine", first_sequence=2)
    status = refusal(ledger.fills.RecordFills, again)
    assert (status.code, status.reason) == (grpc.StatusCode.UNAVAILABLE, "OUTCOME_UNKNOWN")
    wait_for(lambda: len(terms(ledger)) == 2)
    assert once_writing(ledger.fills.RecordFills, again).source_sequence == 2
    assert [line.fill_ref.exec_id for line in history(ledger)] == ["A", "B"]


def test_a_lost_connection_is_noticed_although_nobody_writes(start_ledger: StartLedger, dsn: str) -> None:
    ledger = start_ledger(writer_check_ms=20)
    assert terms(ledger) == [1]
    lose_connection(dsn)
    wait_for(lambda: terms(ledger) == [1, 2])


def test_a_commit_whose_acknowledgement_was_lost_is_answered_as_recorded(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = Writer.commit

    def commit_and_break(self: Writer, what: Commit) -> None:
        monkeypatch.setattr(Writer, "commit", commit)
        commit(self, what)
        self.close()
        raise WriterLost("the acknowledgement did not come")

    monkeypatch.setattr(Writer, "commit", commit_and_break)
    answer = ledger.commands.ChangeTier(grants("once"))
    assert not answer.receipt.replayed
    wait_for(lambda: terms(ledger) == [1, 2])
    again = once_writing(ledger.commands.ChangeTier, grants("once"))
    assert (again.receipt.position, again.receipt.replayed) == (answer.receipt.position, True)
    assert len(state(ledger).grants) == 1


def test_sixty_four_callers_with_one_request_id_change_one_thing(ledger: Ledger) -> None:
    with ThreadPoolExecutor(64) as callers:
        answers = list(callers.map(lambda _: ledger.commands.ChangeTier(grants("same")), range(64)))
    assert len({answer.receipt.position for answer in answers}) == 1
    assert sum(not answer.receipt.replayed for answer in answers) == 1
    assert len(state(ledger).grants) == 1


def test_sixty_four_callers_with_the_same_fills_record_each_once(ledger: Ledger) -> None:
    ledger.commands.RegisterSymbol(symbol())
    fills = [fill() for _ in range(20)]
    with ThreadPoolExecutor(64) as callers:
        answers = list(callers.map(lambda start: ledger.fills.RecordFills(batch(*fills[start % 10 :])), range(64)))
    assert sum(answer.recorded for answer in answers) == 20
    assert len(history(ledger)) == 20


def test_a_full_queue_pushes_back(start_ledger: StartLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = start_ledger(queue_fills_max=1)
    ledger.commands.RegisterSymbol(symbol())
    held, commit = threading.Event(), Writer.commit

    def slow_commit(self: Writer, what: Commit) -> None:
        held.wait(10)
        commit(self, what)

    monkeypatch.setattr(Writer, "commit", slow_commit)
    pending = [ledger.fills.RecordFills.future(batch(fill())) for _ in range(8)]
    wait_for(lambda: any(call.done() for call in pending))
    held.set()
    codes = [call.code() for call in pending]
    assert grpc.StatusCode.RESOURCE_EXHAUSTED in codes
    assert grpc.StatusCode.OK in codes
    assert len(history(ledger)) == codes.count(grpc.StatusCode.OK)


def test_a_caller_whose_deadline_passes_is_told_and_a_resend_finds_the_outcome(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = Writer.commit

    def slow_commit(self: Writer, what: Commit) -> None:
        time.sleep(0.5)
        commit(self, what)

    monkeypatch.setattr(Writer, "commit", slow_commit)
    with pytest.raises(grpc.RpcError) as caught:
        ledger.commands.ChangeTier(grants("late"), timeout=0.1)
    assert caught.value.code() in {grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE}  # type: ignore[attr-defined]
    assert ledger.commands.ChangeTier(grants("late")).receipt.replayed
    assert len(state(ledger).grants) == 1


def test_an_engine_learns_where_to_go_on(ledger: Ledger) -> None:
    asked = GetSourcePositionRequest(source="engine")
    assert ledger.fills.GetSourcePosition(asked).last_sequence == 0
    ledger.commands.RegisterSymbol(symbol())
    answer = ledger.fills.RecordFills(batch(fill(), fill(), source="engine", first_sequence=1))
    found = ledger.fills.GetSourcePosition(asked)
    assert (found.last_sequence, found.position) == (2, answer.position)


def test_health_says_serving_for_every_service(ledger: Ledger) -> None:
    stub = health_pb2_grpc.HealthStub(ledger.channel)
    names = ("", "ledger.v1.CommandService", "ledger.v1.FillService", "ledger.v1.QueryService")

    def statuses() -> set[int]:
        return {stub.Check(health_pb2.HealthCheckRequest(service=name)).status for name in names}

    wait_for(lambda: statuses() == {health_pb2.HealthCheckResponse.SERVING})  # health looks four times a second
    assert statuses() == {health_pb2.HealthCheckResponse.SERVING}, "it turned back"
