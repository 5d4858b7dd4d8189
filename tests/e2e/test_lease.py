"""A writer that hangs or is cut off loses the pen, another one writes, and no past is told as the present."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any

import grpc
import psycopg
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from psycopg.conninfo import conninfo_to_dict

from ledger.v1.fill_service_pb2 import RecordFillsRequest
from ledger.v1.fill_service_pb2_grpc import FillServiceStub
from ledger.v1.query_service_pb2 import GetVipStateRequest
from ledger.v1.query_service_pb2_grpc import QueryServiceStub
from scripts.torture.load import Load
from scripts.torture.pair import Pair
from scripts.torture.pause import writer_backend
from scripts.torture.proxy import Proxy
from scripts.torture.served import Served

# In place of 6 s: the rest of the way to the next writer is the same.
QUICK: dict[str, Any] = {"writer_silent_ms_max": 2_000, "drain_ms": 0, "projections": False}
WRITES_AGAIN_S_MAX = 20.0  # about 3 s with this silence, on a machine that has nothing else to do
KILLED_S_MAX = 8.0  # 2 s on a machine that has nothing else to do
STOP_MS = 2_000
CALL_S = 20
ROUNDS = 8  # in some a round trip that keeps the pen is held back, and the commit waits for it
SCHEMA = "test_lease"
ALONE = "test_alone"


@pytest.fixture(scope="module")
def pair(dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with Pair(dsn, tmp_path_factory.mktemp("lease"), schema=SCHEMA, **QUICK) as pair:
        yield pair


def test_a_hung_writer_is_replaced_and_revived_it_tells_no_past_as_the_present(pair: Pair, dsn: str) -> None:
    with Load(dsn, SCHEMA, *pair.services) as load:
        writer = load.writer()
        other = 1 - writer
        hung_s = time.monotonic()
        pair.services[writer].pause()
        assert load.seconds_to_write(hung_s, WRITES_AGAIN_S_MAX, by=other) < float("inf")
        time.sleep(1)  # calls to the hung one wait in its sockets
        before = load.asked[writer, "answers"]
        pair.services[writer].go_on()
        assert load.refusal(writer) in {"NOT_THE_WRITER", "OUTCOME_UNKNOWN"}
        assert load.refusal(writer) == "NOT_THE_WRITER"
        time.sleep(0.5)
    assert load.history.findings == []
    assert load.asked[writer, "answers"] > before, "the revived one was asked nothing"


def test_a_writer_whose_session_was_ended_while_it_hung_tells_no_past_as_the_present(pair: Pair, dsn: str) -> None:
    with Load(dsn, SCHEMA, *pair.services) as load:
        writer = load.writer()
        hung_s = time.monotonic()
        pair.services[writer].pause()
        with psycopg.connect(dsn, autocommit=True) as admin:
            admin.execute("SELECT pg_terminate_backend(%s)", [writer_backend(admin, SCHEMA)])
        assert load.seconds_to_write(hung_s, WRITES_AGAIN_S_MAX, by=1 - writer) < float("inf")
        time.sleep(1)
        before = load.asked[writer, "answers"]
        pair.services[writer].go_on()
        time.sleep(0.5)
    assert load.history.findings == []
    assert load.asked[writer, "answers"] > before, "the revived one was asked nothing"


def test_a_writer_behind_a_frozen_network_is_replaced_and_writes_no_more_when_that_thaws(pair: Pair, dsn: str) -> None:
    with Load(dsn, SCHEMA, *pair.services) as load:
        writer = load.writer()
        frozen_s = time.monotonic()
        pair.links[writer].freeze()
        assert load.seconds_to_write(frozen_s, WRITES_AGAIN_S_MAX, by=1 - writer) < float("inf")
        pair.links[writer].thaw()
        time.sleep(0.5)
        assert load.refusal(writer) == "NOT_THE_WRITER"
    assert load.history.findings == []


def test_what_a_standby_has_read_the_writer_does_not_contradict_before_it_hears_of_its_own_commit(
    pair: Pair, dsn: str
) -> None:
    channels = [service.channel for service in pair.services]
    with Load(dsn, SCHEMA, *pair.services) as load:  # alice has a fill
        writer = load.writer()
    assert goes_on(channels[writer], 0)
    seen = 0
    for number in range(1, ROUNDS):
        before = max(position(channel, CALL_S) for channel in channels)
        pair.links[writer].hold_answers()
        try:
            thread = Thread(target=goes_on, args=(channels[writer], number))
            thread.start()
            time.sleep(0.1)  # far less than a lease
            known = position(channels[1 - writer], CALL_S)
            with suppress(grpc.RpcError):  # it does not know, and says nothing
                assert position(channels[writer], 0.3) >= known
            seen += known > before
        finally:
            pair.links[writer].thaw()
        thread.join()
        assert position(channels[writer], CALL_S) >= known
    assert seen, "the standby never saw a commit before the writer heard of it"


def goes_on(channel: grpc.Channel, second: int) -> bool:
    """A source says how far it is, which is a commit of one event; False: this service does not write."""
    request = RecordFillsRequest(source="engine-1", complete_until=Timestamp(seconds=1_717_416_000 + second))
    try:
        FillServiceStub(channel).RecordFills(request, timeout=CALL_S)
    except grpc.RpcError:
        return False
    return True


def position(channel: grpc.Channel, timeout_s: float) -> int:
    """Ask for the state of an account that is in memory; return the position that it says is the present."""
    request = GetVipStateRequest(account_id="alice")
    return int(QueryServiceStub(channel).GetVipState(request, timeout=timeout_s).basis.known_at_position)


def test_a_killed_writer_is_replaced_at_once(pair: Pair, dsn: str) -> None:
    with Load(dsn, SCHEMA, *pair.services) as load:
        writer = load.writer()
        killed_s = time.monotonic()
        pair.services[writer].kill()
        assert load.seconds_to_write(killed_s, WRITES_AGAIN_S_MAX, by=1 - writer) < KILLED_S_MAX
        pair.services[writer].start()
    assert load.history.findings == []


@pytest.fixture(scope="module")
def alone(dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, Proxy]]:
    """A service without a standby, and what is between it and PostgreSQL."""
    with Proxy(dsn) as proxy:
        settings = {**QUICK, "stop_grace_ms": STOP_MS, "projections": True}
        service = Served(tmp_path_factory.mktemp("alone"), dsn=proxy.dsn, schema=ALONE, **settings)
        service.start()
        try:
            yield service, proxy
        finally:
            service.stop()


def test_a_single_service_is_not_locked_out_by_its_own_ghost(alone: tuple[Served, Proxy], dsn: str) -> None:
    service, proxy = alone
    with Load(dsn, ALONE, service) as load:
        load.writer()
        proxy.freeze()
        proxy.cut()  # PostgreSQL does not hear of it: the session stays, and the pen with it
        time.sleep(3)
        healed_s = time.monotonic()
        proxy.thaw()
        assert load.seconds_to_write(healed_s, 30) < 20  # an attempt to connect may take 5 s
    assert load.history.findings == []


def test_a_service_that_waits_for_postgresql_stops_when_it_is_told_to(alone: tuple[Served, Proxy], dsn: str) -> None:
    service, proxy = alone
    with Load(dsn, ALONE, service) as load:
        load.writer()
        proxy.freeze()
        time.sleep(0.5)  # now the writer, readers and the tables wait
        began_s = time.monotonic()
        assert service.end() == 0
    assert time.monotonic() - began_s < STOP_MS / 1000 + 5


def test_no_command_line_has_the_password(pair: Pair, dsn: str) -> None:
    password = str(conninfo_to_dict(dsn)["password"]).encode()
    for service in pair.services:
        assert b"ledger" in (told := Path(f"/proc/{service.pid}/cmdline").read_bytes())
        assert password not in told
