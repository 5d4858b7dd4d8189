"""Reads requests of fills: those that wait together and are alike as one batch, every other one by itself."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from itertools import accumulate, chain
from typing import Any, Final

import numpy as np

from ledger.arrays.columns import INT64_ROOM, Ints
from ledger.caller import answering
from ledger.defects import Defects
from ledger.domain.refusal import Reason, Refusal
from ledger.fills.batch import BatchPart, FillBatch, as_part
from ledger.log_lines import about
from ledger.seldom import Seldom
from ledger.server.fills.read_columns import (
    column_names,
    fill_reader,
    packed_columns,
    read_columns,
    read_joined_columns,
)
from ledger.server.fills.read_message_bytes import read_fill_bytes
from ledger.server.fills.read_messages import read_batch
from ledger.server.fills.request_bytes import ListedOrigin, ReceivedRequest, common_origin, origin_of
from ledger.v1 import fill_service_pb2 as pb
from ledger.v1.fill_pb2 import Fill
from ledger.wire.fields import ID, Shape, optional_id, past_ns, required_id
from ledger.wire.status import INTERNAL, RefusedError, refuse, refuse_all
from ledger.writing.messages import RecordFills, Refused, UnreadFills

_failing: Final = Seldom(logging.getLogger(__name__))
_defects: Final = Defects(logging.getLogger(__name__))

_FEW: Final = 64  # so few messages are read one by one as quickly as all at once


class FillRequests:
    """Reads requests for the writer.

    A request is ordinary if nothing is wrong with its shape and it says nothing that few requests say. Ordinary ones of
    one form, venue and actor are read together: whatever their number, that costs about as much as reading one. Any
    other is read by itself, which tells what is wrong with it, and never changes what is read of those beside it.
    """

    def __init__(self, fills_max: int, latest_ns: Callable[[], int], *, few: int = _FEW) -> None:
        """`latest_ns` returns the latest instant at which a fill may say that it happened.

        Up to `few` fills are read from their messages, more from their bytes.
        """
        self._few = few
        self._fills_max = fills_max
        self._latest_ns = latest_ns
        self.messages = self.bytes = 0  # that the writer has had read

    def read(self, unread: Sequence[UnreadFills]) -> list[RecordFills | Refused]:
        """Return for each request the job to record its fills, or why there is none."""
        received: list[Any] = [one.request for one in unread]
        self.messages += len(received)
        self.bytes += sum(len(one.data) for one in received)
        alike: dict[Hashable, list[int]] = {}
        for place, one in enumerate(received):
            if (form := self._form(one)) is not None:
                alike.setdefault(form, []).append(place)
        parts: dict[int, BatchPart] = {}
        for places in alike.values():
            read = self._read_alike([received[place] for place in places])
            parts.update((place, part) for place, part in zip(places, read, strict=True) if part is not None)
        return [
            _record_fills(received[place], parts[place]) if place in parts else self._read_one(one)
            for place, one in enumerate(unread)
        ]

    def _form(self, received: ReceivedRequest) -> Hashable | None:
        """Return the form, venue and actor that requests read together share; None for one that is read by itself."""
        request = received.request
        names = (request.venue, request.actor, request.source)
        columns = request.HasField("columns")
        if any(name and not ID.fullmatch(name) for name in names) or (columns and request.fills):
            return None
        if request.HasField("complete_until"):
            return None
        if bool(request.source) != bool(request.first_sequence) or (received.streamed and not request.source):
            return None
        if request.first_sequence >= INT64_ROOM or not 0 < received.size <= self._fills_max:
            return None
        return request.venue, request.actor, bool(request.source), column_names(request.columns) if columns else ()

    def _read_alike(self, received: Sequence[ReceivedRequest]) -> list[BatchPart | None]:
        """Return the fills of each request of one form, all in one batch; None for a request to be read by itself."""
        parts: list[BatchPart | None] = [None] * len(received)
        places = list(range(len(received)))
        while places:
            try:
                read = self._read_batch([received[place] for place in places])
            except Exception:
                _failing.exception("a defect: requests could not be read together; each is read by itself")
                break
            if isinstance(read, FillBatch):
                ends = list(accumulate(received[place].size for place in places))
                for place, start, end in zip(places, [0, *ends], ends, strict=False):
                    parts[place] = BatchPart(read, start, end)
                break
            places = [place for place, ordinary in zip(places, read.tolist(), strict=True) if ordinary]
        return parts

    def _read_batch(self, received: Sequence[ReceivedRequest]) -> FillBatch | Ints:
        """Return all fills as a batch; or, if not all requests are ordinary, True for each that is."""
        requests, sizes = [one.request for one in received], [one.size for one in received]
        latest_ns = self._latest_ns()
        if not requests[0].fills:
            columns = [packed_columns(request.columns) for request in requests]
            return read_joined_columns(columns, common_origin(requests, sizes), latest_ns)
        if sum(sizes) > self._few:
            fills = list(chain.from_iterable(one.fills_as_bytes() for one in received))
            read = read_fill_bytes(fills, common_origin(requests, sizes), latest_ns)
            return read if isinstance(read, FillBatch) else _all_ordinary(read, sizes)
        messages = list(chain.from_iterable(request.fills for request in requests))
        batch, refused = read_batch(messages, ListedOrigin.of(requests, sizes), latest_ns)
        if batch is not None and not refused:
            return batch
        ordinary = np.ones(len(messages), dtype=bool)
        ordinary[[place for place, _ in refused]] = False
        return _all_ordinary(ordinary, sizes)

    def _read_one(self, one: UnreadFills) -> RecordFills | Refused:
        received: Any = one.request
        try:
            return self._read_shape(received, required_id if received.streamed else optional_id)
        except RefusedError as refused:
            return Refused(refused.refusal, others=refused.others)
        except Exception as defect:
            with answering(one.who), about(source=received.request.source):
                _defects.tell(defect, "a request of fills could not be read, and nothing of it is recorded")
            return Refused(INTERNAL)

    def _read_shape(self, received: ReceivedRequest, source_shape: Callable[[str, str], str]) -> RecordFills:
        """Read a request by itself. Raises RefusedError; without a source, also for a malformed fill."""
        request = received.request
        with Shape() as shape:
            for field in ("venue", "actor"):
                shape(optional_id, getattr(request, field), field)
            shape(source_shape, request.source, "source")
            shape(_check_sequence, received)
            shape(_check_size, received, self._fills_max)
            complete_until_ns = shape(_complete_until, request, self._latest_ns()) or 0
            batch, malformed = shape(self._read_fills, received) or (None, [])
        job = _record_fills(received, as_part(batch) if batch is not None else None, malformed)
        return replace(job, complete_until_ns=complete_until_ns)

    def _read_fills(self, received: ReceivedRequest) -> tuple[FillBatch | None, list[tuple[int, Refusal]]]:
        """Return the well-formed fills as columns, and for a source its malformed ones: (index, refusal)."""
        request, size = received.request, received.size
        if not 0 < size <= self._fills_max:
            return None, []
        latest_ns = self._latest_ns()
        batch: FillBatch | None
        if request.fills:
            batch, malformed = read_batch(request.fills, ListedOrigin.of([request], [size]), latest_ns)
        else:
            batch, malformed = read_columns(request.columns, origin_of(request, size), latest_ns)
        if request.source:
            return batch, malformed
        if malformed:
            refuse_all([replace(fault, field=f"fills[{index}].{fault.field}") for index, fault in malformed])
        return batch, []


def _record_fills(
    received: ReceivedRequest, batch: BatchPart | None, malformed: Sequence[tuple[int, Refusal]] = ()
) -> RecordFills:
    request = received.request
    return RecordFills(
        batch=batch,
        venue=request.venue,
        source=request.source,
        first_sequence=request.first_sequence,
        size=received.size,
        fill_sha256=_FillSha256(received),
        malformed=malformed,
        with_fees=request.include_fees,
    )


def _all_ordinary(ordinary: Ints, sizes: Sequence[int]) -> Ints:
    """Return for each request, of so many fills, True if all of its fills are ordinary."""
    starts = np.array([0, *sizes[:-1]]).cumsum()
    found: Ints = np.logical_and.reduceat(ordinary, starts)
    return found


class _FillSha256:
    """Returns the SHA-256 of the bytes of a fill by its index. Its first call reads the columns."""

    __slots__ = ("_read", "_received")

    def __init__(self, received: ReceivedRequest) -> None:
        self._received = received
        self._read: Callable[[int], Fill] | None = None

    def __call__(self, index: int) -> bytes:
        request = self._received.request
        if self._read is None:
            self._read = request.fills.__getitem__ if request.fills else fill_reader(request.columns)
        return hashlib.sha256(self._read(index).SerializeToString(deterministic=True)).digest()


def _check_sequence(received: ReceivedRequest) -> None:
    request = received.request
    if request.source and not request.first_sequence and not _is_heartbeat(received):
        refuse(Reason.SEQUENCE_MALFORMED, "first_sequence", "a source needs a first_sequence of at least 1")
    if request.first_sequence and not request.source:
        refuse(Reason.SEQUENCE_MALFORMED, "source", "a sequence needs a source")


def _check_size(received: ReceivedRequest, fills_max: int) -> None:
    if received.request.fills and received.request.HasField("columns"):
        refuse(Reason.COLUMN_MALFORMED, "columns", "fills come as rows or as columns, not both")
    if not received.size and not _is_heartbeat(received):
        refuse(Reason.BATCH_EMPTY, "fills", "a batch has at least one fill, or says complete_until")
    if received.size > fills_max:
        refuse(Reason.BATCH_TOO_LARGE, "fills", f"{received.size} fills, at most {fills_max}")


def _complete_until(request: pb.RecordFillsRequest, latest_ns: int) -> int:
    """Return the instant up to which a source says it has sent everything; 0: it says nothing."""
    if not request.HasField("complete_until"):
        return 0
    found = past_ns(request.complete_until, "complete_until", latest_ns)
    if not request.source:
        refuse(Reason.FIELD_REQUIRED, "source", "complete_until is what a source says: name it")
    return found


def _is_heartbeat(received: ReceivedRequest) -> bool:
    """Return True if a request says nothing but how far its source is."""
    return received.request.HasField("complete_until") and not received.size
