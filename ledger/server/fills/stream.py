"""A stream of requests, taken ahead of their answers: the next wait for the writer while the last is on its way."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from queue import Empty, Full, Queue
from typing import Final, NamedTuple

import grpc

from ledger.domain.refusal import Reason
from ledger.server.to_writer import Handling
from ledger.wire.status import RefusedError, refuse
from ledger.writing.messages import Answer, Unread

_LOOK_UP_S: Final = 0.2  # how often a side that waits looks whether the call is over


class Streams:
    """How many streams may be open at once."""

    def __init__(self, streams_max: int) -> None:
        self._streams_max = streams_max
        self._free = threading.Semaphore(streams_max)

    @contextmanager
    def one(self) -> Iterator[None]:
        """One more, until the block ends; refuses with STREAMS_EXHAUSTED."""
        if not self._free.acquire(blocking=False):
            refuse(Reason.STREAMS_EXHAUSTED, "", f"{self._streams_max} streams are open: close one, or use RecordFills")
        try:
            yield
        finally:
            self._free.release()


class _Taken(NamedTuple):
    """A request before the writer, of which only that is kept which its answer needs; or why the stream ends."""

    fees_asked: int
    answer: Future[Answer] | None
    failure: BaseException | None = None


class TakenAhead:
    """Reads requests in a thread of its own and gives their answers in order; bounded on both sides.

    A caller that does not read its answers, and a writer that does not keep up, both stop the reading: then the flow
    control of the connection stops the sender.
    """

    def __init__(
        self,
        requests: Iterator[tuple[int, Unread]],
        handling: Handling,
        context: grpc.ServicerContext,
    ) -> None:
        self._requests = requests
        self._handling = handling
        self._context = context
        self._taken: Queue[_Taken] = Queue(handling.config.stream_requests_max)
        self._over = threading.Event()

    def taken(self) -> Iterator[tuple[int, Future[Answer]]]:
        """Of each request of how many fills the fees are asked for, and its answer to come, until there are no more.

        Raises the refusal that ends the stream.
        """
        self._context.add_callback(self._over.set)
        threading.Thread(target=self._read, name="stream", daemon=True).start()
        try:
            while (taken := self._next()) is not None:
                if taken.failure is not None:
                    raise taken.failure
                assert taken.answer is not None, taken
                yield taken.fees_asked, taken.answer
        finally:
            self._over.set()

    def _next(self) -> _Taken | None:
        while not self._over.is_set():
            try:
                taken = self._taken.get(timeout=_LOOK_UP_S)
            except Empty:
                continue
            return taken if taken != _END else None
        return None

    def _read(self) -> None:
        try:
            for fees_asked, job in self._requests:
                if not self._put(_Taken(fees_asked, self._handling.queue(job, self._over))):
                    return
            self._put(_END)
        except RefusedError as refused:
            self._put(_Taken(0, None, refused))
        except Exception as failure:  # the call is over, or a defect: whoever waits for answers is told
            self._put(_Taken(0, None, failure))

    def _put(self, taken: _Taken) -> bool:
        while not self._over.is_set():
            try:
                self._taken.put(taken, timeout=_LOOK_UP_S)
            except Full:
                continue
            return True
        return False


_END: Final = _Taken(0, None)
