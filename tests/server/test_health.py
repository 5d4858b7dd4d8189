"""Health by service: what turns it, what is logged, who watches it, and that no watcher can stop the server."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub, add_HealthServicer_to_server

from ledger.config import Config
from ledger.server import health
from ledger.server.health import READING, SERVICES, WRITING, Health
from ledger.server.lanes import LANES, Lanes
from tests.waiting import wait_for

SERVING, NOT_SERVING = HealthCheckResponse.SERVING, HealthCheckResponse.NOT_SERVING


class Faults:
    """Why reads and writes cannot be served now; empty: they can."""

    def __init__(self) -> None:
        self.reads = self.writes = ""
        self.turns = False  # writes fail every other time that health looks
        self._looks = itertools.count()

    def of_writes(self) -> str:
        return "it turns" if self.turns and next(self._looks) % 2 else self.writes


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def stub(faults: Faults) -> Iterator[HealthStub]:
    """A stub of a server that has health alone, in its lanes."""
    looked, server = Health(), grpc.server(ThreadPoolExecutor(2), interceptors=[Lanes(Config())])
    add_HealthServicer_to_server(looked, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    looked.start(lambda: faults.reads, faults.of_writes)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield HealthStub(channel)
        looked.stop()
        assert server.stop(5).wait(10)


def status(stub: HealthStub, name: str) -> int:
    found: int = stub.Check(HealthCheckRequest(service=name), timeout=5).status
    return found


def all_say(stub: HealthStub, names: tuple[str, ...], expected: int) -> bool:
    return all(status(stub, name) == expected for name in names)


def test_every_service_reads_or_writes_and_the_server_as_a_whole_reads() -> None:
    assert {method.partition("/")[0] for methods in LANES.values() for method in methods} == {
        *SERVICES,
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    }
    assert sorted((*READING, *WRITING)) == ["", *SERVICES]
    assert READING == ("", "ledger.v1.ControlService", "ledger.v1.MemberQueryService", "ledger.v1.QueryService")


def test_who_cannot_write_serves_reads_and_who_cannot_read_serves_nothing(stub: HealthStub, faults: Faults) -> None:
    assert all_say(stub, (*READING, *WRITING), SERVING)
    faults.writes = "the disk is full"
    wait_for(lambda: all_say(stub, WRITING, NOT_SERVING))
    assert all_say(stub, READING, SERVING)
    faults.reads, faults.writes = "PostgreSQL is gone", ""
    wait_for(lambda: all_say(stub, (*READING, *WRITING), NOT_SERVING))
    faults.reads = ""
    wait_for(lambda: all_say(stub, (*READING, *WRITING), SERVING))


def test_one_look_is_enough_and_there_are_four_within_the_two_seconds() -> None:
    looked = Health()
    looked.start(lambda: "", lambda: "the disk is full")
    try:
        for names, expected in ((READING, SERVING), (WRITING, NOT_SERVING)):
            assert {looked.Check(HealthCheckRequest(service=name), None).status for name in names} == {expected}
    finally:
        looked.stop()
    assert 4 * health._EVERY_S <= 2


def test_each_turn_is_one_line_of_the_log_with_the_names_and_the_reason(
    stub: HealthStub, faults: Faults, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ledger.server.health")
    faults.writes = "the disk is full"
    wait_for(lambda: all_say(stub, WRITING, NOT_SERVING))
    faults.writes = ""
    wait_for(lambda: all_say(stub, WRITING, SERVING))
    names = ", ".join(name.removeprefix("ledger.v1.") for name in WRITING)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", f"health: NOT_SERVING for {names}: the disk is full"),
        ("INFO", f"health: SERVING for {names}"),
    ]


def test_a_service_that_there_is_not_is_not_found_and_who_watches_it_is_told_so(stub: HealthStub) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        status(stub, "ledger.v1.Nothing")
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND  # type: ignore[attr-defined]
    watch = stub.Watch(HealthCheckRequest(service="ledger.v1.Nothing"))
    assert next(watch).status == HealthCheckResponse.SERVICE_UNKNOWN
    watch.cancel()


def test_watchers_who_hang_up_while_health_turns_stop_nobody(stub: HealthStub, faults: Faults) -> None:
    faults.turns = True

    def watch(number: int) -> None:
        call = stub.Watch(HealthCheckRequest(service=WRITING[number % len(WRITING)]), timeout=10)
        for _ in range(number % 4 + 1):
            next(call)
        call.cancel()

    with ThreadPoolExecutor(32) as watchers:
        list(watchers.map(watch, range(200)))
    faults.turns = False
    wait_for(lambda: all_say(stub, WRITING, SERVING))
    assert next(stub.Watch(HealthCheckRequest(service=WRITING[0]), timeout=10)).status == SERVING


def test_more_watchers_than_there_are_places_are_refused_and_checks_go_on(stub: HealthStub) -> None:
    watches = [stub.Watch(HealthCheckRequest(service=""), timeout=30) for _ in range(64)]
    assert [next(watch).status for watch in watches] == [SERVING] * 64
    with pytest.raises(grpc.RpcError) as caught:
        next(stub.Watch(HealthCheckRequest(service=""), timeout=30))
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED  # type: ignore[attr-defined]
    assert status(stub, "") == SERVING
    for watch in watches:
        watch.cancel()
