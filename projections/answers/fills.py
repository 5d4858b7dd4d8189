"""ListFeeHistory and GetFill: the fees of one account, and one of them by its name."""

from __future__ import annotations

import struct
from dataclasses import replace
from itertools import islice
from typing import Final

from ledger.domain.events import POSITION_MAX
from ledger.domain.instants import DAY_NS, EARLIEST_NS, LATEST_NS
from ledger.domain.refusal import Reason, Refusal
from ledger.domain.state.volume_cells import FEE_SCALE, exact
from ledger.fills.adjust import FeeDifference
from ledger.v1 import query_service_pb2 as pb
from ledger.wire.enums import set_words
from ledger.wire.fields import Shape, optional_id, read_ns, required_id, utc_day
from ledger.wire.status import RefusedError, refuse
from projections.answers.explain import explanation
from projections.answers.fee_history import (
    FIRST_PLACE,
    AccountSpan,
    Entry,
    Place,
    cell_sums,
    entries_after,
    entries_naming,
    fee_line,
    fee_type,
    run_of,
    totals,
    volumes,
    with_cl_ord_ids,
)
from projections.as_of import Reader, check_times
from projections.paging import frozen, next_token, page_size, token_of

_LINES_AT_ONCE: Final = 256  # taking over 10,000 at once would hold up every other thread for 30 ms
_PLACE: Final = struct.Struct(">qQI")


def list_fee_history(reader: Reader, request: pb.ListFeeHistoryRequest) -> pb.ListFeeHistoryResponse:
    """Answer with one page; the totals are of all lines of the query."""
    with Shape() as shape:
        account_id = shape(required_id, request.account_id, "account_id")
        from_ns = shape(_bound_ns, request, "from_time", EARLIEST_NS)
        until_ns = shape(_bound_ns, request, "until_time", LATEST_NS)
        if request.HasField("from_time"):
            shape(_check_bounds, from_ns, until_ns)
        size = shape(page_size, reader, request.page_size)
        shape(check_times, request.at)
        token = shape(token_of, reader, request)
    instant = frozen(reader, token) if token else reader.instant(request.at)
    after = token.last(_place) if token else FIRST_PLACE
    # Facts at exactly as_of are included.
    span = AccountSpan(account_id, from_ns, min(until_ns, instant.as_of_ns + 1), instant.known.position)
    entries = list(islice(entries_after(reader.log, span, after), size + 1))
    sums = cell_sums(reader.log, span)
    response = pb.ListFeeHistoryResponse(
        basis=instant.basis(reader.ledger_id),
        totals=[total for total in totals(sums) if total.lines or total.credits],
        volumes=volumes(sums),
        reprice_in_progress=reader.is_repriced(instant, account_id),
    )
    page = with_cl_ord_ids(reader.log, entries[:size])
    for start in range(0, len(page), _LINES_AT_ONCE):
        some = page[start : start + _LINES_AT_ONCE]
        response.lines.extend([fee_line(account_id, entry) for entry in some])
    if len(entries) > size:
        last = _PLACE.pack(*entries[size - 1].place)
        response.next_page_token = next_token(reader, instant, last, request)
    return response


def get_fill(reader: Reader, request: pb.GetFillRequest) -> pb.GetFillResponse:
    """Answer with one fill, its fee as it is now, and how that came to be, or FILL_UNKNOWN."""
    name = request.fill_ref
    with Shape() as shape:
        account_id = shape(required_id, name.account_id, "fill_ref.account_id")
        exec_id = shape(required_id, name.exec_id, "fill_ref.exec_id")
        shape(optional_id, name.venue, "fill_ref.venue")
        day = shape(utc_day, name.day, "fill_ref.day")
        shape(check_times, request.at)
    view = reader.view(request.at, account_id)
    venue = view.book.venue(name.venue)
    if isinstance(venue, Refusal):
        raise RefusedError(replace(venue, field="fill_ref.venue"))
    named = entries_naming(reader.log, account_id, day, exec_id, view.instant.known.position)
    entries = [entry for entry in named if _venue(entry) == venue]
    if not entries:
        detail = f"no fill {exec_id} of {account_id} on {name.day} at {venue}"
        raise RefusedError(Refusal(Reason.FILL_UNKNOWN, "fill_ref", detail))
    line, *adjustments = (fee_line(account_id, entry) for entry in with_cl_ord_ids(reader.log, entries))
    if adjustments:
        last = adjustments[-1]
        line.fee_amount, line.fee_currency = last.adjustment.fee_after, last.adjustment.fee_currency_after
        set_words(line, fee_type=fee_type(exact(line.fee_amount, FEE_SCALE)))
        line.basis.CopyFrom(last.basis)
        line.banned, line.self_trade = last.banned, last.self_trade
    repricings = reader.repricings(view.instant, account_id)
    return pb.GetFillResponse(
        basis=view.instant.basis(reader.ledger_id),
        line=line,
        adjustments=adjustments,
        explanation=explanation(reader.log, account_id, entries, view.instant.known.position, repricings),
        reprice_in_progress=reader.is_repriced(view.instant, account_id),
    )


def _place(key: bytes) -> Place:
    """Return where the page before ended. Raises ValueError or struct.error for a key that names no line."""
    place = Place(*_PLACE.unpack(key))
    if not (0 <= place.day < LATEST_NS // DAY_NS and place.position <= POSITION_MAX):
        raise ValueError("no line lies there")
    return place


def _venue(entry: Entry) -> str:
    return entry.line.line.venue if isinstance(entry.line, FeeDifference) else run_of(entry.recorded).venue


def _bound_ns(request: pb.ListFeeHistoryRequest, field: str, default: int) -> int:
    return read_ns(getattr(request, field), field) if request.HasField(field) else default  # type: ignore[arg-type]


def _check_bounds(from_ns: int | None, until_ns: int | None) -> None:
    if from_ns is not None and until_ns is not None and until_ns <= from_ns:
        refuse(Reason.INTERVAL_EMPTY, "until_time", "it is at or before from_time")
