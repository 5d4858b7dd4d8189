"""One StreamFills of one source, with as many messages in flight as the service takes.

At a pace each message has an instant at which it is due, whatever became of those before it, and its acknowledgement is
timed from then on: a message that waits to be sent counts its wait.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

import grpc

from ledger.v1.fill_service_pb2 import RecordFillsResponse, StreamFillsResponse
from scripts.bench.calls import percentile
from scripts.bench.paths import STREAM_FILLS
from scripts.bench.store import Failed, check

STREAM_SECONDS_MAX: Final = 1_800.0


class Sent(NamedTuple):
    """The answers to messages, how many ms each message waited for its own, and how long all of it took."""

    seconds: float
    answers: list[RecordFillsResponse]
    waits_ms: list[float]

    def figures(self, fills: int) -> dict[str, float]:
        """Return what is told of so many fills, by the last part of the names of figures."""
        return {
            "fills_per_s": fills / self.seconds,
            "ack_ms_p50": percentile(self.waits_ms, 50),
            "ack_ms_p99": percentile(self.waits_ms, 99),
        }


def stream(channel: grpc.Channel, messages: Iterable[bytes], between_s: float | None = None) -> Sent:
    """Send messages of a stream, one every so many seconds, or each as soon as it is taken.

    A message waits from the instant at which it is due; without a pace, from when it is taken. The service reads as
    many messages ahead of its answers as it likes, and stops the sending by flow control.
    """
    due_s: list[float] = []
    call: grpc.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(STREAM_FILLS)
    began_s = time.perf_counter()
    try:
        # Bytes in and out: the client must not take the server's time.
        answers = call(_paced(messages, between_s, due_s), timeout=STREAM_SECONDS_MAX)
        answered = [(time.perf_counter(), answer) for answer in answers]
    except grpc.RpcError as error:
        raise Failed(f"StreamFills ended with {error.code().name}: {error.details()}") from error
    check(len(answered) == len(due_s), f"{len(answered)} of {len(due_s)} messages were answered")
    waits_ms = [(at_s - due) * 1_000 for (at_s, _), due in zip(answered, due_s, strict=True)]
    batches = [StreamFillsResponse.FromString(answer).batch for _, answer in answered]
    return Sent(answered[-1][0] - began_s, batches, waits_ms)


def _paced(messages: Iterable[bytes], between_s: float | None, due_s: list[float]) -> Iterator[bytes]:
    """Yield each message when its turn comes, or late; note when it was due."""
    began_s = time.perf_counter()
    for number, message in enumerate(messages):
        due_s.append(time.perf_counter() if between_s is None else began_s + number * between_s)
        time.sleep(max(due_s[-1] - time.perf_counter(), 0))
        yield message
