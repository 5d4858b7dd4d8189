"""Services under test: each in a process of its own, as a user starts it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, NamedTuple

import grpc

from ledger.store.postgres.dsn import VARIABLE
from ledger.v1 import command_service_pb2_grpc
from scripts.bench.fills import register_requests
from scripts.bench.store import Failed, Store, check

CALL_SECONDS_MAX: Final = 120.0
_ROOT: Final = Path(__file__).resolve().parents[2]
_START_SECONDS_MAX: Final = 60.0
_STOP_SECONDS_MAX: Final = 60.0


class Served(NamedTuple):
    """A program that serves: a channel to it, its process, and where it listens."""

    channel: grpc.Channel
    pid: int
    address: str  # host:port


@contextmanager
def ledger(store: Store, schema: str) -> Iterator[Served]:
    """The ledger's service on a schema; no load balancer has to be told that it stops."""
    command = [sys.executable, "-m", "ledger", "serve", "--schema", schema, "--listen", "127.0.0.1:0"]
    with serving([*command, "--drain-ms", "0"], dsn=store.dsn) as served:
        yield served


@contextmanager
def trading_ledger(store: Store, schema: str) -> Iterator[Served]:
    """The same with all symbols of the reference fills registered, and nothing left to be written."""
    with ledger(store, schema) as served:
        register(served.channel)
        store.checkpoint()
        yield served


def register(channel: grpc.Channel) -> None:
    """Make the symbols known."""
    commands = command_service_pb2_grpc.CommandServiceStub(channel)
    for request in register_requests():
        commands.RegisterSymbol(request, timeout=CALL_SECONDS_MAX)


@contextmanager
def serving(command: Sequence[str], *, dsn: str = "") -> Iterator[Served]:
    """A program that says where it is serving, until the block ends; `dsn` is in its environment."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(  # noqa: S603 - our own program, and no shell
            command,
            cwd=_ROOT,
            env={**os.environ, VARIABLE: dsn},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            start_new_session=True,  # Ctrl-C is for the benchmark, which then stops the service in order
        )
        try:
            address = _address(process)
            with grpc.insecure_channel(address) as channel:
                yield Served(channel, process.pid, address)
            check(process.poll() is None, "the service ended by itself")
        except Failed as failure:
            raise Failed(f"{failure} (the service said: {_last_line(said)})") from failure
        finally:
            _stop(process)


def _address(process: subprocess.Popen[str]) -> str:
    """Where the service says it is serving; port 0 let it take a free one."""
    assert process.stdout is not None
    overdue = threading.Timer(_START_SECONDS_MAX, process.kill)
    overdue.start()
    try:
        for line in process.stdout:
            if found := re.search(r"serving on (\S+)", line):
                return found[1]
    finally:
        overdue.cancel()
    raise Failed("the service does not start")


def _stop(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.communicate(timeout=_STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()


def _last_line(said: IO[bytes]) -> str:
    said.seek(0)
    lines = said.read().decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"
