"""How fast the ledger takes fills: through gRPC, into a service of its own process, acknowledged as durable."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Final, TypeAlias

import grpc
import psycopg
from bench_fills import NOTIONAL_SCALE, Lane, Load, Volume, make_load, register_requests
from bench_store import Failed, Store, check

from ledger.domain.money import mantissa
from ledger.v1 import command_service_pb2_grpc, events_pb2, fill_service_pb2, fill_service_pb2_grpc

ROOT: Final = Path(__file__).resolve().parent.parent
ACCOUNTS: Final = 1_000
FILLS_PER_MESSAGE: Final = 1_000
_RECORD_FILLS: Final = "/ledger.v1.FillService/RecordFills"
_START_SECONDS_MAX: Final = 60.0
CALL_SECONDS_MAX: Final = 120.0
_STOP_SECONDS_MAX: Final = 60.0


Afterwards: TypeAlias = Callable[[Store, str, int], Mapping[str, float]]  # store, schema, fills: values by figure


class Ingest:
    """1,000 accounts, 1,000 fills per message, several messages in flight.

    Unary calls of one channel may arrive in any order, and a source's messages must not: so each message in flight is
    of a source of its own, a lane, which sends its next message when the last one was acknowledged.
    """

    def __init__(self, fills: int, lanes: int, *, columns: bool, afterwards: Sequence[Afterwards] = ()) -> None:
        """`afterwards` measures more over each ledger that was written, when its service has ended."""
        self._fills = fills
        self._afterwards = afterwards
        self._columns = columns
        self._load = make_load(
            fills, accounts=ACCOUNTS, fills_per_message=FILLS_PER_MESSAGE, lanes=lanes, columns=columns
        )
        self.settings: Mapping[str, object] = {
            "accounts": ACCOUNTS,
            "fills_per_message": FILLS_PER_MESSAGE,
            "messages_in_flight": len(self._load.lanes),
            "sources": len(self._load.lanes),
        }

    def run(self, store: Store, schema: str) -> dict[str, float]:
        """One round on a fresh schema."""
        with service(store.dsn, schema) as address, grpc.insecure_channel(address) as channel:
            commands = command_service_pb2_grpc.CommandServiceStub(channel)
            for request in register_requests():
                commands.RegisterSymbol(request, timeout=CALL_SECONDS_MAX)
            store.checkpoint()
            seconds, answers = send(channel, self._load.lanes)
            verify_answers(channel, self._load, answers)
        verify_log(store, schema, self._load)
        if not self._columns:
            return {"ingest.rows.fills_per_s": self._fills / seconds}
        found = {
            "ingest.1k_uniform.fills_per_s": self._fills / seconds,
            "ingest.bytes_per_fill": store.bytes_on_disk(schema) / self._fills,
        }
        for measure in self._afterwards:
            found.update(measure(store, schema, self._fills))
        return found


def send(
    channel: grpc.Channel, lanes: Sequence[Lane], *, seconds_between: float = 0.0
) -> tuple[float, list[list[bytes]]]:
    """Seconds from the first message to the last acknowledgement, and the answers of each lane.

    With `seconds_between` two messages the load is steady: the lanes take turns, and wait for theirs.
    """
    # Bytes in and out: the client must not take the server's time.
    call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(_RECORD_FILLS)
    start = threading.Barrier(len(lanes) + 1)

    def run(number: int, lane: Lane) -> tuple[float, list[bytes]]:
        start.wait()
        turn_s, answers = time.perf_counter() + number * seconds_between, []
        for message in lane.messages:
            if seconds_between:
                time.sleep(max(turn_s - time.perf_counter(), 0))
                turn_s += len(lanes) * seconds_between
            answers.append(call(message, timeout=CALL_SECONDS_MAX))
        return time.perf_counter(), answers

    with ThreadPoolExecutor(len(lanes)) as pool:
        futures = [pool.submit(run, number, lane) for number, lane in enumerate(lanes)]
        start.wait()
        began = time.perf_counter()
        try:
            results = [future.result() for future in futures]
        except BaseException as error:
            channel.close()  # or the other lanes would go on to their ends
            if isinstance(error, grpc.RpcError):
                raise Failed(f"RecordFills ended with {error.code().name}: {error.details()}") from error
            raise
    return max(ended for ended, _ in results) - began, [answers for _, answers in results]


# --- what was measured is what was meant


def verify_answers(channel: grpc.Channel, load: Load, answers: Sequence[Sequence[bytes]]) -> None:
    """Every fill was recorded by the call that sent it, and the ledger knows where each source goes on."""
    stub = fill_service_pb2_grpc.FillServiceStub(channel)
    for lane, of_lane in zip(load.lanes, answers, strict=True):
        for size, answer in zip(lane.sizes, of_lane, strict=True):
            found = fill_service_pb2.RecordFillsResponse.FromString(answer)
            recorded = (found.recorded, found.replayed, len(found.refusals))
            check(recorded == (size, 0, 0), f"of {size} fills {recorded} were recorded, replayed, refused")
        request = fill_service_pb2.GetSourcePositionRequest(source=lane.source)
        position = stub.GetSourcePosition(request, timeout=CALL_SECONDS_MAX).last_sequence
        check(position == lane.last_sequence, f"{lane.source} is at {position}, not {lane.last_sequence}")


def verify_log(store: Store, schema: str, load: Load) -> None:
    """The log has no gap, its commits cover it, and its lines and running totals are what was sent."""
    events = store.rows(f"SELECT count(*), min(notification_id), max(notification_id) FROM {schema}.events")
    count = events[0][0]
    check(events == [(count, 1, count)], f"positions are not contiguous: (count, first, last) = {events[0]}")
    commits = store.rows(f"SELECT sum(last_position - first_position + 1), max(last_position) FROM {schema}.commits")
    check(commits == [(count, count)], f"commits hold {commits[0][0]} events up to {commits[0][1]}, the log {count}")
    tracked: dict[str, int] = dict(store.rows(f"SELECT application_name, notification_id FROM {schema}.tracking"))
    sent = {lane.source: lane.last_sequence for lane in load.lanes}
    check(tracked == sent, f"tracking of the sources is {tracked}, sent was {sent}")
    lines, volume = _recorded_volume(store, schema)
    check(lines == sum(sent.values()), f"the log has {lines} lines, sent were {sum(sent.values())}")
    check(volume.lines == load.volume.lines, f"totals count {dict(volume.lines)}, sent was {dict(load.volume.lines)}")
    check(volume.notional == load.volume.notional, "running totals of the notional are not what was sent")


def _recorded_volume(store: Store, schema: str) -> tuple[int, Volume]:
    """Lines in the events, and the last running totals of every account-day added up."""
    lines, volume = 0, Volume()
    query = (
        f"SELECT originator_id, state FROM {schema}.events WHERE topic = 'VolumeRecorded'"
        " ORDER BY originator_id, originator_version"
    )
    with psycopg.connect(store.dsn) as connection, connection.cursor("log", binary=True) as cursor:
        cursor.itersize = 5_000
        stream, last = "", events_pb2.VolumeRecorded()
        for name, state in cursor.execute(query.encode()):
            if name != stream:
                _add_totals(volume, last)
                stream = name
            last = events_pb2.VolumeRecorded.FromString(state)
            lines += len(last.traits)  # a byte per line
        _add_totals(volume, last)
    return lines, volume


def _add_totals(volume: Volume, event: events_pb2.VolumeRecorded) -> None:
    for cell in event.totals:
        notional = mantissa(cell.notional, NOTIONAL_SCALE)
        check(notional is not None, f"a running total of {cell.notional} is finer than anything sent")
        assert notional is not None
        volume.add(cell.quote_currency, cell.lines, notional)


# --- the service


def service(dsn: str, schema: str) -> AbstractContextManager[str]:
    """A service in a process of its own, as a user starts it; gives its address."""
    command = [sys.executable, "-m", "ledger", "serve", "--dsn", dsn, "--schema", schema, "--listen", "127.0.0.1:0"]
    return serving(command)


@contextmanager
def serving(command: Sequence[str]) -> Iterator[str]:
    """A program that says where it is serving, until the block ends; yields that address."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(  # noqa: S603 - our own program, and no shell
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            start_new_session=True,  # Ctrl-C is for the benchmark, which then stops the service in order
        )
        try:
            yield _address(process, said)
            check(process.poll() is None, f"the service ended by itself: {_last_line(said)}")
        finally:
            _stop(process)


def _address(process: subprocess.Popen[str], said: IO[bytes]) -> str:
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
    raise Failed(f"the service does not start: {_last_line(said)}")


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
