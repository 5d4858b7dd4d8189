"""torture --pause: PostgreSQL stands still for the writer; everybody must wait, nothing may grow or be lost."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import grpc
import psycopg
from psycopg.conninfo import make_conninfo

from ledger.client import Client, FillStream, LedgerError
from ledger.client.errors import error_of
from ledger.v1.fill_service_pb2 import FillColumns, RecordFillsRequest
from ledger.v1.fill_service_pb2_grpc import FillServiceStub
from scripts.torture.fills import content, message
from scripts.torture.packed_columns import columns_of
from scripts.torture.served import Served
from scripts.torture.trial import prepare

_TRIAL: Final = "pause"
_SEED: Final = 1
_BEFORE_S: Final = 3
_AFTER_S: Final = 60
_CALLERS: Final = 24
_BATCH: Final = 10_000  # so that the callers alone can fill the queue before the writer
_CALL_EVERY_S: Final = 0.5
_CALL_S_MAX: Final = 40
_CHUNK: Final = 500
_GROWTH_MB_MAX: Final = 100.0
# Who holds the session lock of a ledger writes it.
_WRITER: Final = """
    SELECT pid FROM pg_locks
    WHERE locktype = 'advisory' AND granted AND (classid::bigint << 32 | objid::bigint) = hashtextextended(%s, 0)
"""


def writer_backend(connection: psycopg.Connection[Any], schema: str) -> int:
    """Return the pid of the PostgreSQL process that serves the writer of a ledger."""
    ((pid,),) = connection.execute(_WRITER, [f"{schema}:writer"]).fetchall()
    return int(pid)


@contextmanager
def paused_writer(dsn: str, schema: str) -> Iterator[int]:
    """PostgreSQL does nothing for the writer of a ledger until the block ends; yields the pid of its backend."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        pid = writer_backend(connection, schema)
        os.kill(pid, signal.SIGSTOP)
        try:
            yield pid
        finally:
            os.kill(pid, signal.SIGCONT)


def dsn_of(folder: Path) -> str:
    """How to reach the embedded PostgreSQL of a folder."""
    password = (folder / "password").read_text().strip()
    return make_conninfo(host=str(folder / "run"), user="ledger", dbname="ledger", password=password)


class Pause:
    """Two engines stream and callers call, a second is a line; in the middle the writer stands still."""

    def __init__(self, served: Served, pause_s: int) -> None:
        self._served = served
        self._pause_s = pause_s
        self._over = threading.Event()
        self._answers = Counter[str]()  # to the callers, in this second
        self._failures: list[str] = []
        self._lock = threading.Lock()

    def run(self) -> list[str]:
        """Return what is wrong, one sentence each."""
        prepare(self._served.address, _TRIAL)
        columns = _columns()
        with Client(self._served.address, timeout_s=60) as ledger:
            streams = [ledger.fill_stream(f"{_TRIAL}-{name}", give_up_s=120) for name in ("one", "other")]
            threads = [threading.Thread(target=self._stream, args=(stream,)) for stream in streams]
            threads += [threading.Thread(target=self._call, args=(columns,)) for _ in range(_CALLERS)]
            for thread in threads:
                thread.start()
            try:
                findings = self._watch(streams)
            finally:
                self._over.set()
                for thread in threads:
                    thread.join()
            for stream in streams:
                stream.close()
            return findings + self._failures + _compare(ledger, streams)

    def _watch(self, streams: Sequence[FillStream]) -> list[str]:
        """Before, meanwhile and afterwards."""
        print("second  writer   acknowledged   in window   service MB  reads ms  answers to callers", flush=True)
        self._seconds(_BEFORE_S, "runs", streams)
        with paused_writer(dsn_of(self._served.folder), "ledger"):
            full_s = min(10, self._pause_s // 3)  # by then every queue is full
            self._seconds(full_s, "paused", streams)
            full_mb = self._served.rss_mb
            acknowledged = [stream.acknowledged_sequence for stream in streams]
            self._seconds(self._pause_s - full_s, "paused", streams)
            grown_mb = self._served.rss_mb - full_mb
            stood = acknowledged == [stream.acknowledged_sequence for stream in streams]
        for _ in range(_AFTER_S):  # all that waited before them comes first
            self._seconds(1, "runs", streams)
            if acknowledged != [stream.acknowledged_sequence for stream in streams]:
                break
        self._seconds(_BEFORE_S, "runs", streams)
        findings = [] if stood else ["something was acknowledged while nothing could be written"]
        if grown_mb > _GROWTH_MB_MAX:
            findings.append(f"the service grew by {grown_mb:.0f} MB while nothing could be written")
        if acknowledged == [stream.acknowledged_sequence for stream in streams]:
            findings.append(f"nothing was acknowledged within {_AFTER_S} s of the end of the pause")
        return findings

    def _seconds(self, seconds: int, writer: str, streams: Sequence[FillStream]) -> None:
        for _ in range(seconds):
            time.sleep(1)
            began_s = time.monotonic()
            with Client(self._served.address, timeout_s=5) as other:
                other.get_vip_state(f"{_TRIAL}.maker")
            read_ms = 1000 * (time.monotonic() - began_s)
            acknowledged = sum(stream.acknowledged_sequence for stream in streams)
            held = sum(stream.next_sequence - 1 for stream in streams) - acknowledged
            with self._lock:
                answers, self._answers = self._answers, Counter[str]()
            told = ", ".join(f"{code} {times}" for code, times in sorted(answers.items())) or "none"
            print(f"{time.strftime('%M:%S'):<8}{writer:<7}{acknowledged:>14,}{held:>12,}{self._served.rss_mb:>13,.0f}"
                  f"{read_ms:>10,.0f}  {told}", flush=True)  # fmt: skip

    def _stream(self, stream: FillStream) -> None:
        """An engine that hands over whatever the window takes."""
        try:
            while not self._over.is_set():
                first = stream.next_sequence
                stream.send_all(message(content(_SEED, _TRIAL, stream.source, first + at)) for at in range(_CHUNK))
        except LedgerError as error:
            self._failures.append(f"a stream ended: {error}")

    def _call(self, columns: FillColumns) -> None:
        """A caller who sends a large batch again and again, whatever it is told."""
        with grpc.insecure_channel(self._served.address) as channel:
            stub = FillServiceStub(channel)
            while not self._over.wait(_CALL_EVERY_S):
                try:
                    stub.RecordFills(RecordFillsRequest(columns=columns), timeout=_CALL_S_MAX)
                    self._count("OK")
                except grpc.RpcError as error:
                    self._count(error_of(error).reason or error.code())

    def _count(self, answer: Any) -> None:
        with self._lock:
            self._answers[getattr(answer, "name", answer)] += 1


def _compare(ledger: Client, streams: Sequence[FillStream]) -> list[str]:
    """Check that each engine was told where its source stands."""
    findings = []
    for stream in streams:
        last = ledger.get_source_position(stream.source).last_sequence
        if not last == stream.acknowledged_sequence == stream.next_sequence - 1:
            findings.append(f"{stream.source} is at {last}, acknowledged up to {stream.acknowledged_sequence}")
    return findings


def _columns() -> FillColumns:
    """A batch as large as one may be, of fills that can be recorded, each once."""
    sent = (content(_SEED, _TRIAL, "callers", number) for number in range(1, 2 * _BATCH))
    fills = {fill["exec_id"]: fill for fill in sent if fill["side"] and fill["last_qty"] != "0"}
    return columns_of([message(fill) for fill in fills.values()][:_BATCH])
