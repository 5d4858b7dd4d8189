"""What systemd is told over its socket, when, and that nobody waits for it: over a real datagram socket."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest

from ledger.systemd import Systemd
from tests.open_files import no_more_files

WRITING = "STATUS=writing the ledger, since position 7"


class Listener:
    """The end of the socket that systemd reads."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f"\0{address[1:]}" if address.startswith("@") else address)
        self._socket.setblocking(False)

    def heard(self) -> list[str]:
        """Return the datagrams that came, each as its lines joined by a space."""
        found = []
        with suppress(BlockingIOError):
            while True:
                found.append(self._socket.recv(4096).decode().replace("\n", " "))
        return found

    def close(self) -> None:
        self._socket.close()
        with suppress(FileNotFoundError):
            os.unlink(self.address)


@pytest.fixture(params=["path", "abstract"])
def listener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Listener]:
    found = Listener(str(tmp_path / "notify") if request.param == "path" else f"@ledger-test-{os.getpid()}")
    yield found
    found.close()


def fill(address: str) -> None:
    """Send until the queue of the socket takes no more; a sender by itself is stopped before that."""
    with suppress(BlockingIOError):
        while True:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as speaking:
                speaking.setblocking(False)
                speaking.sendto(b"x", address)


def look(systemd: Systemd, reads: str = "", writes: str = "", *, stands_by: bool = False) -> None:
    systemd.looks(reads, writes, stands_by=stands_by, position=7)


def test_ready_is_told_once_and_a_state_when_it_changes(listener: Listener) -> None:
    systemd = Systemd(listener.address)
    systemd.starts()
    for reads, writes in (("", ""), ("", ""), ("", "the disk is full"), ("PostgreSQL is gone", "x"), ("", "")):
        look(systemd, reads, writes)
    systemd.stops()
    look(systemd, "PostgreSQL is gone", "x")
    assert listener.heard() == [
        "STATUS=starting",
        f"READY=1 {WRITING}",
        "STATUS=serving reads alone: the disk is full, since position 7",
        "STATUS=serving nothing: PostgreSQL is gone, since position 7",
        WRITING,
        "STOPPING=1 STATUS=stopping: finishing what is under way",
    ]


def test_who_does_not_serve_reads_or_neither_writes_nor_stands_by_is_not_ready(listener: Listener) -> None:
    systemd = Systemd(listener.address)
    look(systemd, "PostgreSQL does not answer", "PostgreSQL does not answer")
    look(systemd, writes="the disk is full")
    look(systemd, "PostgreSQL does not answer", "another process writes", stands_by=True)
    assert not any("READY" in each for each in listener.heard())
    look(systemd, writes="another process writes", stands_by=True)
    (last,) = listener.heard()
    assert last == "READY=1 STATUS=standing by, serving reads: another process writes, since position 7"


def test_a_sign_of_life_comes_with_a_look_once_half_of_the_time_that_systemd_gives_is_over(listener: Listener) -> None:
    systemd = Systemd(listener.address, watchdog_s=0.2)
    heard_s = [time.monotonic()]
    while len(heard_s) < 4:
        look(systemd)
        told = [each for each in listener.heard() if "WATCHDOG=1" in each]
        heard_s += [time.monotonic()] * len(told)
        time.sleep(0.01)
    assert all(later - earlier > 0.08 for earlier, later in pairwise(heard_s))
    assert listener.heard() == []  # and none comes without a look


def test_what_a_full_or_a_missing_socket_did_not_take_is_told_later_and_nobody_waits(tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    systemd = Systemd(address)
    look(systemd)
    listener = Listener(address)
    try:
        fill(address)
        began_s = time.monotonic()
        look(systemd)
        systemd.starts()
        assert time.monotonic() - began_s < 1
        assert set(listener.heard()) == {"x"}
        look(systemd)
        assert listener.heard() == [f"READY=1 {WRITING}"]
    finally:
        listener.close()
    systemd.stops()


def test_what_is_told_needs_no_file_but_the_first_time(listener: Listener) -> None:
    systemd = Systemd(listener.address)
    with no_more_files():
        look(systemd)
    assert listener.heard() == []
    look(systemd)
    with no_more_files():
        look(systemd, writes="the disk is full")
    disk_full = "STATUS=serving reads alone: the disk is full, since position 7"
    assert listener.heard() == [f"READY=1 {WRITING}", disk_full]


def test_a_fault_is_one_line_without_a_password_and_says_nothing_else_to_systemd(listener: Listener) -> None:
    look(Systemd(listener.address), f"no\nMAINPID=1 password=tiger {'x' * 999}", "x")
    (told,) = listener.heard()
    assert told.startswith("STATUS=serving nothing: no\\nMAINPID=1 password=*** x")
    assert len(told) < 400


def test_the_environment_names_the_socket_and_no_child_inherits_it(listener: Listener) -> None:
    environment = {"NOTIFY_SOCKET": listener.address, "WATCHDOG_USEC": "1", "WATCHDOG_PID": str(os.getpid()), "A": "b"}
    systemd = Systemd.of(environment)
    look(systemd)
    assert environment == {"A": "b"}
    assert listener.heard() == [f"READY=1 {WRITING} WATCHDOG=1"]


def test_a_watchdog_of_another_process_is_not_ours(listener: Listener) -> None:
    systemd = Systemd.of({"NOTIFY_SOCKET": listener.address, "WATCHDOG_USEC": "1", "WATCHDOG_PID": "1"})
    look(systemd)
    assert listener.heard() == [f"READY=1 {WRITING}"]


def test_without_systemd_nothing_is_told_and_nothing_fails(caplog: pytest.LogCaptureFixture) -> None:
    systemd = Systemd.of({})
    systemd.starts()
    look(systemd)
    systemd.stops()
    assert caplog.records == []


@pytest.mark.parametrize(
    ("environment", "word"),
    [
        ({"NOTIFY_SOCKET": "notify"}, "NOTIFY_SOCKET=notify is no path"),
        ({"NOTIFY_SOCKET": "@"}, "NOTIFY_SOCKET=@ is no path"),
        ({"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "30s"}, "WATCHDOG_USEC=30s is no number"),
        ({"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "0"}, "WATCHDOG_USEC=0 is no number"),
    ],
)
def test_what_the_environment_says_wrongly_is_one_line_of_the_log(
    environment: dict[str, str], word: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    look(Systemd.of(environment))
    (record,) = caplog.records
    assert word in record.getMessage()
