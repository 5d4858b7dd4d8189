"""How long an engine waits for one fill to be durable: beside one INSERT of a row, and a call that does nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import chain, count, repeat
from queue import SimpleQueue
from typing import Final

import grpc

from ledger.v1 import fill_pb2
from ledger.v1.fill_service_pb2 import RecordFillsResponse, StreamFillsResponse
from scripts.bench.calls import Answers, Asked, one_by_one, percentile
from scripts.bench.copy import STATE_BYTES, TABLE, TOPIC, state_of, stream_of
from scripts.bench.echo import COMMAND, ECHO
from scripts.bench.fills import messages_of, reference_fills
from scripts.bench.load import ACCOUNTS, Lane, Load, single_message, single_stream_message
from scripts.bench.paths import RECORD_FILLS, STREAM_FILLS
from scripts.bench.proc import process
from scripts.bench.service import CALL_SECONDS_MAX, Served, serving, trading_ledger
from scripts.bench.store import Failed, Store, check
from scripts.bench.stream import STREAM_SECONDS_MAX
from scripts.bench.verify import verify_log, verify_recorded

_SOURCE: Final = "engine"
_FILLS_MAX: Final = 10_000_000  # more than any slice can send
_CPU: Final = {"stream": "ingest.single.cpu_us", "echo": "limit.echo_alone_cpu_us"}  # of whoever answers
_INSERT: Final = "INSERT INTO {schema}.events VALUES (%b, %b, %b, %b, %b)"


class Single:
    """One fill per message, one in flight; slices of the echo, INSERTs, a stream and unary calls take turns."""

    def __init__(self, seconds: float, turns: int) -> None:
        self._seconds = seconds / 2
        self._turns = turns
        self.settings: dict[str, object] = {
            "ack_turns_per_round": turns,
            "ack_slice_seconds": self._seconds,
            "insert_commit": f"autocommit, prepared, {STATE_BYTES} bytes of state, the library's table",
        }

    def run(self, store: Store, schema: str) -> dict[str, list[float]]:
        """All turns on one service; every figure has a value per turn."""
        fills, found = _Fills(), list[dict[str, Answers]]()
        cpu_us: dict[str, list[float]] = {name: [] for name in _CPU}
        with (
            trading_ledger(store, schema) as served,
            serving(COMMAND) as empty,
            _inserts(store, f"{schema}_insert") as insert,
            _streaming(served.channel) as stream,
        ):
            kinds = _kinds(served, empty, insert, stream, fills)
            pids = dict.fromkeys(kinds, served.pid) | {"echo": empty.pid}
            for turn in range(self._turns):
                # Who goes first alternates, so that a drift of the machine favours nobody.
                order = kinds if turn % 2 == 0 else dict(reversed(kinds.items()))
                found.append({})
                for name, (call, feed) in order.items():
                    began_s = process(pids[name]).cpu_s
                    found[-1][name] = answers = self._slice(call, feed)
                    if name in _CPU:
                        cpu_us[name].append((process(pids[name]).cpu_s - began_s) * 1e6 / answers.count)
        acknowledged = [RecordFillsResponse.FromString(answer) for turn in found for _, answer in turn["unary"].kept]
        streamed = [StreamFillsResponse.FromString(answer).batch for turn in found for _, answer in turn["stream"].kept]
        for answer in (*acknowledged, *streamed):
            verify_recorded(1, answer)
        verify_log(store, schema, fills.load(len(streamed)))
        self.settings["unary_ack_ms_p50"] = round(percentile([turn["unary"].p50_ms for turn in found], 50), 3)
        return _figures(found) | {figure: cpu_us[name] for name, figure in _CPU.items()}

    def _slice(self, call: Callable[[bytes], bytes], feed: Iterator[Asked]) -> Answers:
        return one_by_one(call, feed, self._seconds, keep_each=1)


def _figures(turns: list[dict[str, Answers]]) -> dict[str, list[float]]:
    p50 = [{name: answers.p50_ms for name, answers in turn.items()} for turn in turns]
    return {
        "ingest.single.ack_ms_p50": [turn["stream"] for turn in p50],
        "ingest.single.ack_ms_p99": [percentile(turn["stream"].call_ms, 99) for turn in turns],
        "limit.insert_commit_ms_p50": [turn["insert"] for turn in p50],
        "ratio.single_ack_to_insert_commit_and_echo": [
            turn["stream"] / (turn["insert"] + turn["echo"]) for turn in p50
        ],
    }


Kinds = dict[str, tuple[Callable[[bytes], bytes], Iterator[Asked]]]


def _kinds(
    served: Served, empty: Served, insert: Callable[[bytes], bytes], stream: Callable[[bytes], bytes], fills: _Fills
) -> Kinds:
    """Return the kinds of calls that take turns: how each is called, and with what."""
    echo, unary = empty.channel.unary_unary(ECHO), served.channel.unary_unary(RECORD_FILLS)
    return {
        "echo": (partial(echo, timeout=CALL_SECONDS_MAX), repeat(Asked(b""))),
        "insert": (insert, repeat(Asked(b""))),
        "stream": (stream, (Asked(single_stream_message(_SOURCE, at, fill)) for at, fill in enumerate(fills, 1))),
        "unary": (partial(unary, timeout=CALL_SECONDS_MAX), (Asked(single_message(fill)) for fill in fills)),
    }


class _Fills(Iterator[fill_pb2.Fill]):
    """Reference fills one after the other; each is made when it is asked for, between two calls."""

    def __init__(self) -> None:
        self._count = 0
        self._fills = chain.from_iterable(map(messages_of, reference_fills(_FILLS_MAX, ACCOUNTS)))

    def __next__(self) -> fill_pb2.Fill:
        self._count += 1
        return next(self._fills)

    def load(self, of_source: int) -> Load:
        """Return the fills that were taken, so many of them by the source."""
        load = Load([Lane(_SOURCE, sizes=[1] * of_source)])
        for block in reference_fills(self._count, ACCOUNTS):
            load.volume.add_fills(block)
        return load


@contextmanager
def _streaming(channel: grpc.Channel) -> Iterator[Callable[[bytes], bytes]]:
    """A way to send one message of a stream and wait for its answer."""
    ready: SimpleQueue[bytes | None] = SimpleQueue()
    call: grpc.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(STREAM_FILLS)
    answers = call(iter(ready.get, None), timeout=STREAM_SECONDS_MAX)

    def send(message: bytes) -> bytes:
        ready.put(message)
        for answer in answers:
            return answer
        raise Failed("StreamFills ended before its messages were answered")

    try:
        yield send
    finally:
        ready.put(None)
    check(not list(answers), "StreamFills answered more than was sent")


@contextmanager
def _inserts(store: Store, schema: str) -> Iterator[Callable[[bytes], bytes]]:
    """A way to insert one row durably: a statement that commits itself, of one round trip."""
    (fills,) = reference_fills(1, ACCOUNTS)
    (fill,) = messages_of(fills)
    stream, state, positions = stream_of(fill), state_of(fill), count(1)
    with store.fresh_schema(schema), store.connect() as connection:
        connection.execute(TABLE.format(schema=schema).encode())
        statement = _INSERT.format(schema=schema).encode()

        def insert(_: bytes) -> bytes:
            position = next(positions)
            connection.execute(statement, (stream, position, TOPIC, state, position), prepare=True)
            return b""

        yield insert
        ((rows,),) = store.rows(f"SELECT count(*) FROM {schema}.events")
        check(rows == next(positions) - 1, f"{rows} rows were inserted")
