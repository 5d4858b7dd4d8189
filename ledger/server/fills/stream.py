"""A stream of requests, taken ahead of their answers: the next wait for the writer while the last is on its way."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from queue import Empty, Full, Queue
from typing import Final, NamedTuple

import grpc

from ledger.server.fills.open_streams import OpenStream
from ledger.server.to_writer import Handling
from ledger.wire.status import RefusedError
from ledger.writing.messages import Answer, Unread

_LOOK_UP_S: Final = 0.2  # how often a side that waits looks whether the call is over


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
        stream: OpenStream,
    ) -> None:
        self._requests = requests
        self._handling = handling
        self._context = context
        self._stream = stream
        self._taken: Queue[_Taken] = Queue(handling.config.stream_requests_max)
        self._over = threading.Event()

    def taken(self) -> Iterator[tuple[int, Future[Answer]]]:
        """Yield for each request the number of fees asked for and the answer to come, until there are no more.

        Raises the refusal that ends the stream.
        """
        self._context.add_callback(self._over.set)
        threading.Thread(target=self._read, name="stream", daemon=True).start()
        try:
            while (taken := self._next()) is not None:
                if taken.failure is not None:
                    try:
                        raise taken.failure
                    finally:
                        del taken  # or this frame, which the failure tells of, would hold the failure
                assert taken.answer is not None, taken
                yield taken.fees_asked, taken.answer
        finally:
            self._over.set()

    def _next(self) -> _Taken | None:
        with self._stream.waiting_for_client(sending=False):
            while not self._over.is_set():
                try:
                    taken = self._taken.get(timeout=_LOOK_UP_S)
                except Empty:
                    self._stream.check_idle()
                    continue
                return taken if taken != _END else None
        return None

    def _read(self) -> None:
        try:
            for fees_asked, job in self._requests:
                self._stream.check_ending()
                if not self._put(_Taken(fees_asked, self._handling.queue(job, self._over.is_set))):
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
