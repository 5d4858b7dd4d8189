"""A served process tells systemd when it serves, that it lives, and that it stops; its PostgreSQL knows no systemd."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from tests.conftest import serving
from tests.data_folders import empty_database
from tests.e2e.served import Served, started

WATCHDOG_S = 1.0


class Told(NamedTuple):
    """A datagram, and when it came by the monotonic clock."""

    lines: list[str]
    at_s: float


class Systemd:
    """The socket that systemd would read."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))

    def next(self, within_s: float = 30) -> Told | None:
        """Return the next datagram; None if none comes."""
        self._socket.settimeout(within_s)
        try:
            return Told(self._socket.recv(4096).decode().split("\n"), time.monotonic())
        except TimeoutError:
            return None

    def until(self, begins: str, within_s: float = 30) -> Told:
        """Return the first datagram with a line that begins so; it fails if there is none in time."""
        deadline = time.monotonic() + within_s
        while (told := self.next(max(deadline - time.monotonic(), 0.001))) is not None:
            if any(line.startswith(begins) for line in told.lines):
                return told
        raise AssertionError(f"{begins} was not told within {within_s} s")

    def status(self, begins: str) -> Told:
        """Return the first datagram with a status that begins so."""
        return self.until(f"STATUS={begins}")

    def close(self) -> None:
        self._socket.close()

    def drain(self) -> None:
        """Forget what has come."""
        while self.next(0.001) is not None:
            pass


@pytest.fixture(scope="module")
def systemd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Systemd]:
    path = tmp_path_factory.mktemp("systemd") / "notify"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NOTIFY_SOCKET", str(path))
        patch.setenv("WATCHDOG_USEC", str(int(WATCHDOG_S * 1e6)))
        listening = Systemd(path)
        yield listening
        listening.close()


@pytest.fixture(scope="module")
def served(systemd: Systemd) -> Iterator[Served]:
    """A service that systemd seems to have started, up to where it is ready."""
    service = Served(empty_database())
    service.start()
    yield service
    service.stop()


def test_ready_comes_when_it_answers_and_not_before(systemd: Systemd, served: Served) -> None:
    systemd.status("starting")
    ready = systemd.next()
    assert ready is not None
    assert ready.lines[0] == "READY=1"
    assert ready.lines[1].startswith("STATUS=writing the ledger, since position ")
    with grpc.insecure_channel(served.address) as channel:
        answer = HealthStub(channel).Check(HealthCheckRequest(service="ledger.v1.FillService"), timeout=5)
    assert answer.status == HealthCheckResponse.SERVING


def test_signs_of_life_come_in_time_and_stop_while_the_process_stands_still(systemd: Systemd, served: Served) -> None:
    systemd.drain()
    first, second = systemd.until("WATCHDOG=1"), systemd.until("WATCHDOG=1")
    assert second.at_s - first.at_s < WATCHDOG_S
    served.pause()
    try:
        time.sleep(0.1)
        systemd.drain()
        assert systemd.next(2 * WATCHDOG_S) is None
    finally:
        served.go_on()
    assert systemd.until("WATCHDOG=1", 10)


def test_no_process_of_postgresql_has_the_socket_in_its_environment(served: Served) -> None:
    environment = Path(f"/proc/{served.postgres.postmaster()}/environ").read_bytes()
    assert b"LC_ALL=C" in environment
    assert b"NOTIFY_SOCKET" not in environment
    assert b"WATCHDOG" not in environment


def test_a_store_that_stands_still_is_a_status_and_the_signs_of_life_go_on(systemd: Systemd, served: Served) -> None:
    """To start the service again would not help PostgreSQL."""
    systemd.drain()
    with served.postgres.frozen():
        assert systemd.status("serving nothing: PostgreSQL does not answer, since position ")
        assert systemd.until("WATCHDOG=1")
    assert systemd.status("writing the ledger, since position ")


def test_a_standby_is_ready_and_says_so_and_later_that_it_writes(systemd: Systemd, dsn: str, schema: str) -> None:
    with ExitStack() as stack:
        with serving(dsn, schema):
            stack.enter_context(started(dsn=dsn, schema=schema))
            ready = systemd.status("standing by, serving reads: another process writes, since position ")
            assert ready.lines[0] == "READY=1"
        assert systemd.status("writing the ledger, since position ")


def test_stopping_is_told_before_it_ends(systemd: Systemd, served: Served) -> None:
    systemd.drain()
    os.kill(served.pid, signal.SIGTERM)
    systemd.until("STOPPING=1")
    assert served.end() == 0
    assert systemd.next(0.001) is None  # and nothing after it
