"""Each call counts once, under the status that its caller was told."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest
from grpc_health.v1.health_pb2_grpc import HealthStub, add_HealthServicer_to_server

from ledger.config import Config
from ledger.server.calls import Calls
from ledger.server.health import Health
from tests.waiting import wait_for

CHECK = "grpc.health.v1.Health/Check"


@pytest.fixture
def calls() -> Calls:
    return Calls(Config())


@pytest.fixture
def stub(calls: Calls) -> Iterator[HealthStub]:
    """A stub of a server that has health alone."""
    server, health = grpc.server(ThreadPoolExecutor(1)), Health()
    add_HealthServicer_to_server(health, calls)
    server.add_generic_rpc_handlers((calls,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield HealthStub(channel)
        health.stop()
        assert server.stop(5).wait(10)


def test_an_answer_and_a_status_that_the_service_itself_gives_count_under_their_codes(
    calls: Calls, stub: HealthStub
) -> None:
    stub.Check(HealthCheckRequest(), timeout=10)
    with pytest.raises(grpc.RpcError):
        stub.Check(HealthCheckRequest(service="there.is.None"), timeout=10)

    wait_for(lambda: sum(calls.counts.of(CHECK).by_code().values()) == 2)
    assert calls.counts.of(CHECK).by_code() == {"OK": 1, "NOT_FOUND": 1}
    assert calls.counts.readings()["fee_ledger_calls_total"] == {("OK", CHECK): 1, ("NOT_FOUND", CHECK): 1}
