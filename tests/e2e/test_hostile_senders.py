"""Senders that crowd, that do not listen, and that meet a writer, or a service, which stands still."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import grpc
import pytest

from ledger.client import Client, Refused
from ledger.config import Config
from ledger.domain.refusal import Reason
from ledger.v1 import fill_service_pb2 as pb
from ledger.v1.fill_pb2 import Fill
from ledger.v1.fill_service_pb2_grpc import FillServiceStub
from ledger.v1.query_service_pb2 import GetVipStateRequest
from ledger.v1.query_service_pb2_grpc import QueryServiceStub
from scripts.torture.pause import paused_writer
from tests.conftest import Ledger, StartLedger
from tests.e2e.served import Served, started
from tests.samples import batch, fill, history, state, symbol
from tests.server.calls import CALL_S_MAX
from tests.waiting import wait_for

SENDERS = 64
# What the two ends of a connection hold, and what the service has taken ahead, with room to spare.
HELD_BYTES_MAX = 2 * Config().lookahead_bytes + 2 * Config().stream_requests_max * 10_000
FILLS = 200  # of a message whose answer nobody reads
STEP, LENGTH = 10, 35  # each sender begins ten numbers after the one before, and sends what the next three send too
LAST = (SENDERS - 1) * STEP + LENGTH


def numbered(first: int, count: int, **changes: Any) -> list[Fill]:
    return [fill(exec_id=f"E{number}", **changes) for number in range(first, first + count)]


def test_of_sixty_four_senders_of_overlapping_ranges_everyone_is_answered_and_each_fill_recorded_once(
    ledger: Ledger,
) -> None:
    ledger.commands.RegisterSymbol(symbol())
    advanced, all_sent = threading.Condition(), numbered(1, LAST)
    gaps: list[tuple[Reason | None, bool]] = []

    def send(client: Client, first: int) -> pb.RecordFillsResponse:
        """The answer, once the senders before have filled the gap."""
        while True:
            try:
                fills = all_sent[first - 1 : first - 1 + LENGTH]
                answer = client.record_fills(fills, source="crowd", first_sequence=first)
            except Refused as refused:
                gaps.append((refused.reason, int(refused.metadata["expected_sequence"]) < first))
                with advanced:
                    advanced.wait(0.05)
            else:
                with advanced:
                    advanced.notify_all()
                return answer

    with Client(ledger.address) as client, ThreadPoolExecutor(SENDERS) as senders:
        firsts = [1 + STEP * number for number in reversed(range(SENDERS))]  # the last ones first
        answers = list(senders.map(send, [client] * SENDERS, firsts))
    assert sum(answer.recorded for answer in answers) == LAST
    assert [answer.recorded + answer.replayed for answer in answers] == [LENGTH] * SENDERS
    assert all(answer.source_sequence >= first + LENGTH - 1 for answer, first in zip(answers, firsts, strict=True))
    assert set(gaps) == {(Reason.SEQUENCE_GAP, True)}
    assert [line.sequence for line in history(ledger)] == list(range(1, LAST + 1))


# -- who does not read


@pytest.fixture
def served() -> Iterator[Served]:
    """A service of its own process, whose memory can be looked at."""
    with started() as service:
        yield service


class Deaf:
    """Sends without an end, and reads no answer."""

    def __init__(self, address: str, source: str) -> None:
        self.sent = 0
        fills = numbered(1, FILLS, account_id=source)
        self._request = pb.StreamFillsRequest(batch=batch(*fills, source=source))
        self._over = threading.Event()
        # Without a probe what the connection itself holds stays small.
        self._channel = grpc.insecure_channel(address, [("grpc.http2.bdp_probe", 0)])
        self._call = FillServiceStub(self._channel).StreamFills(self._requests())

    @property
    def bytes_sent(self) -> int:
        """Until now."""
        return self.sent * self._request.ByteSize()

    def _requests(self) -> Iterator[pb.StreamFillsRequest]:
        while not self._over.is_set():
            self._request.batch.first_sequence = self.sent * FILLS + 1
            yield self._request
            self.sent += 1

    def __enter__(self) -> Deaf:
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._call.cancel()
        self._channel.close()


def test_senders_that_read_no_answers_cost_the_service_no_memory_and_others_no_time(served: Served) -> None:
    with Client(served.address) as client, ExitStack() as stack:
        client.register_symbol(
            "XRP_USDT", base_currency="XRP", quote_currency="USDT", price_scale=8, quantity_scale=4, pair_class="A"
        )
        quiet_mb = served.rss_mb
        deaf = [stack.enter_context(Deaf(served.address, f"deaf-{number}")) for number in range(3)]
        others = stack.enter_context(client.fill_stream("others", batch_fills=5, window_fills=500))
        others.send_all(numbered(1, 2_000))
        others.flush()
        wait_until_still(deaf)
        sent, before_mb = [sender.sent for sender in deaf], served.rss_mb
        others.send_all(numbered(2_001, 10_000))  # 2,000 batches
        others.flush()
        assert [sender.sent for sender in deaf] == sent
        assert served.rss_mb - before_mb < 30
        assert served.rss_mb - quiet_mb < 100
        assert max(sender.bytes_sent for sender in deaf) < HELD_BYTES_MAX
        for number, sender in enumerate(deaf):
            assert 0 < served.position(f"deaf-{number}") <= FILLS * (sender.sent + 1)


def wait_until_still(senders: list[Deaf]) -> None:
    """Until nothing more goes out for a second."""
    quiet = threading.Event()
    for _ in range(30):
        before = [sender.sent for sender in senders]
        quiet.wait(1)
        if before == [sender.sent for sender in senders]:
            return
    raise AssertionError([sender.sent for sender in senders])


# -- a writer that stands still


def test_while_the_writer_stands_still_everybody_waits_or_is_told_and_then_all_goes_on(
    start_ledger: StartLedger, dsn: str, schema: str
) -> None:
    ledger = start_ledger(queue_fills_max=400)
    ledger.commands.RegisterSymbol(symbol())
    with ExitStack() as stack:
        client = stack.enter_context(Client(ledger.address))
        pool = stack.enter_context(ThreadPoolExecutor(1))
        stream = stack.enter_context(client.fill_stream("engine", batch_fills=10, window_fills=300))
        stream.send_all(numbered(1, 10))
        stream.flush()
        with paused_writer(dsn, schema):
            sending = pool.submit(stream.send_all, numbered(11, 990))
            wait_for(lambda: stream.next_sequence == 311)  # its window is full
            # More than the queue, the commit that stands still and the one decided behind it can hold.
            callers = [ledger.fills.RecordFills.future(batch(*numbered(n * 1_000, 50))) for n in range(10, 40)]
            wait_for(lambda: any(call.done() for call in callers))
            assert state(ledger).tier == "NONE"  # the present is in memory
            assert not sending.done()
            assert (stream.acknowledged_sequence, stream.next_sequence) == (10, 311)
        assert sending.result(20) == range(11, 1_001)
    codes = [call.code() for call in callers]
    assert set(codes) == {grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED}
    lines = history(ledger)
    assert [line.sequence for line in lines if line.source] == list(range(1, 1_001))
    assert sum(not line.source for line in lines) == 50 * codes.count(grpc.StatusCode.OK)


# -- a service that stands still


def test_a_service_that_stands_still_for_a_moment_ends_no_call_of_those_who_ask(served: Served) -> None:
    """Their requests came meanwhile, and nobody took them: that a message is slow to come is told by other signs."""
    over, ended = threading.Event(), list[str]()

    def ask() -> int:
        answers = 0
        with grpc.insecure_channel(served.address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
            queries = QueryServiceStub(channel)
            while not over.is_set():
                try:
                    queries.GetVipState(GetVipStateRequest(account_id="alice"), timeout=CALL_S_MAX)
                except grpc.RpcError as error:
                    if error.code() != grpc.StatusCode.NOT_FOUND:  # type: ignore[attr-defined]
                        ended.append(str(error))
                answers += 1
        return answers

    with ThreadPoolExecutor(32) as callers:
        asking = [callers.submit(ask) for _ in range(32)]
        try:
            for _ in range(10):
                served.pause()
                time.sleep(0.1)
                served.go_on()
                time.sleep(0.1)
        finally:
            over.set()
    assert ended == []
    assert all(each.result() > 1 for each in asking)
