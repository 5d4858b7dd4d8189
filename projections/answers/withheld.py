"""ListWithheld: the facts that lines recorded before them do not count by, of an account each, or of many accounts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import merge
from itertools import islice
from typing import Any, Final, NamedTuple

from ledger.domain.decide.facts import waits_beside_another
from ledger.domain.events import (
    FactDeclined,
    FactReleased,
    FactWithdrawn,
    FactWithheld,
    PairClassAssigned,
    PairRatesSet,
    Recorded,
)
from ledger.domain.state.shared_facts import SHARED_CAUSES
from ledger.domain.streams import PROGRAMME_PREFIX, account_of, account_stream
from ledger.store.log import Log
from ledger.v1 import control_service_pb2 as pb
from ledger.wire.enums import set_words
from ledger.wire.fields import Shape, optional_id
from ledger.wire.status import timestamp
from projections.as_of import Reader, check_times
from projections.page_token import number
from projections.paging import frozen, next_token, page_size, token_of
from projections.tables.position import table_rows, tables_standing
from projections.tables.tables import TABLES_VERSION

_KINDS: Final = ("FactWithheld", "FactReleased", "FactDeclined", "FactWithdrawn")
# All that may wait at an instant, as known at a position that the tables have reached: whatever settled it later.
_WAITING: Final = """
SELECT position, account_id FROM {read}.withheld_facts WHERE position > %(after)s AND position <= %(known)s
    AND position <= %(reached)s
    AND (settled_position IS NULL OR settled_position > %(known)s OR settled_time_ns > %(at)s)
ORDER BY position LIMIT %(most)s
"""
_PLACES_AT_ONCE: Final = 1_000


class Waiting(NamedTuple):
    """A FactWithheld that is open, and its event; `withdrawn_position` is that of the fact that it withdraws, or 0.

    `symbol` is the pair of a shared fact.
    """

    recorded: Recorded
    event: FactWithheld
    withdrawn_position: int
    symbol: str = ""

    @property
    def account_id(self) -> str:
        """The account; empty: the fact is withheld from all of them."""
        stream = self.recorded.stream
        return "" if stream.startswith(PROGRAMME_PREFIX) else account_of(stream)


def list_withheld(reader: Reader, schema: str, request: pb.ListWithheldRequest) -> pb.ListWithheldResponse:
    """Answer with one page of withheld facts, in the order in which they were withheld."""
    with Shape() as shape:
        account_id = shape(optional_id, request.account_id, "account_id")
        size = shape(page_size, reader, request.page_size)
        shape(check_times, request.at)
        token = shape(token_of, reader, request)
    instant = frozen(reader, token) if token else reader.instant(request.at)
    after, as_of_ns, known = token.last(number) if token else 0, instant.as_of_ns, instant.known.position
    if account_id:
        waiting = _of_account(reader.log, account_id, as_of_ns, known)
    else:
        waiting = withheld(reader.log, schema, as_of_ns, known, after=after)
    found = list(islice((one for one in waiting if one.recorded.position > after), size + 1))
    response = pb.ListWithheldResponse(
        basis=instant.basis(reader.ledger_id), facts=[_fact(waiting) for waiting in found[:size]]
    )
    if len(found) > size:
        key = found[size - 1].recorded.position.to_bytes(8)
        response.next_page_token = next_token(reader, instant, key, request)
    return response


def withheld(log: Log, schema: str, as_of_ns: int, known: int, *, after: int = 0) -> Iterator[Waiting]:
    """Yield each FactWithheld after a position that nobody has released, declined or withdrawn, in order.

    The tables say of which accounts one may be, and for what they do not have yet the log does.
    """
    rulebook = log.rulebook(known)
    shared = [one for one in _waiting(rulebook, as_of_ns) if one.recorded.position > after]
    of_accounts = (
        one
        for places in _places(log, schema, as_of_ns, known, after)
        for one in _of_places(log, places, as_of_ns, known)
    )
    symbols = _symbols(rulebook)
    for one in merge(of_accounts, shared, key=lambda one: one.recorded.position):
        yield _with_symbol(one, symbols)


def _of_account(log: Log, account_id: str, as_of_ns: int, known: int) -> Iterator[Waiting]:
    """Yield the same of one account."""
    waiting = _waiting(log.events_of_kinds([account_stream(account_id)], _KINDS, known), as_of_ns)
    has_shared = any(one.event.cause in SHARED_CAUSES for one in waiting)
    symbols = _symbols(log.rulebook(known)) if has_shared else {}
    return (_with_symbol(one, symbols) for one in waiting)


def _symbols(rulebook: Iterable[Recorded]) -> dict[int, str]:
    """Return the pairs that shared facts are about, by position of the fact."""
    facts = ((each.position, each.event) for each in rulebook)
    return {position: event.symbol for position, event in facts if isinstance(event, PairClassAssigned | PairRatesSet)}


def _with_symbol(one: Waiting, symbols: Mapping[int, str]) -> Waiting:
    """Return it with the pair that it is about, if it is a shared fact."""
    return one._replace(symbol=symbols.get(one.event.fact_position, ""))


def _places(log: Log, schema: str, as_of_ns: int, known: int, after: int) -> Iterator[list[tuple[int, str]]]:
    """Yield position and account of all that may wait, in order, some at once."""
    tables = tables_standing(log, schema)
    is_ours = tables.version == TABLES_VERSION and tables.position <= log.head().position
    reached = tables.position if is_ours else 0
    parameters = {"known": known, "reached": reached, "at": as_of_ns, "most": _PLACES_AT_ONCE}
    places: list[tuple[Any, ...]] = []
    while reached and (not places or len(places) == _PLACES_AT_ONCE):
        places = table_rows(log, schema, _WAITING, {"after": places[-1][0] if places else after, **parameters})
        if not places:
            break
        yield places
    late = log.account_events(_KINDS[:1], known, after=max(reached, after))
    for first in range(0, len(late), _PLACES_AT_ONCE):
        yield [(each.position, account_of(each.stream)) for each in late[first : first + _PLACES_AT_ONCE]]


def _of_places(log: Log, places: Sequence[tuple[int, str]], as_of_ns: int, known: int) -> Iterator[Waiting]:
    """Yield what waits at some places, in order."""
    streams = {account_stream(account_id) for _, account_id in places}
    positions = {position for position, _ in places}
    waiting = _waiting(log.events_of_kinds(streams, _KINDS, known), as_of_ns)
    return (one for one in waiting if one.recorded.position in positions)


def _waiting(events: Iterable[Recorded], as_of_ns: int) -> list[Waiting]:
    """Return what waits at an instant by some events of accounts, or of programmes, in order."""
    waiting: dict[tuple[str, int], list[Waiting]] = {}  # by stream, and position of the fact
    withdrawn: dict[int, int] = {}  # by position of the withdrawal: that of the fact
    for recorded in events:
        event = recorded.event
        if recorded.envelope.effective_time_ns > as_of_ns:
            continue
        if isinstance(event, FactWithheld):
            one = Waiting(recorded, event, withdrawn.get(event.fact_position, 0))
            key = (recorded.stream, event.fact_position)
            others = (each for each in waiting.get(key, ()) if waits_beside_another(each.event))
            waiting[key] = [*others, one]
        elif isinstance(event, FactReleased | FactDeclined | FactWithdrawn):
            waiting.pop((recorded.stream, event.fact_position), None)
        if isinstance(event, FactWithdrawn):
            withdrawn[recorded.position] = event.fact_position
    return sorted((one for each in waiting.values() for one in each), key=lambda one: one.recorded.position)


def _fact(waiting: Waiting) -> pb.WithheldFact:
    recorded, event, withdrawn_position, symbol = waiting
    message = pb.WithheldFact(
        account_id=waiting.account_id,
        fact_position=event.fact_position,
        switch=event.switch,
        programme_ids=event.programme_ids,
        currencies=event.currencies,
        position=recorded.position,
        recorded_time=timestamp(recorded.envelope.recorded_time_ns),
        withdrawn_position=withdrawn_position,
        symbol=symbol,
    )
    set_words(message, cause=event.cause, reason=event.reason)
    return message
