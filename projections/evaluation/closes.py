"""ListCloses: the daily closes that were known, out of the log."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from ledger.domain.events import DailyCloseRecorded, Recorded
from ledger.domain.instants import DAY_NS, LATEST_NS, day_text
from ledger.domain.streams import CLOSES_PREFIX, closes_stream
from ledger.v1 import evaluation_service_pb2 as pb
from ledger.wire.commands.evaluations import close_message
from ledger.wire.fields import Shape, interval, optional_id, utc_day
from projections.as_of import Reader, check_times
from projections.page_token import number
from projections.paging import frozen, next_token, page_size, token_of

_END_DAY: Final = LATEST_NS // DAY_NS


def list_closes(reader: Reader, request: pb.ListClosesRequest) -> pb.ListClosesResponse:
    """Answer with one page of closes of days that had ended at as_of."""
    with Shape() as shape:
        asset = shape(optional_id, request.asset, "asset")
        first = shape(utc_day, request.from_day, "from_day") if request.from_day else 0
        end = shape(utc_day, request.until_day, "until_day") if request.until_day else _END_DAY
        if request.from_day and request.until_day:
            shape(interval, first, end, "until_day")
        size = shape(page_size, reader, request.page_size)
        shape(check_times, request.at)
        token = shape(token_of, reader, request)
    instant = frozen(reader, token) if token else reader.instant(request.at)
    known = instant.known.position
    stream = reader.log.streams([closes_stream(asset)], known) if asset else reader.log.below(CLOSES_PREFIX, known)
    end = min(end, instant.as_of_ns // DAY_NS)
    found = [close for close in _closes(stream) if day_text(first) <= close.day < day_text(end)]
    found = [close for close in found if request.include_restated or not close.restated_by]
    found.sort(key=lambda close: (close.asset, close.day, close.currency, close.position))
    start = token.last(number) if token else 0
    response = pb.ListClosesResponse(basis=instant.basis(reader.ledger_id), closes=found[start : start + size])
    if start + size < len(found):
        response.next_page_token = next_token(reader, instant, (start + size).to_bytes(8), request)
    return response


def _closes(stream: Iterable[Recorded]) -> Iterator[pb.Close]:
    """Yield every close, with the one that replaced it."""
    closes: dict[int, pb.Close] = {}
    for recorded in stream:
        if isinstance(recorded.event, DailyCloseRecorded):
            close = closes[recorded.position] = close_message(recorded)
            if close.restates:
                closes[close.restates].restated_by = close.position
    return iter(closes.values())
