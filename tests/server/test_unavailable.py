"""What callers are told while the service cannot take them: a full queue, a store that is gone."""

from __future__ import annotations

import threading
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import Any

import grpc
import pytest
from eventsourcing.persistence import PersistenceError

from ledger.server.command_rpc import CommandRpcs
from ledger.store.log import Log
from ledger.store.writer import Commit, Writer
from ledger.v1.command_service_pb2 import RegisterAccountRequest
from ledger.v1.query_service_pb2 import GetVipStateRequest
from ledger.v1.read_pb2 import ReadAt
from tests.conftest import Ledger, StartLedger, refusal
from tests.samples import batch, fill, history, symbol


def test_a_full_queue_refuses_at_once_and_takes_fills_again_when_the_writer_goes_on(
    start_ledger: StartLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = start_ledger(queue_fills_max=2, commit_fills_max=1)
    ledger.commands.RegisterSymbol(symbol())
    go_on, under_way = threading.Event(), threading.Event()
    commit = Writer.commit

    def slowly(self: Writer, what: Commit) -> None:
        under_way.set()
        assert go_on.wait(20)
        commit(self, what)

    monkeypatch.setattr(Writer, "commit", slowly)
    sent: list[Any] = []
    with ThreadPoolExecutor(8) as callers:
        for number in range(8):
            sent.append(callers.submit(ledger.fills.RecordFills, batch(fill(exec_id=f"E{number}"))))
            assert under_way.wait(20)
        (refused, *_), _ = wait(sent, 20, FIRST_COMPLETED)  # the others wait for the writer
        status = refusal(lambda _: refused.result(), GetVipStateRequest())
        assert (status.code, status.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL")
        go_on.set()
    recorded = sorted(f"E{number}" for number, each in enumerate(sent) if each.exception() is None)
    assert 3 <= len(recorded) < 8
    assert sorted(line.fill_ref.exec_id for line in history(ledger)) == recorded


def test_a_read_that_cannot_reach_the_store_says_so_and_the_next_one_may(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = GetVipStateRequest(account_id="alice", at=ReadAt(known_at_position=1))

    def gone(*_: Any) -> Any:
        raise PersistenceError("the connection is gone")

    with monkeypatch.context() as broken:
        broken.setattr(Log, "rulebook", gone)
        status = refusal(ledger.queries.GetVipState, request)
        assert (status.code, status.reason) == (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")
    assert ledger.queries.GetVipState(request).tier == "NONE"


def test_a_defect_after_the_commit_does_not_say_that_nothing_was_recorded(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> Any:
        raise ValueError("a defect")

    asked = RegisterAccountRequest(request_id="R1", account_id="alice")
    foreseen = RegisterAccountRequest(request_id="R1", account_id="alice", validate_only=True)
    with monkeypatch.context() as broken:
        broken.setattr(CommandRpcs, "receipt", fails)
        told = [refusal(ledger.commands.RegisterAccount, request) for request in (foreseen, asked)]
    assert [one.code for one in told] == [grpc.StatusCode.INTERNAL] * 2
    assert "; nothing was recorded" in told[0].message
    assert "; what was sent is recorded all the same" in told[1].message
    assert ledger.commands.RegisterAccount(asked).receipt.replayed
