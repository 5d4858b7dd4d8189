"""Rows of the log as events: what cannot be read, or says more than one thing, is a finding and not an error."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from google.protobuf.message import DecodeError
from psycopg.sql import SQL, Identifier

from ledger.domain.events import FeeEvent, Recorded
from ledger.domain.instants import DAY_NS
from ledger.domain.replay_compared import Deviation, Difference
from ledger.domain.replay_fills import UNDECIDABLE
from ledger.domain.streams import fee_stream
from ledger.store.codec import decode, is_canonical
from ledger.store.log import Log
from ledger.store.migrate import EVENTS
from projections.audit.scope import Scope

_ROWS_PER_READ: Final = 500
_UNREADABLE: Final = (DecodeError, *UNDECIDABLE)

_ROW: Final = "notification_id, originator_id, originator_version, topic, state"
_OF_ACCOUNT: Final = "split_part(originator_id, '/', 2)"
_PAGE: Final = f"""
SELECT {_ROW}, time_min_ns, time_max_ns, time_max_so_far_ns FROM {{events}}
WHERE notification_id > %(after)s AND notification_id <= %(until)s
    AND ((originator_id NOT LIKE 'account/%%' AND originator_id NOT LIKE 'fees/%%') OR (
        (%(shares)s = 1 OR get_byte(sha256(convert_to({_OF_ACCOUNT}, 'UTF8')), 0) %% %(shares)s = %(share)s)
        AND (%(accounts)s::text[] IS NULL OR {_OF_ACCOUNT} = ANY(%(accounts)s))
        AND (%(first)s::bigint IS NULL OR time_max_ns IS NULL OR time_max_ns >= %(first)s)
        AND (%(end)s::bigint IS NULL OR time_min_ns IS NULL OR time_min_ns < %(end)s)))
ORDER BY notification_id LIMIT {_ROWS_PER_READ}
"""
_COMMITS: Final = """
SELECT last_position, first_position, recorded_time_ns FROM {schema}.commits
WHERE last_position > %(after)s AND first_position <= %(until)s ORDER BY last_position
"""
_STREAMS: Final = f"""
SELECT {_ROW} FROM {{events}} WHERE originator_id = ANY(%(streams)s) AND notification_id < %(before)s
ORDER BY notification_id
"""
_FEE_STREAMS: Final = """
SELECT DISTINCT originator_id FROM {events} WHERE originator_id >= %(first)s AND originator_id < %(end)s
    AND originator_version < %(before)s ORDER BY originator_id
"""
_SOURCES: Final = f"""
SELECT DISTINCT ON (originator_id) {_ROW} FROM {{events}}
WHERE originator_id LIKE 'source/%%' AND notification_id <= %(known)s ORDER BY originator_id, originator_version DESC
"""


class _Commit(NamedTuple):
    last_position: int
    first_position: int
    recorded_time_ns: int


class Rows:
    """Reads the log of a schema for an audit."""

    def __init__(self, log: Log, schema: str) -> None:
        self._log = log
        self._names = {"events": Identifier(schema, EVENTS), "schema": Identifier(schema)}

    def between(self, after: int, until: int, scope: Scope) -> Iterator[Recorded | Deviation]:
        """What lies at positions in (after, until], in order: events, and what is wrong with how they are stored."""
        commits = [_Commit(*row) for row in self._query(_COMMITS, after=after, until=until)]
        told: set[int] = set()
        while rows := self._page(after, until, scope):
            for row in rows:
                yield from _checked(row, commits, told)
            after = rows[-1][0]

    def earlier(self, streams: Sequence[str], before: int) -> Iterator[Recorded]:
        """The events of streams before a position, in order; what cannot be read is told where it is read first."""
        for row in self._query(_STREAMS, streams=list(streams), before=before):
            try:
                yield decode(*row)
            except _UNREADABLE:
                continue

    def sources(self, known: int) -> Iterator[Recorded]:
        """The last event of each source up to a position."""
        for row in self._query(_SOURCES, known=known):
            try:
                yield decode(*row)
            except _UNREADABLE:
                continue

    def fee_streams(self, account_id: str, from_ns: int, before: int) -> list[str]:
        """The fee streams of an account from a day on that have an event before a position."""
        first = fee_stream(account_id, max(from_ns, 0) // DAY_NS)
        rows = self._query(_FEE_STREAMS, first=first, end=f"fees/{account_id}0", before=before)
        return [name for (name,) in rows]

    def _page(self, after: int, until: int, scope: Scope) -> list[tuple[Any, ...]]:
        return self._query(
            _PAGE,
            after=after,
            until=until,
            share=scope.share,
            shares=scope.shares,
            accounts=sorted(scope.accounts) or None,
            first=scope.first_day_ns,
            end=scope.end_day_ns,
        )

    def _query(self, text: str, **parameters: Any) -> list[tuple[Any, ...]]:
        return self._log.query(SQL(text).format(**self._names), parameters)


def _checked(row: tuple[Any, ...], commits: Sequence[_Commit], told: set[int]) -> Iterator[Recorded | Deviation]:
    """An event, behind what is wrong with it; only that, where it cannot be read."""
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
    differs += _in_its_commit(recorded, commits, told)
    if differs:
        yield Deviation(position, stream, tuple(differs))
    yield recorded


def _in_its_commit(recorded: Recorded, commits: Sequence[_Commit], told: set[int]) -> list[Difference]:
    """Its recorded_time is that of the commit; of each commit only the first is told that is not."""
    place = bisect_left(commits, recorded.position, key=lambda commit: commit.last_position)
    if place == len(commits) or recorded.position < commits[place].first_position:
        return []  # no commit has it: the frame says so
    commit, time_ns = commits[place], recorded.envelope.recorded_time_ns
    if time_ns == commit.recorded_time_ns or commit.last_position in told:
        return []
    told.add(commit.last_position)
    return [Difference("recorded_time_ns", str(time_ns), f"{commit.recorded_time_ns}, as its commit says")]
