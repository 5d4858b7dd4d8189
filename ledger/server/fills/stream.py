"""A stream of requests, taken ahead of their answers: the next ones are queued while the last one is recorded."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextvars import copy_context
from queue import Empty, SimpleQueue
from typing import Final, NamedTuple

import grpc

from ledger.domain.refusal import Reason
from ledger.server.fills.open_streams import OpenStream
from ledger.server.to_writer import ToWriter
from ledger.server.turns import Turns
from ledger.wire.status import refuse
from ledger.writing.messages import AnswerToCome, UnreadFills

_LOOK_UP_S: Final = 0.2  # between two looks whether the call is over, by the side that waits


class _Taken(NamedTuple):
    """A request that is queued, with only what its answer needs; or the reason why the stream ends."""

    fees_wanted: int
    answer: AnswerToCome | None
    failure: BaseException | None = None


class TakenAhead:
    """Reads requests in a thread of its own and gives their answers in order; bounded on both sides.

    A caller that does not read its answers, and a writer that does not keep up, both stop the reading: then the flow
    control of the connection stops the sender.
    """

    def __init__(
        self,
        requests: Iterator[tuple[int, UnreadFills]],
        to_writer: ToWriter,
        context: grpc.ServicerContext,
        stream: OpenStream,
    ) -> None:
        self._requests = requests
        self._to_writer = to_writer
        self._context = context
        self._stream = stream
        self._taken: SimpleQueue[_Taken] = SimpleQueue()
        self._places = Turns(to_writer.config.stream_requests_max)  # in that queue, which itself has no bound
        self._over = threading.Event()

    def taken(self) -> Iterator[tuple[int, AnswerToCome]]:
        """Yield for each request the number of fees wanted and the answer to come, until there are no more requests.

        Raises the refusal that ends the stream.
        """
        self._context.add_callback(self._over.set)
        reading = copy_context()  # that thread answers the same caller
        thread = threading.Thread(target=reading.run, args=(self._read,), name="stream", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            refuse(Reason.STREAMS_EXHAUSTED, "", f"the system gives no thread for one more ({error}): use RecordFills")
        try:
            while (taken := self._next()) is not None:
                if taken.failure is not None:
                    try:
                        raise taken.failure
                    finally:
                        del taken  # or this frame, which the failure tells of, would hold the failure
                assert taken.answer is not None, taken
                yield taken.fees_wanted, taken.answer
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
                self._places.leave()
                return taken if taken != _END else None
        return None

    def _read(self) -> None:
        try:
            for fees_wanted, job in self._requests:
                self._stream.check_ending()
                if not self._put(_Taken(fees_wanted, self._to_writer.queue(job, self._over.is_set))):
                    return
            self._put(_END)
        except Exception as failure:  # a refusal, a call that is over, or a defect: `taken` raises it
            self._put(_Taken(0, None, failure))

    def _put(self, taken: _Taken) -> bool:
        while not self._over.is_set():
            if self._places.take(_LOOK_UP_S):
                self._taken.put(taken)
                return True
        return False


_END: Final = _Taken(0, None)
