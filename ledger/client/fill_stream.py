"""An engine's fills on their way into a ledger: it hands them over and goes on, and is told what is durable.

    with ledger.fill_stream("engine-1", on_ack=lambda ack: journal.trim(ack.last_sequence)) as stream:
        for fill in market:
            stream.send(fill)

A fill is numbered when it is handed over, copied into a batch, sent, and kept until the ledger has acknowledged it.
When the connection breaks, all that is kept is sent again: the ledger trims what it has, and tells refusals and fees
as the first time. So a fill that was handed over is recorded once, whatever dies but the engine itself. That goes on
after `get_source_position`, as a stream does without a `first_sequence`, or sends again from an earlier number on.

An evaluation of volume waits for a source until it has passed the instant. An engine that has nothing to send says how
far it is with `stream.complete_until(time)`, or the stream asks it with `complete_until=` whenever it is idle: only the
engine can know. While it stays idle, what was last said is repeated, as a sign that the source is alive.

Memory: the window, in which a fill as a row takes about 0.4 kB (20 MB by default), in columns what the columns take;
and acknowledgements that are iterated and not taken yet, which take room in the window.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from types import TracebackType
from typing import Any, Self

import grpc

from ledger.client.acknowledgement import Acknowledgement
from ledger.client.errors import LedgerError, Unavailable, error_of
from ledger.client.fill_window import Batch
from ledger.client.plain import Time, Values, message, timestamp
from ledger.client.stream_state import END_S_MAX, LOOK_UP_S, StreamState
from ledger.client.trace import traceparent
from ledger.v1 import fill_pb2
from ledger.v1 import fill_service_pb2 as pb


class FillStream:
    """Fills of one source, in the order in which they are handed over. Got by `Client.fill_stream`.

    One thread hands fills over; it waits only while the window is full. Every call raises what ended the stream:
    Unacknowledged, or the ledger's no, with a note that names the numbers not acknowledged, or what `on_ack` raised.
    Then the stream is over; open another one.
    """

    def __init__(
        self,
        stub: Any,
        state: StreamState,
        *,
        on_ack: Callable[[Acknowledgement], None] | None,
        on_position: Callable[[int], None],
        complete_until: Callable[[], Time | None] | None = None,
    ) -> None:
        self._stub = stub
        self._traceparent = traceparent()  # here, for the threads of the stream have no active span
        self._state = state
        self._on_ack = on_ack
        self._on_position = on_position
        self._ask_complete_until = complete_until
        self._changed = threading.Condition()  # holds the state, and everything below
        self._connection = 0  # counts them: what belongs to an older one ends
        self._call: Any = None
        self._thread = threading.Thread(target=self._run, name=f"fills of {self.source}", daemon=True)
        self._thread.start()

    @property
    def source(self) -> str:
        """The engine whose fills these are."""
        return self._state.source

    @property
    def next_sequence(self) -> int:
        """The number the next fill gets."""
        return self._state.next_sequence

    @property
    def acknowledged_sequence(self) -> int:
        """All fills up to this number are durable."""
        with self._changed:
            return self._state.acknowledged_sequence

    # -- the engine's side --------------------------------------------------------------------------------------------

    def send(self, fill: fill_pb2.Fill | Values) -> int:
        """Hand over a fill, a message or a mapping of its fields; its number. Raises TypeError, ValueError too."""
        made = message(fill_pb2.Fill, fill, "fill")
        with self._changed:
            self._wait_for_room(1)
            self._add((made,))
            return self._state.next_sequence - 1

    def send_all(self, fills: Iterable[fill_pb2.Fill | Values]) -> range:
        """Hand over fills one after the other; their numbers. Of one that cannot be sent, those long before it are."""
        first, rest = self.next_sequence, enumerate(fills)
        chunk = self._state.chunk
        while made := [message(fill_pb2.Fill, fill, f"fills[{index}]") for index, fill in islice(rest, chunk)]:
            while made:
                with self._changed:
                    self._wait_for_room(1)
                    room = self._state.room
                    self._add(made[:room])
                made = made[room:]
        return range(first, self.next_sequence)

    def send_columns(self, columns: pb.FillColumns) -> range:
        """Hand over at most 10,000 fills column by column, which travel as a batch of their own; their numbers."""
        size = self._state.columns_size(columns)
        with self._changed:
            self._wait_for_room(size)
            numbers = self._state.add_columns(columns, size)
            self._changed.notify_all()
            return numbers

    def complete_until(self, time: Time) -> None:
        """Say that every fill that traded before an instant has been handed over. Raises TypeError, ValueError too.

        It goes out after them, takes no number, and is told to no `on_ack`. The ledger lets it never go back.
        """
        until = timestamp(time, "complete_until")
        assert until is not None
        with self._changed:
            self._wait_for_room(0)
            self._state.say(until)
            self._changed.notify_all()

    def flush(self) -> None:
        """Return when all that was handed over or said is durable, and `on_ack` has been told."""
        with self._changed:
            last = self._state.next_sequence - 1
            self._state.seal()
            self._changed.notify_all()
            self._wait_until(lambda: self._state.acknowledged_sequence >= last)
            self._wait_until(lambda: not self._state.is_busy or self._state.holds_fills)
            self._raise_failure()

    def close(self) -> None:
        """Flush, and end the stream; or raise what is in the way. Nothing is left running either way."""
        try:
            with self._changed:
                self._state.is_closing = True
                self.flush()
        finally:
            self._end()

    def abandon(self) -> None:
        """End the stream without waiting for what is not acknowledged."""
        self._fail(ValueError("the stream was abandoned"))
        self._end()

    def acks(self) -> Iterator[Acknowledgement]:
        """Acknowledgements from now on, in order, to the end of the stream: in place of `on_ack`.

        Those not taken yet take room in the window: take them in another thread than the one that sends.
        """
        with self._changed:
            if self._on_ack is not None or self._state.acks is not None:
                raise ValueError("acknowledgements go to on_ack, or to one iterator")
            return self._taken(self._state.collect_acks())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close; if the block failed, abandon: whoever fails should not wait."""
        if error is None:
            self.close()
        else:
            self.abandon()

    def _add(self, fills: Sequence[fill_pb2.Fill]) -> None:
        if self._state.add(fills):
            self._changed.notify_all()

    def _wait_for_room(self, fills: int) -> None:
        self._state.check_open()
        if self._state.room < fills:
            self._state.seal()
            self._changed.notify_all()
            self._wait_until(lambda: self._state.room >= fills)
            self._raise_failure()

    def _wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait as long as the stream lives; a ledger that acknowledges nothing for too long is given up."""
        if threading.current_thread() is self._thread and not condition():
            raise RuntimeError("on_ack must not wait for its own stream: hand over less than the window holds")
        while not condition() and self._state.failure is None:
            if failure := self._state.given_up():
                self._fail(failure)
            else:
                self._changed.wait(LOOK_UP_S)

    def _raise_failure(self) -> None:
        if self._state.failure is not None:
            raise self._state.failure

    def _taken(self, acks: deque[Acknowledgement]) -> Iterator[Acknowledgement]:
        while True:
            with self._changed:
                self._wait_until(lambda: bool(acks) or (self._state.is_closing and not self._state.holds_fills))
                if not acks:
                    self._raise_failure()
                    return
                ack = acks.popleft()
                self._state.taken(ack)
                self._changed.notify_all()
            yield ack

    def _end(self) -> None:
        with self._changed:
            self._state.is_closing = True
            self._changed.notify_all()
        if threading.current_thread() is not self._thread:
            self._thread.join(END_S_MAX)

    # -- the ledger's side: a thread that reads answers; another one of gRPC's takes requests --------------------------

    def _run(self) -> None:
        try:
            while self._something_is_held():
                try:
                    self._converse()
                except grpc.RpcError as error:
                    self._rest(error_of(error))
        except BaseException as failure:  # whatever it is, the engine is told
            self._fail(failure)

    def _something_is_held(self) -> bool:
        """Wait for fills, or until it is time to say how far the source is; False: the stream is over."""
        while True:
            with self._changed:
                state = self._state
                if state.failure is not None or state.is_busy or state.is_closing:
                    return state.is_busy and state.failure is None
                wait_s = state.idle_for_s()
                if wait_s is None or wait_s > 0:
                    self._changed.wait(wait_s)
                    continue
            self._beat()

    def _beat(self) -> None:
        """Ask the engine how far it is, without the lock: it may be about to hand over. Or say the last word again."""
        asked = timestamp(self._ask_complete_until(), "complete_until") if self._ask_complete_until else None
        with self._changed:
            self._state.beat(asked)
            self._changed.notify_all()

    def _converse(self) -> None:
        """One connection, from the first request to the last answer."""
        with self._changed:
            self._state.send_again()
            requests = self._requests(self._connection)
            call = self._call = self._stub.StreamFills(requests, metadata=self._traceparent)
        try:
            for response in call:
                self._acknowledge(response.batch)
            if self._state.is_busy:
                self._rest(Unavailable(grpc.StatusCode.UNAVAILABLE, "the ledger ended the stream"))
        finally:
            with self._changed:
                self._connection += 1
                self._changed.notify_all()
            call.cancel()

    def _requests(self, connection: int) -> Iterator[pb.StreamFillsRequest]:
        while (batch := self._next_batch(connection)) is not None:
            yield batch.request

    def _next_batch(self, connection: int) -> Batch | None:
        """Wait for the next batch; None: this connection needs no more."""
        while True:
            with self._changed:
                if connection != self._connection or self._state.failure is not None:
                    return None
                batch = self._state.take()
                if batch is not None or self._state.is_closing:
                    return batch
                wait_s = self._state.next_in_s()
                if wait_s is None or wait_s > 0:
                    self._changed.wait(wait_s)
                    continue
            self._beat_or_fail()

    def _beat_or_fail(self) -> None:
        """Beat in a thread of gRPC's, where what the engine raises would be lost: it ends the stream."""
        try:
            self._beat()
        except BaseException as failure:
            self._fail(failure)

    def _acknowledge(self, response: pb.RecordFillsResponse) -> None:
        ack = self._state.acknowledgement(response)
        self._on_position(ack.position)
        failure = self._tell(ack) if ack.size else None
        with self._changed:
            self._state.acknowledged(ack)
            self._changed.notify_all()
            if failure is not None:
                self._fail(failure)

    def _tell(self, ack: Acknowledgement) -> BaseException | None:
        """Tell the engine; what it raises ends the stream, and is raised to it again where it hands over."""
        try:
            if self._on_ack is not None:
                self._on_ack(ack)
        except BaseException as failure:
            return failure
        return None

    def _rest(self, failure: LedgerError) -> None:
        """After a break: wait a little. Raises what no patience cures, and Unacknowledged where it is at its end."""
        with self._changed:
            rest_s = self._state.rest_s(failure)
            self._changed.wait_for(lambda: self._state.failure is not None, rest_s)

    def _fail(self, failure: BaseException) -> None:
        """End the stream; the first failure is the one that is told."""
        with self._changed:
            self._state.fail(failure)
            self._changed.notify_all()
            call = self._call
        if call is not None:
            call.cancel()
