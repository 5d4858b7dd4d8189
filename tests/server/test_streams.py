"""StreamFills: answers in order, what ends a stream, and who is made to wait."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from queue import Queue
from typing import Any

import grpc
import pytest

from ledger.v1.fill_pb2 import Fill
from ledger.v1.fill_service_pb2 import GetSourcePositionRequest, RecordFillsRequest, StreamFillsRequest
from ledger.v1.fill_service_pb2_grpc import FillServiceStub
from tests.conftest import Ledger, StartLedger, Status, refusal, serving
from tests.samples import fill, history, symbol
from tests.server.columns import columns_of


def request(first: int, *fills: Fill, source: str = "engine", **values: Any) -> StreamFillsRequest:
    batch = RecordFillsRequest(source=source, first_sequence=first, fills=fills, **values)
    return StreamFillsRequest(batch=batch)


def numbered(first: int, count: int = 1) -> list[Fill]:
    return [fill(exec_id=f"E{number}") for number in range(first, first + count)]


def stream(ledger: Ledger, *requests: StreamFillsRequest) -> list[Any]:
    return [answer.batch for answer in ledger.fills.StreamFills(iter(requests), timeout=20)]


def ended(answers: Iterator[Any]) -> Status:
    """How a stream ends that is refused."""
    return refusal(lambda _: list(answers), GetSourcePositionRequest())


@pytest.fixture
def trading(ledger: Ledger) -> Ledger:
    ledger.commands.RegisterSymbol(symbol())
    return ledger


def test_every_request_is_answered_in_order_with_what_is_durable(trading: Ledger) -> None:
    answers = stream(trading, *(request(first, *numbered(first, 3)) for first in range(1, 60, 3)))
    assert [answer.source_sequence for answer in answers] == list(range(3, 61, 3))
    assert [answer.recorded for answer in answers] == [3] * 20
    assert [line.sequence for line in history(trading)] == list(range(1, 61))


def test_rows_and_columns_may_follow_each_other(trading: Ledger) -> None:
    columns = RecordFillsRequest(source="engine", first_sequence=2, columns=columns_of(numbered(2, 2)))
    answers = stream(trading, request(1, *numbered(1)), StreamFillsRequest(batch=columns))
    assert [answer.source_sequence for answer in answers] == [1, 3]
    assert [line.fill_ref.exec_id for line in history(trading)] == ["E1", "E2", "E3"]


def test_fees_are_answered_where_asked_for(trading: Ledger) -> None:
    plain, asked = stream(trading, request(1, *numbered(1)), request(2, *numbered(2), include_fees=True))
    assert (len(plain.fees), len(asked.fees)) == (0, 1)
    assert asked.fees[0].fee_currency == "USDT"


def test_what_comes_again_with_other_boundaries_is_trimmed(trading: Ledger) -> None:
    stream(trading, request(1, *numbered(1, 5)))
    (answer,) = stream(trading, request(3, *numbered(3, 6)))
    assert (answer.recorded, answer.replayed, answer.source_sequence) == (3, 3, 8)
    assert [line.sequence for line in history(trading)] == list(range(1, 9))


def test_a_malformed_fill_and_a_conflict_are_refused_alone_and_the_stream_goes_on(trading: Ledger) -> None:
    answers = stream(
        trading,
        request(1, fill(exec_id="E1"), fill(exec_id="E 2"), fill(exec_id="E3")),
        request(4, fill(exec_id="E1", last_px="9")),
        request(5, fill(exec_id="E5")),
    )
    refusals = [[(entry.index, entry.field) for entry in answer.refusals] for answer in answers]
    assert refusals == [[(1, "exec_id")], [(0, "exec_id")], []]
    assert answers[-1].source_sequence == 5


def test_a_gap_ends_the_stream_with_the_number_expected_and_keeps_what_was_answered(trading: Ledger) -> None:
    answers = trading.fills.StreamFills(iter([request(1, *numbered(1)), request(3, *numbered(3))]), timeout=20)
    assert next(answers).batch.source_sequence == 1
    status = ended(answers)
    assert (status.reason, status.field) == ("SEQUENCE_GAP", "batch.first_sequence")
    assert status.metadata["expected_sequence"] == "2"
    assert trading.fills.GetSourcePosition(GetSourcePositionRequest(source="engine")).last_sequence == 1


def test_a_stream_is_of_one_source(trading: Ledger) -> None:
    requests = [request(1, *numbered(1)), request(1, *numbered(1), source="other")]
    status = ended(trading.fills.StreamFills(iter(requests), timeout=20))
    assert (status.reason, status.field) == ("SOURCE_CHANGED", "batch.source")


def test_four_streams_of_one_source_record_each_number_once(trading: Ledger) -> None:
    found: list[Any] = []

    def send() -> None:
        found.extend(stream(trading, *(request(first, *numbered(first, 2)) for first in range(1, 100, 2))))

    senders = [threading.Thread(target=send) for _ in range(4)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert sum(answer.recorded for answer in found) == 100
    assert [line.sequence for line in history(trading)] == list(range(1, 101))


def test_a_stream_for_which_the_system_gives_no_thread_is_told_to_come_later(
    trading: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start

    def fail(thread: threading.Thread) -> None:
        if thread.name == "stream":
            raise RuntimeError("can't start new thread")
        start(thread)

    with monkeypatch.context() as without_threads:
        without_threads.setattr(threading.Thread, "start", fail)
        status = ended(trading.fills.StreamFills(iter([request(1, *numbered(1))]), timeout=20))
    assert (status.code, status.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "STREAMS_EXHAUSTED")
    assert [answer.source_sequence for answer in stream(trading, request(1, *numbered(1)))] == [1]


def test_one_stream_too_many_is_refused_and_a_closed_one_makes_room(start_ledger: StartLedger) -> None:
    ledger = start_ledger(streams_max=1, stream_grace_ms=60_000)
    ledger.commands.RegisterSymbol(symbol())
    hold = threading.Event()
    first = ledger.fills.StreamFills(one_and_then_nothing(hold), timeout=30)
    assert next(first).batch.source_sequence == 1
    status = ended(ledger.fills.StreamFills(iter([request(1, *numbered(1), source="b")]), timeout=20))
    assert (status.code, status.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "STREAMS_EXHAUSTED")
    hold.set()
    assert list(first) == []
    assert stream(ledger, request(1, *numbered(1), source="b"))[0].source_sequence == 1


def one_and_then_nothing(hold: threading.Event) -> Iterator[StreamFillsRequest]:
    """Requests of an engine that has one fill, and then none until it is let go."""
    yield request(1, *numbered(1))
    hold.wait(20)


def test_a_stream_on_which_nothing_comes_is_ended_and_can_be_opened_again(start_ledger: StartLedger) -> None:
    ledger = start_ledger(stream_idle_ms_max=300)
    ledger.commands.RegisterSymbol(symbol())
    hold = threading.Event()
    status = ended(ledger.fills.StreamFills(one_and_then_nothing(hold), timeout=20))
    hold.set()
    assert (status.code, status.reason) == (grpc.StatusCode.UNAVAILABLE, "STREAM_IDLE")
    assert "open the stream again" in status.message
    assert stream(ledger, request(2, *numbered(2)))[0].source_sequence == 2


def test_where_all_streams_are_open_the_longest_idle_one_makes_room(start_ledger: StartLedger) -> None:
    ledger = start_ledger(streams_max=2, stream_grace_ms=1)
    ledger.commands.RegisterSymbol(symbol())
    hold = threading.Event()
    idle = []
    for _ in range(2):  # one after the other: the first has waited for longer
        idle.append(ledger.fills.StreamFills(one_and_then_nothing(hold), timeout=30))
        assert next(idle[-1]).batch.source_sequence == 1
    assert stream(ledger, request(1, *numbered(1), source="late"))[0].source_sequence == 1
    assert ended(idle[0]).reason == "STREAM_IDLE"
    hold.set()
    assert list(idle[1]) == []


def test_a_stream_whose_answers_nobody_reads_makes_room_too(start_ledger: StartLedger) -> None:
    ledger = start_ledger(streams_max=1, stream_grace_ms=500, stream_requests_max=2)
    ledger.commands.RegisterSymbol(symbol())
    sent: list[int] = []

    def endless() -> Iterator[StreamFillsRequest]:
        while True:
            yield request(len(sent) * 200 + 1, *numbered(len(sent) * 200 + 1, 200), include_fees=True)
            sent.append(1)

    call = ledger.fills.StreamFills(endless(), timeout=60)
    when_settled(sent)
    with grpc.insecure_channel(ledger.address) as channel:
        late = FillServiceStub(channel).StreamFills(iter([request(1, *numbered(1), source="late")]), timeout=20)
        assert next(late).batch.source_sequence == 1
    call.cancel()


def test_a_sender_that_reads_no_answers_is_stopped_and_others_go_on(start_ledger: StartLedger) -> None:
    ledger = start_ledger(stream_requests_max=2)
    ledger.commands.RegisterSymbol(symbol())
    sent: list[int] = []
    over = threading.Event()

    def endless() -> Iterator[StreamFillsRequest]:
        while not over.is_set():
            yield request(len(sent) * 200 + 1, *numbered(len(sent) * 200 + 1, 200), include_fees=True)
            sent.append(1)

    call = ledger.fills.StreamFills(endless(), timeout=60)
    stopped = when_settled(sent)
    assert stream(ledger, request(1, *numbered(1), source="other"))[0].source_sequence == 1
    assert len(sent) == stopped
    over.set()
    call.cancel()


def when_settled(sent: list[int]) -> int:
    """How much was sent, once nothing more goes out."""
    quiet = threading.Event()
    for _ in range(30):
        before = len(sent)
        quiet.wait(1)
        if len(sent) == before:
            return before
    raise AssertionError(f"still sending after {len(sent)}")


def test_clients_that_hang_up_are_no_defect_of_the_ledger(trading: Ledger, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(100):
        answers = trading.fills.StreamFills(iter([request(1, *numbered(1), source=f"s{number}")]), timeout=20)
        if number % 2:
            next(answers)
        answers.cancel()
    assert stream(trading, request(1, *numbered(1), source="last"))
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_a_stop_ends_streams_that_wait_for_their_client_and_tells_them_to_come_again(dsn: str, schema: str) -> None:
    sent: Queue[StreamFillsRequest | None] = Queue()
    with ExitStack() as stack:
        with serving(dsn, schema) as ledger:
            ledger.commands.RegisterSymbol(symbol())
            channel = stack.enter_context(grpc.insecure_channel(ledger.address))
            answers = FillServiceStub(channel).StreamFills(iter(sent.get, None), timeout=60)
            sent.put(request(1, *numbered(1)))
            assert next(answers).batch.recorded == 1
            half = channel.stream_stream("/ledger.v1.QueryService/GetVipState", None, None)(iter(sent.get, None))
            begun_s = time.monotonic()
        took_s = time.monotonic() - begun_s
        assert (found := ended(answers)).reason == "STREAM_IDLE"
        assert "the service stops" in found.message
        assert half.code() in (grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE)
        sent.put(None)
        sent.put(None)
    assert took_s < 8, "not the ten seconds that calls may finish within"
