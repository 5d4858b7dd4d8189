"""The state of a stream of fills, and what follows from it. Nothing here waits, and nothing is locked.

`fill_stream` puts it to work with threads, `aio/fill_stream` on an event loop. They send what `take` gives, say by
`acknowledged` what is durable, and rest after a break for `rest_s`.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from typing import Final

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from ledger.client.acknowledgement import Acknowledgement, acknowledgement
from ledger.client.errors import Conflict, LedgerError, Unavailable
from ledger.client.fill_window import FILLS_MAX, Batch, FillWindow
from ledger.client.patience import Pauses
from ledger.v1 import fill_pb2
from ledger.v1 import fill_service_pb2 as pb

HEARTBEAT_S: Final = 60.0  # how long a stream is idle before it says again how far its source is
LOOK_UP_S: Final = 1.0  # how often who waits looks whether the ledger is given up
END_S_MAX: Final = 10.0  # how long a stream that ends may take

# What a connection says that broke; if the ledger says the like, it gives a reason.
_BROKEN: Final = frozenset({grpc.StatusCode.CANCELLED, grpc.StatusCode.INTERNAL})


class Unacknowledged(Unavailable):
    """The ledger was away for too long. What was handed over may be recorded or not: send the same numbers again."""

    def __init__(self, cause: str, source: str, first_sequence: int, last_sequence: int) -> None:
        text = cause
        if first_sequence <= last_sequence:
            text = f"{cause}; fills {first_sequence} to {last_sequence} of {source} are not acknowledged"
        super().__init__(grpc.StatusCode.UNAVAILABLE, text)
        self.first_sequence = first_sequence
        self.last_sequence = last_sequence


class StreamState:
    """The state of a stream: its window, since when the ledger owes it an answer, and what ended it."""

    def __init__(
        self,
        origin: pb.RecordFillsRequest,
        next_sequence: int,
        *,
        known_sequence: int,
        batch_fills: int,
        batch_ms: int,
        window_fills: int,
        give_up_s: float,
        heartbeat_s: float,
        asks: bool,
    ) -> None:
        """`origin` is what all batches have in common; `known_sequence` the last number the ledger has already.

        If it `asks`, the engine is asked how far its source is whenever it is idle.
        """
        if not 1 <= batch_fills <= min(window_fills, FILLS_MAX):
            raise ValueError(f"batch_fills is {batch_fills}: give 1 to {min(window_fills, FILLS_MAX):,}")
        self.source = origin.source
        self.chunk = batch_fills  # how many fills are handed over together
        self.is_closing = False
        self.failure: BaseException | None = None
        self.acks: deque[Acknowledgement] | None = None  # that nobody has taken yet; None: nobody iterates
        self._known_sequence = known_sequence
        self._window_fills = window_fills
        self._window = FillWindow(
            origin, next_sequence, batch_fills=batch_fills, batch_s=batch_ms / 1000, fills_max=window_fills
        )
        self._untaken = 0  # fills of the acks: they take room in the window
        self._give_up_s = give_up_s
        self._owing_since_s = 0.0  # since when the ledger has acknowledged nothing of what is held
        self._pauses = Pauses()
        self._asks = asks
        self._heartbeat_s = heartbeat_s
        self._heard_s = time.monotonic()  # when the ledger last heard, or the engine was asked

    # -- what is handed over ------------------------------------------------------------------------------------------

    @property
    def next_sequence(self) -> int:
        """The number the next fill gets."""
        return self._window.next_sequence

    @property
    def acknowledged_sequence(self) -> int:
        """All fills up to this number are durable."""
        return self._window.first_held - 1

    @property
    def room(self) -> int:
        """The number of fills that may still be handed over."""
        return self._window.room - self._untaken

    @property
    def is_busy(self) -> bool:
        """Return True while anything is not acknowledged, be it a fill or how far the source is."""
        return self._window.is_busy

    @property
    def holds_fills(self) -> bool:
        """Return True while a fill is not acknowledged."""
        return self._window.held > 0

    def check_open(self) -> None:
        """Raise what ended the stream, or ValueError if it is closed."""
        if self.failure is not None:
            raise self.failure
        if self.is_closing:
            raise ValueError("the stream is closed")

    def columns_size(self, columns: pb.FillColumns) -> int:
        """Return how many fills columns have. Raises ValueError for more than fit, and for none."""
        size, most = len(columns.side), min(self._window_fills, FILLS_MAX)
        if not 1 <= size <= most:
            raise ValueError(f"columns of {size:,} fills: give 1 to {most:,}")
        return size

    def add(self, fills: Sequence[fill_pb2.Fill]) -> bool:
        """Number and gather copies of fills; True: whoever sends should look again."""
        self._begin_to_owe()
        return self._window.add(fills, time.monotonic())

    def add_columns(self, columns: pb.FillColumns, size: int) -> range:
        """Number fills that are a batch of their own; their numbers."""
        first = self._window.next_sequence
        self._begin_to_owe()
        self._window.add_columns(columns, size, time.monotonic())
        return range(first, first + size)

    def say(self, complete_until: Timestamp) -> None:
        """Have it said how far the source is."""
        self._begin_to_owe()
        self._window.say(complete_until)

    def seal(self) -> None:
        """Let what is gathered go out as it is."""
        self._window.seal()

    def collect_acks(self) -> deque[Acknowledgement]:
        """Begin to keep acknowledgements for one who iterates."""
        self.acks = deque()
        return self.acks

    def taken(self, ack: Acknowledgement) -> None:
        """Give back the room of an acknowledgement that was taken."""
        self._untaken -= ack.size

    # -- what is sent -------------------------------------------------------------------------------------------------

    def take(self) -> Batch | None:
        """Return the next batch to send, which counts as sent; None: nothing is ready or due."""
        batch = self._window.take(time.monotonic())
        if batch is not None or self.is_closing:
            self._heard_s = time.monotonic()
        return batch

    def next_in_s(self) -> float | None:
        """Return how long until a batch is due, or while nothing is held until a beat is; None: there is no telling."""
        return self._window.due_in_s(time.monotonic()) if self._window.is_busy else self.idle_for_s()

    def idle_for_s(self) -> float | None:
        """Return how long the stream may still be idle before it says how far the source is; None: it need not."""
        if self.is_closing or (not self._asks and self._window.said is None):
            return None
        return max(self._heard_s + self._heartbeat_s - time.monotonic(), 0.0)

    def beat(self, asked: Timestamp | None) -> None:
        """Say how far the source is, which the engine was asked, or the last word again."""
        self._heard_s = time.monotonic()
        until = asked or self._window.said
        if until is not None:
            self.say(until)

    def send_again(self) -> None:
        """Begin with a new connection: all that was sent and not acknowledged is sent on it."""
        self._window.send_again()

    # -- what is acknowledged -----------------------------------------------------------------------------------------

    def acknowledgement(self, response: pb.RecordFillsResponse) -> Acknowledgement:
        """Return what an answer says of the oldest batch. Raises Conflict for a source that has another sender.

        Two senders that number the same source trim each other's fills: better to stop.
        """
        handed_over = max(self._known_sequence, self._window.next_sequence - 1)
        if response.source_sequence > handed_over:
            raise Conflict(
                grpc.StatusCode.ALREADY_EXISTS,
                f"{self.source} has another sender: the ledger has its fill {response.source_sequence}, this stream"
                f" has handed over {handed_over} at most; look for fills that were given the same number",
            )
        return acknowledgement(self._window.oldest_sent(), response)

    def acknowledged(self, ack: Acknowledgement) -> None:
        """Let go of the oldest batch."""
        self._window.acknowledged()
        if self.acks is not None and ack.size:
            self.acks.append(ack)
            self._untaken += ack.size
        self._owing_since_s, self._pauses = time.monotonic(), Pauses()

    # -- what breaks --------------------------------------------------------------------------------------------------

    def rest_s(self, failure: LedgerError) -> float:
        """Return how long to rest after a break. Raises what no patience cures, and Unacknowledged at its end."""
        passing = isinstance(failure, Unavailable) or (failure.reason is None and failure.code in _BROKEN)
        if not passing:
            raise failure
        rest_s = self._pauses.next_s(failure)
        if self._window.held and self._overdue_s() + rest_s >= 0:
            raise self._unacknowledged(str(failure))
        return rest_s

    def given_up(self) -> Unacknowledged | None:
        """Return why the ledger is given up, if it has acknowledged nothing for too long."""
        if self._window.is_busy and self._overdue_s() >= 0:
            return self._unacknowledged(f"no answer for {self._give_up_s:g} s")
        return None

    def fail(self, failure: BaseException) -> None:
        """End the stream; the first failure is the one that is told, with the numbers that are not acknowledged."""
        if self.failure is not None:
            return
        self.failure = failure
        if self._window.held and not isinstance(failure, Unacknowledged):
            first, last = self._window.first_held, self._window.next_sequence - 1
            failure.add_note(f"fills {first} to {last} of {self.source} are not acknowledged")

    def _begin_to_owe(self) -> None:
        if not self._window.is_busy:
            self._owing_since_s = time.monotonic()

    def _overdue_s(self) -> float:
        return time.monotonic() - self._owing_since_s - self._give_up_s

    def _unacknowledged(self, cause: str) -> Unacknowledged:
        first, last = self._window.first_held, self._window.next_sequence - 1
        if first > last:
            cause = f"{cause}; how far {self.source} is was not acknowledged"
        return Unacknowledged(cause, self.source, first, last)
