"""Reads rows of the log as events: one that cannot be read, or says more than it must, is a finding and no error."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from google.protobuf.message import DecodeError

from ledger.domain.events import POSITION_MAX, FeeEvent, Recorded, WriterStarted
from ledger.domain.instants import utc_day
from ledger.domain.streams import LEDGER, fee_range, fee_stream
from ledger.replay.compare import UNDECIDABLE, Deviation, Difference
from ledger.store.codec.events import decode, is_canonical
from ledger.store.log import Log
from ledger.store.reads import ROW, Row
from projections.audit.queries import Queries
from projections.audit.scope import Scope

_ROWS_PER_READ: Final = 500
_UNREADABLE: Final = (DecodeError, *UNDECIDABLE)

RECORDED_TIME: Final = "recorded_time_ns"

COLUMNS: Final = f"{ROW}, time_min_ns, time_max_ns, time_max_so_far_ns"
_OF_ACCOUNT: Final = "split_part(originator_id, '/', 2)"
IN_SCOPE: Final = f"""
notification_id > %(after)s AND notification_id <= %(until)s
    AND ((originator_id NOT LIKE 'account/%%' AND originator_id NOT LIKE 'fees/%%'
        AND originator_id NOT LIKE 'repricing/%%') OR (
        (%(shares)s = 1 OR get_byte(sha256(convert_to({_OF_ACCOUNT}, 'UTF8')), 0) %% %(shares)s = %(share)s)
        AND (%(accounts)s::text[] IS NULL OR {_OF_ACCOUNT} = ANY(%(accounts)s::text[]))
        AND (%(first)s::bigint IS NULL OR time_max_ns IS NULL OR time_max_ns >= %(first)s)
        AND (%(end)s::bigint IS NULL OR time_min_ns IS NULL OR time_min_ns < %(end)s)))
"""
_PAGE: Final = f"""
SELECT {COLUMNS} FROM {{events}} WHERE {IN_SCOPE} ORDER BY notification_id LIMIT {_ROWS_PER_READ}
"""
_COMMITS: Final = """
SELECT last_position, first_position, recorded_time_ns FROM {schema}.commits
WHERE last_position > %(after)s AND first_position <= %(until)s ORDER BY last_position
"""
_STREAMS: Final = f"""
SELECT {ROW} FROM {{events}} WHERE originator_id = ANY(%(streams)s) AND notification_id < %(before)s
ORDER BY notification_id
"""
_CREDITS_WITH: Final = f"""
SELECT {ROW} FROM {{events}} WHERE originator_id =
    (SELECT originator_id FROM {{events}} WHERE notification_id = %(position)s AND topic = 'FeeCredited')
    AND originator_version < %(before)s AND topic IN ('FeeCredited', 'CreditWithdrawn') ORDER BY originator_version
"""
_FIRST: Final = f"""
SELECT {ROW} FROM {{events}}
WHERE notification_id = (SELECT position FROM {{schema}}.requests WHERE request_id = %(request_id)s)
"""
_FEE_STREAMS: Final = """
SELECT DISTINCT originator_id FROM {events} WHERE originator_id >= %(first)s AND originator_id < %(end)s
    AND originator_version < %(before)s ORDER BY originator_id
"""
_SOURCES: Final = f"""
SELECT DISTINCT ON (originator_id) {ROW} FROM {{events}}
WHERE originator_id LIKE 'source/%%' AND notification_id <= %(known)s ORDER BY originator_id, originator_version DESC
"""


class Commit(NamedTuple):
    """A row of the table of commits."""

    last_position: int
    first_position: int
    recorded_time_ns: int


class Stored:
    """Says what is wrong with how an event is stored, from the commits and the terms of writers that the log has."""

    def __init__(self, commits: Sequence[Commit], terms: Sequence[tuple[int, int]]) -> None:
        """`terms` are (position of its WriterStarted, term)."""
        self._commits = commits
        self._terms = terms

    def checked(self, row: Row) -> Iterator[Recorded | Deviation]:
        """Yield what is wrong with a row, then its event; only the first, where it cannot be read."""
        position, stream, _, topic, state, *times = row
        try:
            recorded = decode(*row[:5])
            canonical = is_canonical(topic, state)
        except _UNREADABLE as error:
            yield Deviation(position, stream, (Difference(f"it cannot be read: {error!r}"),))
            return
        differs = [] if canonical else [Difference("its bytes say more than this release would write")]
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
            return []  # no commit has it: the frame says so
        commit, time_ns = self._commits[place], recorded.envelope.recorded_time_ns
        if time_ns == commit.recorded_time_ns:
            return []
        return [Difference(RECORDED_TIME, str(time_ns), f"{commit.recorded_time_ns}, as its commit says")]


def readable(row: Sequence[Any]) -> Recorded | None:
    """Return an event as it is stored; None if it cannot be read."""
    try:
        return decode(*row)
    except _UNREADABLE:
        return None


def scope_parameters(after: int, until: int, scope: Scope) -> dict[str, Any]:
    """Return the parameters of IN_SCOPE, for the positions in (after, until]."""
    return {
        "after": after,
        "until": until,
        "share": scope.share,
        "shares": scope.shares,
        "accounts": sorted(scope.accounts) or None,
        "first": scope.first_day_ns,
        "end": scope.end_day_ns,
    }


class AuditReader(Queries):
    """Reads the log for an audit."""

    def __init__(self, log: Log) -> None:
        super().__init__(log)
        self.ledger = list(self.earlier([LEDGER], POSITION_MAX))
        self._terms = [(one.position, one.event.term) for one in self.ledger if isinstance(one.event, WriterStarted)]

    def between(self, after: int, until: int, scope: Scope) -> Iterator[Recorded | Deviation]:
        """Yield the events at positions in (after, until], in order, and what is wrong with how they are stored."""
        commits = [Commit(*row) for row in self._query(_COMMITS, after=after, until=until)]
        stored = Stored(commits, self._terms)
        while rows := self._page(after, until, scope):
            for row in rows:
                yield from stored.checked(row)
            after = rows[-1][0]

    def earlier(self, streams: Sequence[str], before: int) -> Iterator[Recorded]:
        """Yield events of streams before a position, in order, without rows that cannot be read: `between` tells."""
        return filter(None, map(readable, self._query(_STREAMS, streams=list(streams), before=before)))

    def first_of(self, request_id: str) -> Recorded | None:
        """Return the event that the table of requests names as the first of a request."""
        if "\0" in request_id:
            return None  # no text of PostgreSQL holds it
        return next(filter(None, map(readable, self._query(_FIRST, request_id=request_id))), None)

    def sources(self, known: int) -> Iterator[Recorded]:
        """Yield the last event of each source up to a position."""
        return filter(None, map(readable, self._query(_SOURCES, known=known)))

    def fee_streams(self, account_id: str, from_ns: int, before: int) -> list[str]:
        """Return the fee streams of an account from a day on that have an event before a position."""
        first = fee_stream(account_id, utc_day(from_ns))
        rows = self._query(_FEE_STREAMS, first=first, end=fee_range(account_id)[1], before=before)
        return [name for (name,) in rows]

    def credits_with(self, position: int, before: int) -> list[Recorded]:
        """Return credits and withdrawals of an account-day up to `before`; a credit at `position` tells which day."""
        if position >= before:
            return []
        return list(filter(None, map(readable, self._query(_CREDITS_WITH, position=position, before=before))))

    def _page(self, after: int, until: int, scope: Scope) -> list[Row]:
        return self._query(_PAGE, **scope_parameters(after, until, scope))
