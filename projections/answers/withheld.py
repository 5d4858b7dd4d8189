"""ListWithheld: the facts that lines recorded before them do not count by."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ledger.domain.decide.facts import BY_FLAG
from ledger.domain.events import FactDeclined, FactReleased, FactWithdrawn, FactWithheld, Recorded
from ledger.domain.streams import account_of, account_stream
from ledger.store.log import Log
from ledger.v1 import control_service_pb2 as pb
from ledger.wire.enums import set_words
from ledger.wire.fields import Shape, optional_id
from ledger.wire.status import timestamp
from projections.as_of import Reader, check_times
from projections.page_token import number
from projections.paging import frozen, next_token, page_size, token_of


class Waiting(NamedTuple):
    """A FactWithheld that is open, and its event; `withdrawn_position` is that of the fact that it withdraws, or 0."""

    recorded: Recorded
    event: FactWithheld
    withdrawn_position: int


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
        waiting
        for waiting in withheld(reader.log, instant.as_of_ns, instant.known.position, account_id)
        if waiting.recorded.position > after
    ]
    response = pb.ListWithheldResponse(
        basis=instant.basis(reader.ledger_id), facts=[_fact(waiting) for waiting in found[:size]]
    )
    if len(found) > size:
        key = found[size - 1].recorded.position.to_bytes(8)
        response.next_page_token = next_token(reader, instant, key, request)
    return response


def withheld(log: Log, as_of_ns: int, known: int, account_id: str = "") -> list[Waiting]:
    """Return each FactWithheld that nobody has released, declined or withdrawn, as known at a position, in order."""
    if account_id:  # whose stream is short; all accounts have very many events of other kinds
        events = log.streams([account_stream(account_id)], known)
    else:
        events = log.account_events(("FactWithheld", "FactReleased", "FactDeclined", "FactWithdrawn"), known)
    return _waiting(each for each in events if each.envelope.effective_time_ns <= as_of_ns)


def _waiting(events: Iterable[Recorded]) -> list[Waiting]:
    waiting: dict[int, list[Waiting]] = {}  # by position of the fact
    withdrawn: dict[int, int] = {}  # by position of the withdrawal: that of the fact
    for recorded in events:
        event = recorded.event
        if isinstance(event, FactWithheld):
            one = Waiting(recorded, event, withdrawn.get(event.fact_position, 0))
            # What the end of a flag does not release is withheld for a reason of its own.
            others = (each for each in waiting.get(event.fact_position, ()) if each.event.reason != BY_FLAG)
            waiting[event.fact_position] = [*others, one]
        elif isinstance(event, FactReleased | FactDeclined | FactWithdrawn):
            waiting.pop(event.fact_position, None)
        if isinstance(event, FactWithdrawn):
            withdrawn[recorded.position] = event.fact_position
    return sorted((one for each in waiting.values() for one in each), key=lambda one: one.recorded.position)


def _fact(waiting: Waiting) -> pb.WithheldFact:
    recorded, event, withdrawn_position = waiting
    message = pb.WithheldFact(
        account_id=account_of(recorded.stream),
        fact_position=event.fact_position,
        switch=event.switch,
        programme_ids=event.programme_ids,
        currencies=event.currencies,
        position=recorded.position,
        recorded_time=timestamp(recorded.envelope.recorded_time_ns),
        withdrawn_position=withdrawn_position,
    )
    set_words(message, cause=event.cause, reason=event.reason)
    return message
