"""ListWithheld: the facts that lines recorded before them do not count by."""

from __future__ import annotations

from collections.abc import Iterable

from ledger.domain.events import FactDeclined, FactReleased, FactWithheld, Recorded
from ledger.domain.streams import account_of
from ledger.store.log import Log
from ledger.v1 import control_service_pb2 as pb
from ledger.wire.enums import set_words
from ledger.wire.fields import Shape, optional_id
from ledger.wire.status import timestamp
from projections.as_of import Reader, check_times
from projections.page_token import number
from projections.paging import frozen, next_token, page_size, token_of


def list_withheld(reader: Reader, request: pb.ListWithheldRequest) -> pb.ListWithheldResponse:
    """Answer with one page of withheld facts, in the order in which they were withheld."""
    with Shape() as shape:
        account_id = shape(optional_id, request.account_id, "account_id")
        size = shape(page_size, reader, request.page_size)
        shape(check_times, request.at)
        token = shape(token_of, reader, request)
    instant = frozen(reader, token) if token else reader.instant(request.at)
    after = token.last(number) if token else 0
    found = [
        recorded
        for recorded in withheld(reader.log, instant.as_of_ns, instant.known.position, account_id)
        if recorded.position > after
    ]
    response = pb.ListWithheldResponse(
        basis=instant.basis(reader.ledger_id), facts=[_fact(recorded) for recorded in found[:size]]
    )
    if len(found) > size:
        key = found[size - 1].position.to_bytes(8)
        response.next_page_token = next_token(reader, instant, key, request)
    return response


def withheld(log: Log, as_of_ns: int, known: int, account_id: str = "") -> list[Recorded]:
    """Return each FactWithheld that nobody has released or declined, as known at a position, in order."""
    topics = ("FactWithheld", "FactReleased", "FactDeclined")
    events = log.account_events(topics, known)
    return _waiting(
        recorded
        for recorded in events
        if recorded.envelope.effective_time_ns <= as_of_ns and account_id in ("", account_of(recorded.stream))
    )


def _waiting(events: Iterable[Recorded]) -> list[Recorded]:
    waiting: dict[int, list[Recorded]] = {}  # by position of the fact
    for recorded in events:
        event = recorded.event
        if isinstance(event, FactWithheld):
            waiting.setdefault(event.fact_position, []).append(recorded)
        elif isinstance(event, FactReleased | FactDeclined):
            waiting.pop(event.fact_position, None)
    return sorted((one for each in waiting.values() for one in each), key=lambda recorded: recorded.position)


def _fact(recorded: Recorded) -> pb.WithheldFact:
    event = recorded.event
    assert isinstance(event, FactWithheld), recorded
    message = pb.WithheldFact(
        account_id=account_of(recorded.stream),
        fact_position=event.fact_position,
        switch=event.switch,
        programme_ids=event.programme_ids,
        currencies=event.currencies,
        position=recorded.position,
        recorded_time=timestamp(recorded.envelope.recorded_time_ns),
    )
    set_words(message, cause=event.cause, reason=event.reason)
    return message
