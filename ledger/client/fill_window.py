"""The fills that a stream holds: numbered, gathered into batches, and kept until each batch is acknowledged.

It knows neither threads nor a connection: fill_stream puts it to work.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from ledger.v1 import fill_pb2
from ledger.v1.fill_service_pb2 import FillColumns, RecordFillsRequest, StreamFillsRequest

FILLS_MAX: Final = 10_000  # in one batch


@dataclass(slots=True)
class Batch:
    """Fills that travel together, as they are sent: the request is what grows. Without any: how far the source is."""

    request: StreamFillsRequest
    first_sequence: int
    due_s: float  # when it goes out, however small it is
    size: int = 0

    @property
    def last_sequence(self) -> int:
        """Number of its last fill."""
        return self.first_sequence + self.size - 1


class FillWindow:
    """At most `fills_max` fills that are not acknowledged, in order: acknowledged | sent | ready | gathered."""

    def __init__(
        self, origin: RecordFillsRequest, next_sequence: int, *, batch_fills: int, batch_s: float, fills_max: int
    ) -> None:
        """`origin` is what all batches have in common."""
        self._origin = origin
        self._batch_fills = batch_fills
        self._batch_s = batch_s
        self._fills_max = fills_max
        self._sent: deque[Batch] = deque()
        self._ready: deque[Batch] = deque()
        self._gathered: Batch | None = None
        self._said: Timestamp | None = None  # how far the source is, as was last said
        self._beating = False  # a batch that says so is ready or sent: never more than one, however often it is said
        self._unsaid = False  # something was said since that batch was made
        self.next_sequence = next_sequence
        self.held = 0  # fills

    @property
    def said(self) -> Timestamp | None:
        """How far the source is, as was last said."""
        return self._said

    @property
    def is_busy(self) -> bool:
        """Return True while anything is not acknowledged, be it a fill or how far the source is."""
        return self.held > 0 or self._beating

    @property
    def first_held(self) -> int:
        """The lowest number that is not acknowledged; next_sequence if all are."""
        return self.next_sequence - self.held

    @property
    def room(self) -> int:
        """How many more fills it takes."""
        return self._fills_max - self.held

    def add(self, fills: Sequence[fill_pb2.Fill], now_s: float) -> bool:
        """Gather copies of fills, no more than there is room for; True: whoever sends should look again."""
        taken, news = 0, False
        while taken < len(fills):
            batch = self._gathered
            if batch is None:
                batch = self._gathered = self._batch(now_s)
                news = True
            part = fills[taken : taken + self._batch_fills - batch.size]
            batch.request.batch.fills.extend(part)
            self._count(batch, len(part))
            taken += len(part)
            if batch.size == self._batch_fills:
                self.seal()
                news = True
        return news

    def add_columns(self, columns: FillColumns, size: int, now_s: float) -> None:
        """A batch of its own, ready to be sent."""
        self.seal()
        batch = self._batch(now_s)
        batch.request.batch.columns.CopyFrom(columns)
        self._count(batch, size)
        self._ready.append(batch)

    def say(self, complete_until: Timestamp) -> None:
        """Have it said how far the source is, after all fills that are held now; earlier words are left out."""
        self._said = complete_until
        self._unsaid = self._beating
        if not self._beating:
            self._beat(complete_until)

    def _beat(self, complete_until: Timestamp) -> None:
        self.seal()
        batch = self._batch(0.0)
        batch.request.batch.complete_until.CopyFrom(complete_until)
        self._ready.append(batch)
        self._beating, self._unsaid = True, False

    def seal(self) -> None:
        """Close the batch that is being gathered: it goes out as it is."""
        if self._gathered is not None:
            self._ready.append(self._gathered)
            self._gathered = None

    def take(self, now_s: float) -> Batch | None:
        """The next batch to send, which counts as sent from now on; None: nothing is ready or due."""
        if not self._ready and self._gathered is not None and self._gathered.due_s <= now_s:
            self.seal()
        if not self._ready:
            return None
        self._sent.append(self._ready.popleft())
        return self._sent[-1]

    def due_in_s(self, now_s: float) -> float | None:
        """How long what is gathered may still wait; None: nothing is."""
        return None if self._gathered is None else max(self._gathered.due_s - now_s, 0.0)

    def oldest_sent(self) -> Batch:
        """The batch that the next answer is about."""
        return self._sent[0]

    def acknowledged(self) -> None:
        """Let go of the oldest batch that was sent."""
        batch = self._sent.popleft()
        self.held -= batch.size
        if not batch.size:
            self._beating = False
            if self._unsaid and self._said is not None:
                self._beat(self._said)

    def send_again(self) -> None:
        """A connection is gone: all that was sent on it is to be sent on the next one."""
        self._ready.extendleft(reversed(self._sent))
        self._sent.clear()

    def _batch(self, now_s: float) -> Batch:
        request = StreamFillsRequest(batch=self._origin)
        request.batch.first_sequence = self.next_sequence
        return Batch(request, self.next_sequence, now_s + self._batch_s)

    def _count(self, batch: Batch, fills: int) -> None:
        batch.size += fills
        self.held += fills
        self.next_sequence += fills
