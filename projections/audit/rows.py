"""Reads rows of the log as events: one that cannot be read, or says more than it must, is a finding and no error."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Final, NamedTuple, Protocol

from google.protobuf.message import DecodeError

from ledger.arrays.protobuf_wire import DELIMITED
from ledger.domain.events import POSITION_MAX, FeeEvent, Recorded, WriterStarted
from ledger.domain.streams import LEDGER, DayKey, day_key, is_fee_stream
from ledger.replay.compare import UNDECIDABLE, Deviation, Difference
from ledger.store.codec.erasable import apart, joined
from ledger.store.codec.events import decode, is_canonical
from ledger.store.leaf import Opening, Part
from ledger.store.log import Log
from ledger.store.reads import ROW, Row
from ledger.v1.events_pb2 import Envelope
from projections.audit.queries import Queries

ROWS_PER_READ: Final = 500
_UNREADABLE: Final = (DecodeError, *UNDECIDABLE)

RECORDED_TIME: Final = "recorded_time_ns"

COLUMNS: Final = f"{ROW}, time_min_ns, time_max_ns, time_max_so_far_ns"
_STREAMS: Final = f"""
SELECT {ROW} FROM {{events}} WHERE {{not_fees}} AND originator_id = ANY(%(streams)s) AND notification_id < %(before)s
UNION ALL
SELECT event.* FROM unnest(%(fees)s::text[], %(accounts)s::text[], %(days)s::int[]) AS wanted(name, account, day)
CROSS JOIN LATERAL (
    SELECT {ROW} FROM {{events}} WHERE {{day}} = wanted.day AND {{account}} = wanted.account
        AND originator_id = wanted.name AND notification_id < %(before)s
    ORDER BY originator_version {{one_by_one}}) AS event
ORDER BY notification_id
"""
_CREDITS_WITH: Final = f"""
SELECT event.* FROM (
    SELECT {{day}} AS day, {{account}} AS account FROM {{events}}
    WHERE notification_id = %(position)s AND topic = 'FeeCredited' LIMIT 1) AS wanted
CROSS JOIN LATERAL (
    SELECT {ROW} FROM {{events}} WHERE {{day}} = wanted.day AND {{account}} = wanted.account
        AND originator_version < %(before)s AND topic IN ('FeeCredited', 'CreditWithdrawn')
    ORDER BY originator_version {{one_by_one}}) AS event
ORDER BY originator_version
"""
_FIRST: Final = f"""
SELECT {ROW} FROM {{events}}
WHERE notification_id = (SELECT position FROM {{schema}}.requests WHERE request_id = %(request_id)s)
"""
_LAST_FEES: Final = f"""
SELECT last.* FROM unnest(%(accounts)s::text[], %(days)s::int[]) AS wanted(id, number) CROSS JOIN LATERAL (
    SELECT {ROW} FROM {{events}} WHERE {{fees}} AND {{day}} = number AND {{account}} = id
        AND originator_version < %(before)s ORDER BY originator_version DESC LIMIT 1) AS last
"""
# The tag and the size of the hash: without them an event names no part.
_NAMES_A_PART: Final = bytes([Envelope.ERASABLE_SHA256_FIELD_NUMBER << 3 | DELIMITED, 32])
_SOURCES: Final = f"""
SELECT DISTINCT ON (originator_id) {ROW} FROM {{events}}
WHERE {{not_fees}} AND originator_id LIKE 'source/%%' AND notification_id <= %(known)s
ORDER BY originator_id, originator_version DESC
"""


class ChosenRows(Protocol):
    """The rows that an audit reads, in the order of positions: of the log, or of some accounts."""

    EVENTS: ClassVar[str]
    COMMITS: ClassVar[str]

    def parameters(self, after: int, until: int) -> dict[str, Any]:
        """Return those of EVENTS and COMMITS, which select what lies at positions in (after, until]."""

    def page(self, after: int, until: int) -> list[Row]:
        """Return the first ROWS_PER_READ rows at positions in (after, until]; none: there are no more."""

    def commits(self, after: int, until: int) -> list[Commit]:
        """Return the commits that lie in (after, until], in order: all, or those of the rows."""

    def position_after(self, after: int, count: int) -> int:
        """Return a position up to which about so many rows lie after another one."""

    def misplaced(self) -> list[Deviation]:
        """Return what is wrong with the versions of the streams that are read, where no frame tells."""

    def takes(self, stream: str) -> bool:
        """Return True if all that comes to a stream, after something of it is first asked for, is among the rows."""

    def accounts_trading(self, after: str, until: str, first_day: int, before: int, limit: int) -> list[str]:
        """Return accounts of a span with fills since a UTC day, recorded before a position: at most so many."""

    def fee_streams(self, account_id: str, from_ns: int, before: int) -> list[str]:
        """Return the fee streams of an account from a day on that have an event before a position."""


class Commit(NamedTuple):
    """A row of the table of commits."""

    last_position: int
    first_position: int
    recorded_time_ns: int


class Stored:
    """Says what is wrong with how an event is stored, from the commits and the terms of writers that the log has."""

    def __init__(
        self, commits: Sequence[Commit], terms: Sequence[tuple[int, int]], *, uncommitted: bool = False
    ) -> None:
        """`terms` are (position of its WriterStarted, term).

        `uncommitted`: say of an event, too, that no commit made it, which else the frame of the log does.
        """
        self._commits = commits
        self._terms = terms
        self._uncommitted = uncommitted

    def checked(self, row: Row, part: Opening | None = None) -> Iterator[Recorded | Deviation]:
        """Yield what is wrong with a row, then its event; only the first, where it cannot be read.

        `part` may have been erased, or be of an event that names none: neither is wrong.
        """
        position, stream, _, topic, state, *times = row
        try:
            recorded = decode(*row[:5])
            canonical = is_canonical(topic, state)
        except _UNREADABLE as error:
            yield Deviation(position, stream, (Difference(f"it cannot be read: {error!r}"),))
            return
        differs = [] if canonical else [Difference("its bytes say more than this release would write")]
        if recorded.envelope.erasable_sha256:
            if apart(recorded)[1]:
                differs.append(Difference("its bytes hold what its erasable part is for"))
            if part is not None:
                recorded, wrong = _with_part(recorded, part)
                differs += wrong
        event = recorded.event
        expected: list[int | None] = [None, None, None]
        if isinstance(event, FeeEvent):
            expected = [event.time_min_ns, event.time_max_ns, event.time_max_so_far_ns]
        if times != expected:
            differs.append(Difference("the columns of times beside it", str(times), str(expected)))
        differs += [*self._in_its_term(recorded), *self._in_its_commit(recorded)]
        if differs:
            yield Deviation(position, stream, tuple(differs))
        yield recorded

    def _in_its_term(self, recorded: Recorded) -> list[Difference]:
        """Compare the term of an event with the last that had begun; the first one may begin after it."""
        place = bisect_right(self._terms, recorded.position, key=lambda begun: begun[0])
        expected, term = self._terms[max(place - 1, 0)][1] if self._terms else 0, recorded.envelope.writer_term
        return [] if term == expected else [Difference("writer_term", str(term), str(expected))]

    def _in_its_commit(self, recorded: Recorded) -> list[Difference]:
        """Compare the recorded_time of an event with that of its commit."""
        place = bisect_left(self._commits, recorded.position, key=lambda commit: commit.last_position)
        if place == len(self._commits) or recorded.position < self._commits[place].first_position:
            return [Difference("no commit made it")] if self._uncommitted else []
        commit, time_ns = self._commits[place], recorded.envelope.recorded_time_ns
        if time_ns == commit.recorded_time_ns:
            return []
        return [Difference(RECORDED_TIME, str(time_ns), f"{commit.recorded_time_ns}, as its commit says")]


def _with_part(recorded: Recorded, part: Opening) -> tuple[Recorded, list[Difference]]:
    """Return an event with its erasable part, if that is what the event says it is, and what is wrong with the part."""
    said = recorded.envelope.erasable_sha256
    if (found := part.sha256(Part.ERASABLE)) != said:
        return recorded, [Difference("SHA-256 of its erasable part", found.hex(), said.hex())]
    try:
        whole = joined(recorded, part.content)
        written = apart(whole)[1]
    except _UNREADABLE as error:
        return recorded, [Difference(f"its erasable part cannot be read: {error!r}")]
    more = [] if written == part.content else [Difference("its erasable part says more than this release would write")]
    return whole, more


def readable(row: Sequence[Any]) -> Recorded | None:
    """Return an event as it is stored; None if it cannot be read."""
    try:
        return decode(*row)
    except _UNREADABLE:
        return None


def _day_key(stream: str) -> DayKey | None:
    """Return the account-day of a fee stream; None for any other, and for a name that is that of no account-day."""
    try:
        return day_key(stream) if is_fee_stream(stream) else None
    except ValueError:
        return None


class AuditReader(Queries):
    """Reads the log for an audit."""

    def __init__(self, log: Log) -> None:
        super().__init__(log)
        self.ledger = list(self.earlier([LEDGER], POSITION_MAX))
        self._terms = [(one.position, one.event.term) for one in self.ledger if isinstance(one.event, WriterStarted)]

    def between(
        self, after: int, until: int, chosen: ChosenRows, *, uncommitted: bool
    ) -> Iterator[Recorded | Deviation]:
        """Yield the events at positions in (after, until], in order, and what is wrong with how they are stored."""
        stored = Stored(chosen.commits(after, until), self._terms, uncommitted=uncommitted)
        while rows := chosen.page(after, until):
            parts = self._parts(rows)
            for row in rows:
                yield from stored.checked(row, parts.get(row[0]))
            after = rows[-1][0]

    def earlier(self, streams: Sequence[str], before: int) -> Iterator[Recorded]:
        """Yield events of streams before a position, in order, without rows that cannot be read: `between` tells."""
        names = list(streams)
        keys = [(name, *key) for name in names if (key := _day_key(name))]
        fees = {column: [each[place] for each in keys] for place, column in enumerate(("fees", "accounts", "days"))}
        return filter(None, map(readable, self._query(_STREAMS, streams=names, before=before, **fees)))

    def first_of(self, request_id: str) -> Recorded | None:
        """Return the event that the table of requests names as the first of a request."""
        if "\0" in request_id:
            return None  # no text of PostgreSQL holds it
        rows = self._query(_FIRST, request_id=request_id)
        first = next(filter(None, map(readable, rows)), None)
        part = self._parts(rows).get(first.position) if first is not None else None
        return first if first is None or part is None else _with_part(first, part)[0]

    def sources(self, known: int) -> Iterator[Recorded]:
        """Yield the last event of each source up to a position."""
        return filter(None, map(readable, self._query(_SOURCES, known=known)))

    def last_fees(self, streams: Sequence[str], before: int) -> Iterator[Recorded]:
        """Yield the last event before a position of each of some fee streams that has one."""
        accounts, days = zip(*map(day_key, streams), strict=True)
        rows = self._query(_LAST_FEES, accounts=list(accounts), days=list(days), before=before)
        return filter(None, map(readable, rows))

    def credits_with(self, position: int, before: int) -> list[Recorded]:
        """Return credits and withdrawals of an account-day up to `before`; a credit at `position` tells which day."""
        if position >= before:
            return []
        return list(filter(None, map(readable, self._query(_CREDITS_WITH, position=position, before=before))))

    def _parts(self, rows: Sequence[Row]) -> dict[int, Opening]:
        """Return the erasable parts of rows by position; of rows that name none, none is asked for."""
        return self._log.erasable_parts(row[0] for row in rows if _NAMES_A_PART in row[4])
