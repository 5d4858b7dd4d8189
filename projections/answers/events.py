"""ListEvents: the log itself, as it is stored."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Final

from ledger.domain.events import Envelope
from ledger.store.codec.events import decode
from ledger.store.log import StoredRow
from ledger.v1 import query_service_pb2 as pb
from ledger.wire.fields import Shape, stream_name
from ledger.wire.status import timestamp
from projections.as_of import Reader, check_times
from projections.page_token import number
from projections.paging import frozen, next_token, page_size, token_of

_PAGE_BYTES_MAX: Final = 4_000_000


def list_events(reader: Reader, request: pb.ListEventsRequest) -> pb.ListEventsResponse:
    """Answer with one page of events, of one stream or of all, in position order."""
    with Shape() as shape:
        stream = shape(stream_name, request.stream, "stream")
        size = shape(page_size, reader, request.page_size)
        shape(check_times, request.at)
        token = shape(token_of, reader, request)
    instant = frozen(reader, token) if token else reader.instant(request.at)
    after = token.last(number) if token else min(request.after_position, instant.known.position)
    rows = reader.log.stored(stream, after, instant.known.position, size + 1)
    page = rows[: min(size, _fitting(len(row.state) + len(row.stream) + 100 for row in rows))]
    events = _stored_events(reader, page)  # to which comes what may be erased
    events = events[: _fitting(event.ByteSize() + 8 for event in events)]
    response = pb.ListEventsResponse(basis=instant.basis(reader.ledger_id), events=events)
    if len(events) < len(rows):
        key = events[-1].position.to_bytes(8)
        response.next_page_token = next_token(reader, instant, key, request)
    return response


def _fitting(sizes: Iterable[int]) -> int:
    """Return how many of some things of so many bytes fit a message, at least the first."""
    whole = 0
    for count, size in enumerate(sizes):
        whole += size
        if whole > _PAGE_BYTES_MAX and count:
            return count
    return sys.maxsize


def _stored_events(reader: Reader, page: list[StoredRow]) -> list[pb.StoredEvent]:
    envelopes = [decode(*row).envelope for row in page]
    named = (row.position for row, envelope in zip(page, envelopes, strict=True) if envelope.erasable_sha256)
    parts = reader.log.erasable_parts(named)
    return [
        _stored_event(row, envelope, parts[row.position].content if row.position in parts else b"")
        for row, envelope in zip(page, envelopes, strict=True)
    ]


def _stored_event(row: StoredRow, envelope: Envelope, erasable: bytes) -> pb.StoredEvent:
    return pb.StoredEvent(
        position=row.position,
        stream=row.stream,
        version=row.version,
        topic=row.topic,
        state=bytes(row.state),
        recorded_time=timestamp(envelope.recorded_time_ns),
        effective_time=timestamp(envelope.effective_time_ns),
        actor=envelope.actor,
        request_id=envelope.request_id,
        erasable=erasable,
    )
