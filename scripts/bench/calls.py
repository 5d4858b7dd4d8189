"""How calls are made while they are measured: many at once, or one by one; by the same client whatever is called."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import grpc

from scripts.bench.service import CALL_SECONDS_MAX
from scripts.bench.store import Failed

Call: TypeAlias = "grpc.UnaryUnaryMultiCallable[bytes, bytes]"


class Asked(NamedTuple):
    """A serialised request, and what its answer must be like."""

    message: bytes
    expected: Any = None


@dataclass
class Answers:
    """How long a slice took, how many calls came back, or how long each took; and answers to look at."""

    seconds: float = 0.0
    count: int = 0
    call_ms: list[float] = field(default_factory=list)
    kept: list[tuple[Asked, bytes]] = field(default_factory=list)

    @property
    def rps(self) -> float:
        """Calls per second."""
        return self.count / self.seconds

    @property
    def p50_ms(self) -> float:
        """How long a call took that is slower than half of them."""
        return percentile(self.call_ms, 50)


def many_at_once(call: Call, feeds: Sequence[Iterable[Asked]], seconds: float, *, keep_each: int) -> Answers:
    """As many calls as get answered, by a thread per feed with one in flight each; one answer in so many is kept.

    The slice ends after so many seconds, or for a thread when its feed does.
    """
    start = threading.Barrier(len(feeds) + 1)
    until = [0.0]

    def run(feed: Iterable[Asked]) -> Answers:
        answers = Answers()
        start.wait()
        for asked in feed:
            answer = call(asked.message, timeout=CALL_SECONDS_MAX)
            if answers.count % keep_each == 0:
                answers.kept.append((asked, answer))
            answers.count += 1
            if time.perf_counter() >= until[0]:
                break
        return answers

    with ThreadPoolExecutor(len(feeds)) as pool:
        futures = [pool.submit(run, feed) for feed in feeds]
        began = time.perf_counter()
        until[0] = began + seconds
        start.wait()
        results = [_answered(future.result) for future in futures]
        took = time.perf_counter() - began
    kept = [one for result in results for one in result.kept]
    return Answers(took, sum(result.count for result in results), kept=kept)


def one_by_one(call: Callable[[bytes], bytes], feed: Iterable[Asked], seconds: float, *, keep_each: int) -> Answers:
    """One call in flight, and how long each took."""
    return _answered(lambda: _one_by_one(call, feed, seconds, keep_each))


def _one_by_one(call: Callable[[bytes], bytes], feed: Iterable[Asked], seconds: float, keep_each: int) -> Answers:
    answers = Answers()
    until = time.perf_counter() + seconds
    for asked in feed:
        began = time.perf_counter()
        answer = call(asked.message)
        ended = time.perf_counter()
        answers.call_ms.append((ended - began) * 1_000)
        if answers.count % keep_each == 0:
            answers.kept.append((asked, answer))
        answers.count += 1
        if ended >= until:  # nothing is taken from the feed that is not sent
            break
    return answers


def _answered(result: Callable[[], Answers]) -> Answers:
    try:
        return result()
    except grpc.RpcError as error:
        raise Failed(f"a call ended with {error.code().name}: {error.details()}") from error


def percentile(values: Sequence[float], percent: int) -> float:
    """The value that so many percent of the values are below."""
    return sorted(values)[len(values) * percent // 100]
