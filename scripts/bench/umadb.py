"""How fast fills are taken by UmaDB, the event store of the library's author: server and client of the PyPI package."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from itertools import chain, islice
from pathlib import Path
from typing import Final

import umadb

from ledger.v1 import fill_pb2
from scripts.bench.copy import STATE_BYTES, state_of
from scripts.bench.fills import messages_of, reference_fills
from scripts.bench.load import ACCOUNTS
from scripts.bench.store import Failed, Store, check

EVENTS_PER_BATCH: Final = 5_000
EVENTS_PER_CONDITION: Final = 500
_FILLS_MAX: Final = 10_000_000  # more than any slice can append
_START_SECONDS_MAX: Final = 30.0
_SERVER: Final = "from umadb.umadb_server_cli import main; main()"


class Uma:
    """An event per fill with the bytes of its row as of COPY; events are made before the clock starts."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.settings: Mapping[str, object] = {
            "umadb": version("umadb"),
            "umadb_state_bytes": STATE_BYTES,
            "umadb_slice_seconds": seconds,
        }

    def run(self, store: Store, _: str) -> dict[str, float]:
        """One round, each way on a fresh database; PostgreSQL rests. Raises Failed."""
        store.checkpoint()
        try:
            return self._round()
        except Failed:
            raise
        except Exception as error:  # its client raises errors of many kinds, and of no kind at all
            raise Failed(f"UmaDB: {' '.join(str(error).split())}") from error

    def _round(self) -> dict[str, float]:
        fills = chain.from_iterable(map(messages_of, reference_fills(_FILLS_MAX, ACCOUNTS)))
        return {
            "peer.umadb_batch5000_per_s": self._rate(_batches(fills, EVENTS_PER_BATCH, by_trade=False)),
            "peer.umadb_batch500_idempotent_per_s": self._rate(_batches(fills, EVENTS_PER_CONDITION, by_trade=True)),
        }

    def _rate(self, batches: Iterator[Batch]) -> float:
        with _server() as client:
            appended, seconds = self._append(client, batches)
            check(client.head() == appended, f"UmaDB is at {client.head()}, {appended} events were appended")
        return appended / seconds

    def _append(self, client: umadb.Client, batches: Iterator[Batch]) -> tuple[int, float]:
        """Events appended durably, and the seconds it took; under a condition none of them can be appended again."""
        appended, seconds = 0, 0.0
        while seconds < self._seconds:
            events, condition = next(batches)
            began = time.perf_counter()
            client.append(events, condition)
            seconds += time.perf_counter() - began
            appended += len(events)
        if condition is not None:
            _verify_refused(client, events[0])
        return appended, seconds


Batch = tuple[Sequence[umadb.Event], umadb.AppendCondition | None]


def _batches(fills: Iterator[fill_pb2.Fill], size: int, *, by_trade: bool) -> Iterator[Batch]:
    """Events of fills, tagged by account; or by trade, on condition that none of the trades is there."""
    while True:
        of_batch = list(islice(fills, size))
        tags = [fill.exec_id if by_trade else fill.account_id for fill in of_batch]
        events = [umadb.Event("FillRecorded", state_of(fill), [tag]) for fill, tag in zip(of_batch, tags, strict=True)]
        yield events, umadb.AppendCondition(_any_of(tags)) if by_trade else None


def _any_of(tags: Sequence[str]) -> umadb.Query:
    return umadb.Query([umadb.QueryItem(tags=[tag]) for tag in tags])


def _verify_refused(client: umadb.Client, event: umadb.Event) -> None:
    try:  # one alone: the refusal of a batch names all its tags, and does not fit into the headers of an answer
        client.append([event], umadb.AppendCondition(_any_of(event.tags)))
    except umadb.IntegrityError:
        return
    raise Failed("UmaDB took the same trades twice")


@contextmanager
def _server() -> Iterator[umadb.Client]:
    """A server in a process and a folder of its own, both gone afterwards."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    folder = Path(tempfile.mkdtemp(prefix="ledger-bench-umadb-"))
    command = [sys.executable, "-c", _SERVER, "--listen", address, "--db-path", str(folder / "uma.db")]
    process = subprocess.Popen(  # noqa: S603 - the package's own program, and no shell
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        with _connected(process, f"http://{address}") as client:
            yield client
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_START_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _connected(process: subprocess.Popen[bytes], url: str) -> umadb.Client:
    """A client, once the server answers."""
    until_s = time.monotonic() + _START_SECONDS_MAX
    while True:
        check(process.poll() is None, "the server of umadb ended by itself")
        try:
            client = umadb.Client(url)
            client.head()
        except umadb.TransportError as error:
            check(time.monotonic() < until_s, f"the server of umadb does not start: {error}")
            time.sleep(0.05)
        else:
            return client
