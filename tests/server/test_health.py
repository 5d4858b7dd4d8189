"""Health by service: what turns it, what is logged, who watches it, and that no watcher can stop the server."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import grpc_testing
import pytest
from grpc_health.v1.health_pb2 import DESCRIPTOR, HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub, add_HealthServicer_to_server

from ledger.config import Config
from ledger.server import health
from ledger.server.calls import Calls
from ledger.server.health import READING, SERVICES, WRITING, Health
from ledger.server.lanes import LANES
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
def looked(faults: Faults, monkeypatch: pytest.MonkeyPatch) -> Iterator[Health]:
    """Health that looks a hundred times a second."""
    monkeypatch.setattr(health, "_EVERY_S", 0.01)
    found = Health()
    found.start(lambda: faults.reads, faults.of_writes)
    yield found
    found.stop()


@pytest.fixture
def stub(looked: Health) -> Iterator[HealthStub]:
    """A stub of a server that has health alone, in its lanes."""
    server, calls = grpc.server(ThreadPoolExecutor(1)), Calls(Config())
    add_HealthServicer_to_server(looked, calls)
    server.add_generic_rpc_handlers((calls,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield HealthStub(channel)
        looked.stop()
        assert server.stop(5).wait(10)


class Behaviours:
    """Calls of the handlers as gRPC makes them, without a server."""

    def __init__(self, looked: Health) -> None:
        service = DESCRIPTOR.services_by_name["Health"]
        self._server = grpc_testing.server_from_dictionary({service: looked}, grpc_testing.strict_real_time())
        self._methods = service.methods_by_name

    def check(self, name: str) -> tuple[int | None, grpc.StatusCode]:
        """Return the status of a service, None if there is no answer, and the code of the call."""
        asked = HealthCheckRequest(service=name)
        call = self._server.invoke_unary_unary(self._methods["Check"], (), asked, None)
        answer, _, code, _ = call.termination()
        return (None if answer is None else answer.status), code

    def all_say(self, names: tuple[str, ...], expected: int) -> bool:
        return all(self.check(name) == (expected, grpc.StatusCode.OK) for name in names)

    def watch(self, name: str) -> grpc_testing.UnaryStreamServerRpc:
        return self._server.invoke_unary_stream(self._methods["Watch"], (), HealthCheckRequest(service=name), None)


@pytest.fixture
def behaviours(looked: Health) -> Behaviours:
    return Behaviours(looked)


def status(stub: HealthStub, name: str) -> int:
    found: int = stub.Check(HealthCheckRequest(service=name), timeout=5).status
    return found


def test_every_service_reads_or_writes_and_the_server_as_a_whole_reads() -> None:
    assert {method.partition("/")[0] for methods in LANES.values() for method in methods} == {
        *SERVICES,
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    }
    assert sorted((*READING, *WRITING)) == ["", *SERVICES]
    assert READING == ("", "ledger.v1.ControlService", "ledger.v1.MemberQueryService", "ledger.v1.QueryService")


def test_who_cannot_write_serves_reads_and_who_cannot_read_serves_nothing(
    behaviours: Behaviours, faults: Faults
) -> None:
    assert behaviours.all_say((*READING, *WRITING), SERVING)
    faults.writes = "the disk is full"
    wait_for(lambda: behaviours.all_say(WRITING, NOT_SERVING))
    assert behaviours.all_say(READING, SERVING)
    faults.reads, faults.writes = "PostgreSQL is gone", ""
    wait_for(lambda: behaviours.all_say((*READING, *WRITING), NOT_SERVING))
    faults.reads = ""
    wait_for(lambda: behaviours.all_say((*READING, *WRITING), SERVING))


def test_one_look_is_enough_and_there_are_four_within_the_two_seconds() -> None:
    looked = Health()
    looked.start(lambda: "", lambda: "the disk is full")
    try:
        for names, expected in ((READING, SERVING), (WRITING, NOT_SERVING)):
            assert {looked.Check(HealthCheckRequest(service=name), None).status for name in names} == {expected}
    finally:
        looked.stop()
    assert 4 * health._EVERY_S <= 2


def test_a_defect_of_whoever_is_told_does_not_end_the_looking(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(health, "_EVERY_S", 0.01)
    told, looked = list[str](), Health()

    def fail(reads: str, _: str) -> None:
        told.append(reads)
        raise ValueError("a defect of the test")

    looked.start(lambda: "", looked=fail)
    try:
        wait_for(lambda: len(told) > 3)
    finally:
        looked.stop()
    assert "ValueError: a defect of the test" in caplog.text


def test_each_turn_is_one_line_of_the_log_with_the_names_and_the_reason(
    behaviours: Behaviours, faults: Faults, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ledger.server.health")
    faults.writes = "the disk is full"
    wait_for(lambda: behaviours.all_say(WRITING, NOT_SERVING))
    faults.writes = ""
    wait_for(lambda: behaviours.all_say(WRITING, SERVING))
    names = ", ".join(name.removeprefix("ledger.v1.") for name in WRITING)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", f"health: NOT_SERVING for {names}: the disk is full"),
        ("INFO", f"health: SERVING for {names}"),
    ]


def test_a_service_that_there_is_not_is_not_found_and_who_watches_it_is_told_so(behaviours: Behaviours) -> None:
    assert behaviours.check("ledger.v1.Nothing") == (None, grpc.StatusCode.NOT_FOUND)
    watch = behaviours.watch("ledger.v1.Nothing")
    assert watch.take_response().status == HealthCheckResponse.SERVICE_UNKNOWN
    watch.cancel()


def test_a_watcher_is_told_each_turn_once_until_the_service_stops(
    behaviours: Behaviours, faults: Faults, looked: Health
) -> None:
    watch = behaviours.watch(WRITING[0])
    told = [watch.take_response().status]
    for faults.writes in ("the disk is full", "", "PostgreSQL is gone"):
        told.append(watch.take_response().status)
    looked.stop()
    _, code, _ = watch.termination()
    assert (told, code) == ([SERVING, NOT_SERVING] * 2, grpc.StatusCode.OK)


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
    wait_for(lambda: all(status(stub, name) == SERVING for name in WRITING))
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
