"""`fee-ledger health`: of a writer, a standby, a service that stops, and of nobody."""

from __future__ import annotations

import json
import socket

import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from ledger.cli import health
from ledger.program import main
from tests.cli.running import Run
from tests.conftest import Clock, StartLedger
from tests.waiting import wait_for


def test_a_writer_serves_both(run: Run) -> None:
    assert run("health", "--writes") == (0, "reads   served\nwrites  served\n", "")
    code, out, _ = run("health", "--json")
    assert (code, json.loads(out)) == (0, {"reads": True, "writes": True})


def test_a_standby_serves_reads_alone(start_ledger: StartLedger, capsys: pytest.CaptureFixture[str]) -> None:
    writer, standby = start_ledger(), start_ledger(clock=Clock())
    assert writer.ledger_id == standby.ledger_id
    wait_for(lambda: main(["health", "--address", standby.address]) == 0)
    capsys.readouterr()
    assert main(["health", "--address", standby.address]) == 0
    assert capsys.readouterr().out == "reads   served\nwrites  not served\n"
    assert main(["health", "--writes", "--address", standby.address]) == 1


def test_where_nobody_listens_it_ends_with_2_and_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    assert main(["health", "--timeout", "1", "--address", address]) == 2
    assert capsys.readouterr().err.startswith(f"fee-ledger: no ledger answers at {address}")


def test_its_messages_are_those_of_grpc_health() -> None:
    asked = health.StringValue(value="ledger.v1.FillService").SerializeToString()
    assert HealthCheckRequest.FromString(asked).service == "ledger.v1.FillService"
    for status in (HealthCheckResponse.SERVING, HealthCheckResponse.NOT_SERVING):
        answer = health.UInt32Value.FromString(HealthCheckResponse(status=status).SerializeToString())
        assert (answer.value == health._SERVING) == (status == HealthCheckResponse.SERVING)
