"""Reading requests of fills: those that wait together and are alike as one batch, all others each by itself."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from functools import cache
from itertools import accumulate, chain
from typing import Any, Final

import numpy as np

from ledger.arrays.columns import INT64_ROOM, Ints
from ledger.domain.refusal import Reason, Refusal
from ledger.fills.batch import FillBatch, Part, part_of
from ledger.server.fills.read_columns import fills_of, given, names_given, read_columns, read_columns_together
from ledger.server.fills.read_message_bytes import read_rows
from ledger.server.fills.read_messages import read_batch
from ledger.server.fills.request_bytes import Arrived, common_origin, origin_of
from ledger.v1 import fill_service_pb2 as pb
from ledger.wire.fields import ID, Shape, optional_id, past_ns, required_id
from ledger.wire.status import INTERNAL, RefusedError, refuse, refuse_all
from ledger.writing.messages import RecordFills, Refused, Unread

_log: Final = logging.getLogger(__name__)

_FEW: Final = 64  # messages are read as soon one by one as all at once


class FillRequests:
    """Reads requests for the writer.

    A request is ordinary if nothing is wrong with its shape and it says nothing that few requests say. Ordinary ones of
    one form, venue and actor are read together: whatever their number, that costs about as much as reading one. Any
    other is read by itself, which tells what is wrong with it, and never changes what is read of those beside it.
    """

    def __init__(self, fills_max: int, latest_ns: Callable[[], int], *, few: int = _FEW) -> None:
        """`latest_ns` is the latest instant at which something may say it happened.

        So `few` fills as messages are read from these, more from their bytes.
        """
        self._few = few
        self._fills_max = fills_max
        self._latest_ns = latest_ns

    def read(self, unread: Sequence[Unread]) -> list[RecordFills | Refused]:
        """Return what each asks, or why it asks nothing."""
        arrived: list[Any] = [job.request for job in unread]
        alike: dict[Hashable, list[int]] = {}
        for place, one in enumerate(arrived):
            if (form := self._form(one)) is not None:
                alike.setdefault(form, []).append(place)
        parts: dict[int, Part] = {}
        for places in alike.values():
            read = self._together([arrived[place] for place in places])
            parts.update((place, part) for place, part in zip(places, read, strict=True) if part is not None)
        return [_asked(one, parts[place]) if place in parts else self._alone(one) for place, one in enumerate(arrived)]

    def _form(self, arrived: Arrived) -> Hashable | None:
        """Return what requests that are read together have in common; None for one that is read by itself."""
        request = arrived.request
        names = (request.venue, request.actor, request.source)
        columns = request.HasField("columns")
        if any(name and not ID.fullmatch(name) for name in names) or (columns and request.fills):
            return None
        if request.HasField("complete_until"):
            return None
        if bool(request.source) != bool(request.first_sequence) or (arrived.streamed and not request.source):
            return None
        if request.first_sequence >= INT64_ROOM or not 0 < arrived.size <= self._fills_max:
            return None
        return request.venue, request.actor, bool(request.source), names_given(request.columns) if columns else ()

    def _together(self, arrived: Sequence[Arrived]) -> list[Part | None]:
        """Return the fills of each of some requests of one form, in one batch; None for one to be read by itself."""
        parts: list[Part | None] = [None] * len(arrived)
        places = list(range(len(arrived)))
        while places:
            try:
                read = self._read_together([arrived[place] for place in places])
            except Exception:
                _log.exception("requests could not be read together; each is read by itself")
                break
            if isinstance(read, FillBatch):
                ends = list(accumulate(arrived[place].size for place in places))
                for place, start, end in zip(places, [0, *ends], ends, strict=False):
                    parts[place] = Part(read, start, end)
                break
            places = [place for place, ordinary in zip(places, read.tolist(), strict=True) if ordinary]
        return parts

    def _read_together(self, arrived: Sequence[Arrived]) -> FillBatch | Ints:
        """All fills as a batch; or which of the requests are ordinary, if not all are."""
        requests, sizes = [one.request for one in arrived], [one.size for one in arrived]
        origin, latest_ns = common_origin(requests, sizes), self._latest_ns()
        if not requests[0].fills:
            return read_columns_together([given(request.columns) for request in requests], origin, latest_ns)
        starts = np.array([0, *sizes[:-1]]).cumsum()
        if len(origin.index) > self._few:
            fills = list(chain.from_iterable(one.fills_as_bytes() for one in arrived))
            read = read_rows(fills, origin, latest_ns)
            return read if isinstance(read, FillBatch) else np.logical_and.reduceat(read, starts)
        messages = list(chain.from_iterable(request.fills for request in requests))
        batch, refused = read_batch(messages, origin, latest_ns)
        if batch is not None and not refused:
            return batch
        ordinary = np.ones(len(messages), dtype=bool)
        ordinary[[place for place, _ in refused]] = False
        return np.logical_and.reduceat(ordinary, starts)

    def _alone(self, arrived: Arrived) -> RecordFills | Refused:
        try:
            return self._read_alone(arrived, required_id if arrived.streamed else optional_id)
        except RefusedError as refused:
            return Refused(refused.refusal, others=refused.others)
        except Exception:
            _log.exception("a batch could not be read")
            return Refused(INTERNAL)

    def _read_alone(self, arrived: Arrived, source: Callable[[str, str], str]) -> RecordFills:
        """The shape of a batch, `source` that of its source. Without one a malformed fill refuses all of it."""
        request = arrived.request
        with Shape() as shape:
            for field in ("venue", "actor"):
                shape(optional_id, getattr(request, field), field)
            shape(source, request.source, "source")
            shape(_check_sequence, request)
            shape(_check_size, request, self._fills_max)
            complete_until_ns = shape(_complete_until, request, self._latest_ns()) or 0
            batch, malformed = shape(self._read_fills, request) or (None, [])
        asked = _asked(arrived, part_of(batch) if batch is not None else None, malformed)
        return replace(asked, complete_until_ns=complete_until_ns)

    def _read_fills(self, request: pb.RecordFillsRequest) -> tuple[FillBatch | None, list[tuple[int, Refusal]]]:
        """The fills as columns, and with a source those that are malformed."""
        size = _size(request)
        if not 0 < size <= self._fills_max:
            return None, []
        origin, latest_ns = origin_of(request, size), self._latest_ns()
        if request.fills:
            batch, malformed = read_batch(request.fills, origin, latest_ns)
        else:
            batch, malformed = read_columns(request.columns, origin, latest_ns)
        if request.source:
            return batch, malformed
        if malformed:
            refuse_all([replace(fault, field=f"fills[{index}].{fault.field}") for index, fault in malformed])
        return batch, []


def _asked(arrived: Arrived, batch: Part | None, malformed: Sequence[tuple[int, Refusal]] = ()) -> RecordFills:
    request = arrived.request
    return RecordFills(
        batch=batch,
        venue=request.venue,
        source=request.source,
        first_sequence=request.first_sequence,
        size=_size(request),
        fill_sha256=_fill_sha256(arrived),
        malformed=malformed,
        with_fees=request.include_fees,
    )


def _fill_sha256(arrived: Arrived) -> Callable[[int], bytes]:
    """The hash of a fill's bytes by its index; columns are read when the first one is asked for."""
    read = cache(lambda: fills_of(arrived.request.columns))

    def sha256(index: int) -> bytes:
        fill = arrived.request.fills[index] if arrived.request.fills else read()(index)
        return hashlib.sha256(fill.SerializeToString(deterministic=True)).digest()

    return sha256


def _check_sequence(request: pb.RecordFillsRequest) -> None:
    if request.source and not request.first_sequence and not _is_heartbeat(request):
        refuse(Reason.SEQUENCE_MALFORMED, "first_sequence", "a source needs a first_sequence of at least 1")
    if request.first_sequence and not request.source:
        refuse(Reason.SEQUENCE_MALFORMED, "source", "a sequence needs a source")


def _check_size(request: pb.RecordFillsRequest, fills_max: int) -> None:
    if request.fills and request.HasField("columns"):
        refuse(Reason.COLUMN_MALFORMED, "columns", "fills come as rows or as columns, not both")
    if not _size(request) and not _is_heartbeat(request):
        refuse(Reason.BATCH_EMPTY, "fills", "a batch has at least one fill, or says complete_until")
    if _size(request) > fills_max:
        refuse(Reason.BATCH_TOO_LARGE, "fills", f"{_size(request)} fills, at most {fills_max}")


def _complete_until(request: pb.RecordFillsRequest, latest_ns: int) -> int:
    """How far a source says it is; 0: it says nothing."""
    if not request.HasField("complete_until"):
        return 0
    found = past_ns(request.complete_until, "complete_until", latest_ns)
    if not request.source:
        refuse(Reason.FIELD_REQUIRED, "source", "complete_until is what a source says: name it")
    return found


def _is_heartbeat(request: pb.RecordFillsRequest) -> bool:
    """True if it says nothing but how far its source is."""
    return request.HasField("complete_until") and not _size(request)


def _size(request: pb.RecordFillsRequest) -> int:
    """Fills of a batch, in whichever form."""
    return len(request.fills) or len(request.columns.side)
