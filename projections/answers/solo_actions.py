"""ListSoloActions: who did what without a second person, out of the log."""

from __future__ import annotations

from collections.abc import Iterator

from ledger.domain.events import CommandRefused, Envelope, Recorded
from ledger.domain.refusal import Reason
from ledger.v1 import control_service_pb2 as pb
from ledger.wire.fields import Shape, optional_id, read_ns
from ledger.wire.status import refuse, timestamp
from projections.as_of import Reader, check_times
from projections.page_token import number
from projections.paging import frozen, next_token, page_size, token_of

_EVENTS_PER_READ = 1_000


def list_solo_actions(reader: Reader, request: pb.ListSoloActionsRequest) -> pb.ListSoloActionsResponse:
    """Answer with one page of actions, in position order."""
    with Shape() as shape:
        shape(optional_id, request.actor, "actor")
        shape(_check_period, request)
        size = shape(page_size, reader, request.page_size)
        shape(check_times, request.at)
        token = shape(token_of, reader, request)
    instant = frozen(reader, token) if token else reader.instant(request.at)
    after, until = _positions(reader, request, instant.known.position)
    if token:
        after = token.last(number)
    found: list[Recorded] = []
    for recorded in _alone(reader, request.actor, after, until, size + 1):
        if recorded.envelope.effective_time_ns <= instant.as_of_ns:
            found.append(recorded)
        if len(found) > size:
            break
    response = pb.ListSoloActionsResponse(
        basis=instant.basis(reader.ledger_id), actions=map(_action, reader.log.with_erasable(found[:size]))
    )
    if len(found) > size:
        key = found[size - 1].position.to_bytes(8)
        response.next_page_token = next_token(reader, instant, key, request)
    return response


def is_solo(envelope: Envelope) -> bool:
    """Return True if nobody but who asked for an event approved it."""
    return envelope.approver in ("", envelope.actor)


def _alone(reader: Reader, actor: str, after: int, until: int, wanted: int) -> Iterator[Recorded]:
    """Yield commands at positions in (after, until] that were recorded for one person; a refused one did nothing."""
    limit = min(wanted, _EVENTS_PER_READ)
    while events := reader.log.first_events_of_requests(after, until, limit, naming=actor):
        after, limit = events[-1].position, _EVENTS_PER_READ
        for recorded in events:
            mine = not actor or recorded.envelope.actor == actor
            if mine and is_solo(recorded.envelope) and not isinstance(recorded.event, CommandRefused):
                yield recorded


def _positions(reader: Reader, request: pb.ListSoloActionsRequest, known: int) -> tuple[int, int]:
    """Return (after, until] of the commits recorded in the period."""
    after, until = 0, known
    if request.HasField("from_time"):
        after = reader.log.head_at_time(read_ns(request.from_time, "from_time") - 1).position
    if request.HasField("until_time"):
        until = min(until, reader.log.head_at_time(read_ns(request.until_time, "until_time") - 1).position)
    return after, until


def _check_period(request: pb.ListSoloActionsRequest) -> None:
    with Shape() as shape:
        for field in ("from_time", "until_time"):
            if request.HasField(field):
                shape(read_ns, getattr(request, field), field)
    if not (request.HasField("from_time") and request.HasField("until_time")):
        return
    if read_ns(request.until_time, "until_time") <= read_ns(request.from_time, "from_time"):
        refuse(Reason.INTERVAL_EMPTY, "until_time", "the period would end before or when it starts")


def _action(recorded: Recorded) -> pb.SoloAction:
    envelope = recorded.envelope
    return pb.SoloAction(
        actor=envelope.actor,
        event=type(recorded.event).__name__,
        stream=recorded.stream,
        position=recorded.position,
        recorded_time=timestamp(envelope.recorded_time_ns),
        effective_time=timestamp(envelope.effective_time_ns),
        request_id=envelope.request_id,
        ticket=envelope.ticket,
    )
