"""Reads rows of the log as events: one that cannot be read, or says more than it must, is a finding and no error."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, ClassVar, Final, NamedTuple, Protocol

from google.protobuf.message import DecodeError

from ledger.arrays.columns import Packed
from ledger.arrays.protobuf_wire import DELIMITED
from ledger.domain.events import POSITION_MAX, FeeEvent, Recorded, VolumeRecorded, WriterStarted
from ledger.domain.streams import LEDGER, DayKey, day_key, is_fee_stream
from ledger.replay.compare import UNDECIDABLE, Deviation, Difference
from ledger.replay.stored_runs import StoredRun, stored_run
from ledger.store.codec.compression import plain_rows
from ledger.store.codec.erasable import apart, contents_of_runs, joined
from ledger.store.codec.events import decode, is_canonical
from ledger.store.codec.parts import VolumeParts
from ledger.store.leaf import Opening, Part
from ledger.store.log import Log
from ledger.store.reads import BYTES_AT_ONCE, ROW, Row
from ledger.v1.events_pb2 import Envelope
from projections.audit.queries import Queries

_ROWS_FIRST, _ROWS_MAX = 500, 8_000  # that are read at once
_RUN: Final = VolumeRecorded.__name__
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

    def page(self, after: int, until: int, rows: int) -> list[Row]:
        """Return the first so many rows at positions in (after, until]; none: there are no more."""

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
        self._ends = [commit.last_position for commit in commits]
        self._terms = terms
        self._begun = [position for position, _ in terms]
        self._last: tuple[Commit | None, tuple[int, int]] = None, (0, 0)
        self._uncommitted = uncommitted

    def run(self, row: Row, part: Opening | None) -> StoredRun | None:
        """Return a row as a run of fills that is decided with others; None: it has to be read as an event."""
        position, stream, _, topic, state, *times = row
        if topic != _RUN or (said := self._said_at(position)) is None:
            return None
        run = stored_run(position, stream, state, times, said, partial(self._looked_at, row, part))
        return run if run is not None and (part is None or _is_part_of(run, part)) else None

    def _said_at(self, position: int) -> tuple[int, int] | None:
        """Return (recorded_time_ns, term) that an event at a position has to say; None: no commit made it.

        The last answer holds for all positions of its commit, unless a term begins there.
        """
        commit, said = self._last
        if commit is None or not commit.first_position <= position <= commit.last_position:
            commit = self._commit_of(position)
            if commit is None:
                return None
            said = (commit.recorded_time_ns, self._term_of(position))
            if self._term_of(commit.first_position) == self._term_of(commit.last_position):
                self._last = commit, said
        return said

    def _looked_at(self, row: Row, part: Opening | None) -> tuple[list[Deviation], Recorded | None]:
        """Return what is wrong with a row, and its event; None where it cannot be read."""
        found = list(self.checked(row, part))
        recorded = next((each for each in found if isinstance(each, Recorded)), None)
        return [each for each in found if isinstance(each, Deviation)], recorded

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
        expected, term = self._term_of(recorded.position), recorded.envelope.writer_term
        return [] if term == expected else [Difference("writer_term", str(term), str(expected))]

    def _in_its_commit(self, recorded: Recorded) -> list[Difference]:
        """Compare the recorded_time of an event with that of its commit."""
        commit, time_ns = self._commit_of(recorded.position), recorded.envelope.recorded_time_ns
        if commit is None:
            return [Difference("no commit made it")] if self._uncommitted else []
        if time_ns == commit.recorded_time_ns:
            return []
        return [Difference(RECORDED_TIME, str(time_ns), f"{commit.recorded_time_ns}, as its commit says")]

    def _term_of(self, position: int) -> int:
        place = bisect_right(self._begun, position)
        return self._terms[max(place - 1, 0)][1] if self._terms else 0

    def _commit_of(self, position: int) -> Commit | None:
        place = bisect_left(self._ends, position)
        if place == len(self._commits) or position < self._commits[place].first_position:
            return None
        return self._commits[place]


def _is_part_of(run: StoredRun, part: Opening) -> bool:
    """Return True if a part is what a run says may be erased of it: the ids of clients' orders, as they are written."""
    lines = run.lines
    try:
        ids = VolumeParts.FromString(part.content).cl_ord_ids
    except _UNREADABLE:
        return False
    if not lines or not ids or len(ids) % lines or run.message.envelope.erasable_sha256 != part.sha256(Part.ERASABLE):
        return False
    return contents_of_runs(Packed(ids, len(ids) // lines), [0, lines]) == [part.content]


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
    ) -> Iterator[Recorded | Deviation | list[StoredRun]]:
        """Yield the events at positions in (after, until], in order, and what is wrong with how they are stored.

        Runs of fills that may be decided together come as they lie there, those of one commit as a list: what is wrong
        with them is not known yet.
        """
        stored = Stored(chosen.commits(after, until), self._terms, uncommitted=uncommitted)
        count = _ROWS_FIRST
        while rows := plain_rows(chosen.page(after, until, count), if_whole=True):
            parts = self._parts(rows)
            together: list[StoredRun] = []
            for row in rows:
                part = parts.get(row[0])
                run = stored.run(row, part)
                if together and (run is None or run.recorded_time_ns != together[0].recorded_time_ns):
                    yield together
                    together = []
                if run is None:
                    yield from stored.checked(row, part)
                else:
                    together.append(run)
            if together:
                yield together
            after = rows[-1][0]
            # As many as would take some bytes if each were as large as the largest of these, for one may be very large.
            count = min(max(BYTES_AT_ONCE // max(len(row[4]) for row in rows), 1), _ROWS_MAX)

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
