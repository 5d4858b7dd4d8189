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

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

import grpc

from ledger.client.calls import Conflict, LedgerError, Unavailable, error_of
from ledger.client.fill_window import FILLS_MAX, Batch, FillWindow
from ledger.client.plain import Time, Values, message, timestamp
from ledger.domain.instants import SECOND_NS
from ledger.domain.refusal import Reason
from ledger.v1 import fill_pb2
from ledger.v1 import fill_service_pb2 as pb

HEARTBEAT_S: Final = 60.0  # how long a stream is idle before it says again how far its source is

_PAUSE_S: Final = 0.05  # after a break, then doubled until something is acknowledged
_PAUSE_S_MAX: Final = 2.0
_LOOK_UP_S: Final = 1.0  # how often who waits looks whether the ledger is given up
_JOIN_S_MAX: Final = 10.0
_REASONS: Final = frozenset(map(int, Reason))
# What a connection says that broke; if the ledger says the like, it gives a reason.
_BROKEN: Final = frozenset({grpc.StatusCode.CANCELLED, grpc.StatusCode.INTERNAL})


class RefusedFill(NamedTuple):
    """A fill that the ledger has taken, and not recorded."""

    sequence: int  # its number
    reason: Reason | None  # None: a reason this release does not know
    field: str  # at fault, for example last_px
    message: str  # a sentence for a person


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """A batch is durable, as is everything before it; recorded + replayed + len(refused) is its size."""

    first_sequence: int
    last_sequence: int
    position: int  # of the ledger: a read with this min_position sees the batch
    recorded_time_ns: int
    recorded: int
    replayed: int  # recorded before, with the same content
    refused: Sequence[RefusedFill]
    fees: Sequence[pb.FillFee]  # with_fees: one per fill, empty for a refused one


class Unacknowledged(Unavailable):
    """The ledger was away for too long. What was handed over may be recorded or not: send the same numbers again."""

    def __init__(self, cause: str, source: str, first_sequence: int, last_sequence: int) -> None:
        text = cause
        if first_sequence <= last_sequence:
            text = f"{cause}; fills {first_sequence} to {last_sequence} of {source} are not acknowledged"
        super().__init__(grpc.StatusCode.UNAVAILABLE, text)
        self.first_sequence = first_sequence
        self.last_sequence = last_sequence


class FillStream:
    """Fills of one source, in the order in which they are handed over. Got by `Client.fill_stream`.

    One thread hands fills over; it waits only while the window is full. Every call raises what ended the stream:
    Unacknowledged, or the ledger's no, with a note that names the numbers not acknowledged, or what `on_ack` raised.
    Then the stream is over; open another one.
    """

    def __init__(
        self,
        stub: Any,
        origin: pb.RecordFillsRequest,
        next_sequence: int,
        *,
        known_sequence: int,
        batch_fills: int,
        batch_ms: int,
        window_fills: int,
        give_up_s: float,
        on_ack: Callable[[Acknowledgement], None] | None,
        on_position: Callable[[int], None],
        complete_until: Callable[[], Time | None] | None = None,
        heartbeat_s: float = HEARTBEAT_S,
    ) -> None:
        """`origin` is what all batches have in common; `known_sequence` the last number the ledger has already."""
        if not 1 <= batch_fills <= min(window_fills, FILLS_MAX):
            raise ValueError(f"batch_fills is {batch_fills}: give 1 to {min(window_fills, FILLS_MAX):,}")
        self._stub = stub
        self.source = origin.source
        self._known_sequence = known_sequence
        self._window_fills = window_fills
        self._chunk = batch_fills
        self._give_up_s = give_up_s
        self._on_ack = on_ack
        self._on_position = on_position
        self._window = FillWindow(
            origin, next_sequence, batch_fills=batch_fills, batch_s=batch_ms / 1000, fills_max=window_fills
        )
        self._changed = threading.Condition()  # holds everything below, and the window
        self._connection = 0  # counts them: what belongs to an older one ends
        self._call: Any = None
        self._owing_since_s = 0.0  # since when the ledger has acknowledged nothing of what is held
        self._pause_s = _PAUSE_S
        self._closing = False
        self._failure: BaseException | None = None
        self._acks: deque[Acknowledgement] | None = None  # that nobody has taken yet
        self._untaken = 0  # fills of these: they take room in the window
        self._ask_complete_until = complete_until
        self._heartbeat_s = heartbeat_s
        self._heard_s = time.monotonic()  # when the ledger last heard, or the engine was asked
        self._thread = threading.Thread(target=self._run, name=f"fills of {self.source}", daemon=True)
        self._thread.start()

    @property
    def next_sequence(self) -> int:
        """The number the next fill gets."""
        return self._window.next_sequence

    @property
    def acknowledged_sequence(self) -> int:
        """All fills up to this number are durable."""
        with self._changed:
            return self._window.first_held - 1

    # -- the engine's side --------------------------------------------------------------------------------------------

    def send(self, fill: fill_pb2.Fill | Values) -> int:
        """Hand over a fill, a message or a mapping of its fields; its number. Raises TypeError, ValueError too."""
        made = message(fill_pb2.Fill, fill, "fill")
        with self._changed:
            self._wait_for_room(1)
            self._add((made,))
            return self._window.next_sequence - 1

    def send_all(self, fills: Iterable[fill_pb2.Fill | Values]) -> range:
        """Hand over fills one after the other; their numbers. Of one that cannot be sent, those long before it are."""
        first, rest = self.next_sequence, enumerate(fills)
        while chunk := [message(fill_pb2.Fill, fill, f"fills[{index}]") for index, fill in islice(rest, self._chunk)]:
            while chunk:
                with self._changed:
                    self._wait_for_room(1)
                    room = self._room()
                    self._add(chunk[:room])
                chunk = chunk[room:]
        return range(first, self.next_sequence)

    def send_columns(self, columns: pb.FillColumns) -> range:
        """Hand over at most 10,000 fills column by column, which travel as a batch of their own; their numbers."""
        size = len(columns.side)
        if not 1 <= size <= min(self._window_fills, FILLS_MAX):
            raise ValueError(f"columns of {size:,} fills: give 1 to {min(self._window_fills, FILLS_MAX):,}")
        with self._changed:
            self._wait_for_room(size)
            first = self._window.next_sequence
            self._begin_to_owe()
            self._window.add_columns(columns, size, time.monotonic())
            self._changed.notify_all()
            return range(first, first + size)

    def complete_until(self, time: Time) -> None:
        """Say that every fill that traded before an instant has been handed over. Raises TypeError, ValueError too.

        It goes out after them, takes no number, and is told to no `on_ack`. The ledger lets it never go back.
        """
        until = timestamp(time, "complete_until")
        assert until is not None
        with self._changed:
            self._wait_for_room(0)
            self._begin_to_owe()
            self._window.say(until)
            self._changed.notify_all()

    def flush(self) -> None:
        """Return when all that was handed over or said is durable, and `on_ack` has been told."""
        with self._changed:
            last = self._window.next_sequence - 1
            self._window.seal()
            self._changed.notify_all()
            self._wait_until(lambda: self._window.first_held > last)
            self._wait_until(lambda: not self._window.is_busy or self._window.held > 0)
            self._raise_failure()

    def close(self) -> None:
        """Flush, and end the stream; or raise what is in the way. Nothing is left running either way."""
        try:
            with self._changed:
                self._closing = True
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
            if self._on_ack is not None or self._acks is not None:
                raise ValueError("acknowledgements go to on_ack, or to one iterator")
            self._acks = deque()
        return self._taken(self._acks)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close; if the block failed, abandon: whoever fails should not wait."""
        if error is None:
            self.close()
        else:
            self.abandon()

    def _add(self, fills: Sequence[fill_pb2.Fill]) -> None:
        self._begin_to_owe()
        if self._window.add(fills, time.monotonic()):
            self._changed.notify_all()

    def _begin_to_owe(self) -> None:
        if not self._window.is_busy:
            self._owing_since_s = time.monotonic()

    def _room(self) -> int:
        return self._window.room - self._untaken

    def _wait_for_room(self, fills: int) -> None:
        self._raise_failure()
        if self._closing:
            raise ValueError("the stream is closed")
        if self._room() < fills:
            self._window.seal()
            self._changed.notify_all()
            self._wait_until(lambda: self._room() >= fills)
            self._raise_failure()

    def _wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait as long as the stream lives; a ledger that acknowledges nothing for too long is given up."""
        if threading.current_thread() is self._thread and not condition():
            raise RuntimeError("on_ack must not wait for its own stream: hand over less than the window holds")
        while not condition() and self._failure is None:
            if self._window.is_busy and self._overdue_s() >= 0:
                self._fail(self._unacknowledged(f"no answer for {self._give_up_s:g} s"))
            else:
                self._changed.wait(_LOOK_UP_S)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _taken(self, acks: deque[Acknowledgement]) -> Iterator[Acknowledgement]:
        while True:
            with self._changed:
                self._wait_until(lambda: bool(acks) or (self._closing and not self._window.held))
                if not acks:
                    self._raise_failure()
                    return
                ack = acks.popleft()
                self._untaken -= ack.last_sequence - ack.first_sequence + 1
                self._changed.notify_all()
            yield ack

    def _end(self) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if threading.current_thread() is not self._thread:
            self._thread.join(_JOIN_S_MAX)

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
                if self._failure is not None or self._window.is_busy or self._closing:
                    return self._window.is_busy and self._failure is None
                wait_s = self._idle_for_s()
                if wait_s is None or wait_s > 0:
                    self._changed.wait(wait_s)
                    continue
            self._beat()

    def _idle_for_s(self) -> float | None:
        """How long the stream may still be idle before it says how far the source is; None: there is nothing to say."""
        if self._closing or (self._ask_complete_until is None and self._window.said is None):
            return None
        return max(self._heard_s + self._heartbeat_s - time.monotonic(), 0.0)

    def _beat(self) -> None:
        """Ask the engine how far it is, without the lock: it may be about to hand over. Or say the last word again."""
        asked = timestamp(self._ask_complete_until(), "complete_until") if self._ask_complete_until else None
        with self._changed:
            self._heard_s = time.monotonic()
            until = asked or self._window.said
            if until is not None:
                self._window.say(until)
                self._changed.notify_all()

    def _converse(self) -> None:
        """One connection, from the first request to the last answer."""
        with self._changed:
            self._window.send_again()
            call = self._call = self._stub.StreamFills(self._requests(self._connection))
        try:
            for response in call:
                self._acknowledge(response.batch)
            if self._window.is_busy:
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
                if connection != self._connection or self._failure is not None:
                    return None
                batch = self._window.take(time.monotonic())
                if batch is not None or self._closing:
                    self._heard_s = time.monotonic()
                    return batch
                wait_s = self._next_in_s()
                if wait_s is None or wait_s > 0:
                    self._changed.wait(wait_s)
                    continue
            self._beat_or_fail()

    def _next_in_s(self) -> float | None:
        """How long until a batch is due, or, while nothing is held, until it is said how far the source is."""
        if self._window.is_busy:
            return self._window.due_in_s(time.monotonic())
        return self._idle_for_s()

    def _beat_or_fail(self) -> None:
        """The same in a thread of gRPC's: what the engine raises ends the stream."""
        try:
            self._beat()
        except BaseException as failure:
            self._fail(failure)

    def _acknowledge(self, response: pb.RecordFillsResponse) -> None:
        batch = self._window.oldest_sent()
        self._check_alone(response.source_sequence)
        ack = _acknowledgement(batch, response)
        self._on_position(ack.position)
        failure = self._tell(ack) if batch.size else None
        with self._changed:
            self._window.acknowledged()
            if self._acks is not None and batch.size:
                self._acks.append(ack)
                self._untaken += batch.size
            self._owing_since_s, self._pause_s = time.monotonic(), _PAUSE_S
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

    def _check_alone(self, source_sequence: int) -> None:
        """Two senders that number the same source trim each other's fills: better to stop."""
        handed_over = max(self._known_sequence, self._window.next_sequence - 1)
        if source_sequence > handed_over:
            raise Conflict(
                grpc.StatusCode.ALREADY_EXISTS,
                f"{self.source} has another sender: the ledger has its fill {source_sequence}, this stream has handed"
                f" over {handed_over} at most; look for fills that were given the same number",
            )

    def _rest(self, failure: LedgerError) -> None:
        """After a break: wait a little. Raises what no patience cures, and Unacknowledged where it is at its end."""
        passing = isinstance(failure, Unavailable) or (failure.reason is None and failure.code in _BROKEN)
        if not passing:
            raise failure
        wait_s = max(failure.retry_after_s, self._pause_s * random.uniform(0.5, 1))  # noqa: S311 - no secret
        self._pause_s = min(2 * self._pause_s, _PAUSE_S_MAX)
        with self._changed:
            if self._window.held and self._overdue_s() + wait_s >= 0:
                raise self._unacknowledged(str(failure))
            self._changed.wait_for(lambda: self._failure is not None, wait_s)

    def _overdue_s(self) -> float:
        return time.monotonic() - self._owing_since_s - self._give_up_s

    def _unacknowledged(self, cause: str) -> Unacknowledged:
        first, last = self._window.first_held, self._window.next_sequence - 1
        if first > last:
            cause = f"{cause}; how far {self.source} is was not acknowledged"
        return Unacknowledged(cause, self.source, first, last)

    def _fail(self, failure: BaseException) -> None:
        """End the stream; the first failure is the one that is told."""
        with self._changed:
            if self._failure is None:
                self._failure = failure
                if self._window.held and not isinstance(failure, Unacknowledged):
                    first, last = self._window.first_held, self._window.next_sequence - 1
                    failure.add_note(f"fills {first} to {last} of {self.source} are not acknowledged")
            self._changed.notify_all()
            call = self._call
        if call is not None:
            call.cancel()


def _acknowledgement(batch: Batch, response: pb.RecordFillsResponse) -> Acknowledgement:
    time_ = response.recorded_time
    return Acknowledgement(
        first_sequence=batch.first_sequence,
        last_sequence=batch.last_sequence,
        position=response.position,
        recorded_time_ns=time_.seconds * SECOND_NS + time_.nanos,
        recorded=response.recorded,
        replayed=response.replayed,
        refused=[
            RefusedFill(
                batch.first_sequence + entry.index,
                Reason(entry.reason) if entry.reason in _REASONS else None,
                entry.field,
                entry.message,
            )
            for entry in response.refusals
        ],
        fees=list(response.fees),
    )
