"""Reading the log: what happened, up to a position. Everything here is a plain read of committed rows."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

import numpy as np
from psycopg import Connection, ServerCursor
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row
from psycopg.sql import SQL, Composed, Identifier

from ledger.arrays.columns import Ints
from ledger.domain.events import CellTotals, FeeEvent, Recorded, VolumeRecorded
from ledger.domain.instants import DAY_NS
from ledger.domain.streams import LEDGER, PROGRAMME_PREFIX, REGISTERS, account_stream, fee_stream
from ledger.store.codec.events import decode
from ledger.store.codec.fills import CHARGED_TAGS, exec_id_digests
from ledger.store.codec.run_front import FRONT_BYTES, totals_in
from ledger.store.digest import digest_of_log
from ledger.store.postgres.migrate import EVENTS

_STREAMS_AT_ONCE: Final = 1_000  # whose events are in memory at once
_ROWS_AT_ONCE: Final = 1_000  # small ones
_BYTES_AT_ONCE: Final = 4_000_000  # about so much of runs that are read one after the other
_Parameters: TypeAlias = Sequence[Any] | dict[str, Any]


class Connections(Protocol):
    """Where the connections of readers come from: a pool, or one connection in whose transaction all is read."""

    schema: str

    def get_connection(self) -> AbstractContextManager[Connection[Any]]:
        """A connection, until the block ends."""


class Head(NamedTuple):
    """The last event of a prefix of the log, and when its commit was recorded; (0, 0) before the first."""

    position: int
    recorded_time_ns: int


class StoredRow(NamedTuple):
    """An event as it is stored; `codec.decode` takes these fields in this order."""

    position: int
    stream: str
    version: int
    topic: str
    state: bytes


class LastEvent(NamedTuple):
    """Position of the last event of a stream, and the stream's name."""

    position: int
    stream: str


class DayTotals(NamedTuple):
    """Running totals of an account-day (YYYY-MM-DD) after the run at a position."""

    account_id: str
    day: str
    position: int
    totals: tuple[CellTotals, ...]


class AccountsPage(NamedTuple):
    """Ids of accounts in order, and how many there were to be read when the first page was asked for."""

    total: int
    account_ids: list[str]


class DayCut(NamedTuple):
    """An account-day up to an instant inside it: running totals, and the events behind them of which a part counts.

    `totals` hold lines before the instant only. Lines of `events` may lie on either side of it.
    """

    totals: tuple[CellTotals, ...]
    events: list[Recorded]


class KnownRequest(NamedTuple):
    """A request that was recorded: the hash of its body and the position of its first event."""

    sha256: bytes
    position: int


@dataclass(frozen=True, slots=True)
class FeeDay:
    """One fee stream: the digests of its exec_ids, the position of the run that has each, and its last event."""

    digests: Ints
    positions: Ints
    last: FeeEvent


class Log:
    """The log of one ledger."""

    def __init__(self, datastore: Connections) -> None:
        self._datastore = datastore
        self._sql = _Statements(datastore.schema)

    def head(self) -> Head:
        """The last commit."""
        rows = self._rows(self._sql.head, ())
        return Head(*rows[0]) if rows else Head(0, 0)

    def head_at_time(self, time_ns: int) -> Head:
        """The last commit recorded at or before a time."""
        rows = self._rows(self._sql.head_at_time, (time_ns,))
        return Head(*rows[0]) if rows else Head(0, 0)

    def head_at_position(self, position: int) -> Head:
        """A position the log has reached, with the time its commit was recorded."""
        rows = self._rows(self._sql.head_at_position, (position,))
        return Head(position, rows[0][0]) if rows and position else Head(0, 0)

    def streams(self, names: Iterable[str], until: int) -> list[Recorded]:
        """Events of some streams up to a position, in position order."""
        return self._events(self._sql.streams, (list(names), until))

    def last_of(self, stream: str) -> Recorded | None:
        """The last event of a stream."""
        events = self._events(self._sql.last_of, (stream,))
        return events[0] if events else None

    def last_versions(self, streams: Iterable[str]) -> dict[str, int]:
        """The versions of the last events of some streams; those without an event are left out."""
        return dict(self._rows(self._sql.last_versions, (list(streams),)))

    def version(self, stream: str, version: int) -> Recorded:
        """An event of a stream by its version. Raises IndexError if there is none."""
        return self._events(self._sql.version, (stream, version))[0]

    def versions(self, stream: str, first: int, limit: int) -> list[Recorded]:
        """Events of a stream from a version on, at most `limit`."""
        return self._events(self._sql.versions, (stream, first, limit))

    def runs_since(self, wanted: Iterable[tuple[str, int]]) -> Iterator[Recorded]:
        """The first run of each (fee stream, position) at that position or after it, a few in memory at once."""
        streams, positions = zip(*wanted, strict=True)
        return self._runs(self._sql.runs_since, (list(streams), list(positions)))

    def runs_of_commits(self, wanted: Iterable[tuple[str, int]]) -> Iterator[Recorded]:
        """The runs of each (fee stream, position) in the commit that a position lies in, a few in memory at once."""
        streams, positions = zip(*wanted, strict=True)
        return self._runs(self._sql.runs_of_commits, (list(streams), list(positions)))

    def runs_of(self, streams: Iterable[str]) -> Iterator[Recorded]:
        """Every run of some fee streams, a few in memory at once."""
        return self._runs(self._sql.runs_of, (list(streams),))

    def adjustments_of(self, streams: Iterable[str], after: int) -> list[Recorded]:
        """Return what corrects fees of some fee streams at positions after one, in order."""
        return self._events(self._sql.adjustments_of, (list(streams), after))

    def _runs(self, statement: bytes, parameters: Sequence[Any]) -> Iterator[Recorded]:
        return (decode(*row) for row in self._taken("runs", statement, parameters))

    def _taken(self, name: str, statement: bytes, parameters: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
        """Rows of events, read as they are taken, a few in memory at once."""
        with self._cursor(name) as cursor:
            cursor.execute(statement, parameters)
            size = 1
            while rows := cursor.fetchmany(size):
                yield from rows
                size = min(max(_BYTES_AT_ONCE // max(len(row[4]) for row in rows), 1), _STREAMS_AT_ONCE)

    def digest(self, until: int) -> bytes:
        """Return the digest of all events up to a position, as MigrationApplied has it."""
        with self._datastore.get_connection() as connection:
            return digest_of_log(connection, self._datastore.schema, until)

    def ledger(self) -> list[Recorded]:
        """The stream that names the ledger and its writers."""
        return self.streams([LEDGER], 2**63 - 1)

    def rulebook(self, until: int) -> list[Recorded]:
        """Events of the registers and of every programme up to a position, in position order."""
        prefix_end = PROGRAMME_PREFIX[:-1] + chr(ord(PROGRAMME_PREFIX[-1]) + 1)
        return self._events(self._sql.rulebook, (REGISTERS, PROGRAMME_PREFIX, prefix_end, until))

    def below(self, prefix: str, until: int) -> list[Recorded]:
        """Events of the streams under a prefix such as `bounty/` up to a position, in position order."""
        end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        return self._events(self._sql.below, (prefix, end, until))

    def last_below(self, prefix: str, until: int) -> list[Recorded]:
        """The last event up to a position of each stream under a prefix such as `source/`, by name."""
        end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        lasts = self._events(self._sql.last_of_streams_between, (prefix, end, end))
        found = (last if last.position <= until else self._last_before(last, until) for last in lasts)
        return [recorded for recorded in found if recorded is not None]

    def accounts_between(self, first: str, last: str, until: int) -> list[Recorded]:
        """Decisions on the accounts from one id to another, both included, up to a position: account by account."""
        names = (account_stream(first), account_stream(last))
        return self._events(self._sql.streams_between, (*names, until))

    def account_events(self, topics: Sequence[str], until: int, *, naming: str = "") -> list[Recorded]:
        """Decisions on accounts of some kinds up to a position that name a text, in position order."""
        return self._events(self._sql.account_events, (list(topics), until, naming.encode()))

    def at(self, position: int) -> Recorded:
        """The event at a position of the log. Raises IndexError if there is none."""
        return self._events(self._sql.at, (position,))[0]

    def requests(self, request_ids: Iterable[str]) -> dict[str, KnownRequest]:
        """Those of the requests that were recorded."""
        rows = self._rows(self._sql.requests, (list(request_ids),))
        return {request_id: KnownRequest(bytes(sha256), position) for request_id, sha256, position in rows}

    def accounts_and_days(
        self, accounts: Iterable[str], days: Iterable[str]
    ) -> tuple[list[Recorded], dict[str, FeeDay]]:
        """The events of some account streams, each in order; and those of some fee streams that exist.

        A fee stream may be larger than memory allows: its events are read in pieces, and of each the digests are kept.
        """
        events: list[Recorded] = []
        digests: dict[str, list[Ints]] = {}
        positions: dict[str, list[Ints]] = {}
        last: dict[str, tuple[Any, ...]] = {}
        names, of_days = [*accounts, *days], set(days)
        for rows in self._pieces(names):
            events += [decode(*row) for row in rows if row[1] not in of_days]
            runs = [row for row in rows if row[1] in of_days and row[3] == "VolumeRecorded"]
            for row, of_run in zip(runs, exec_id_digests([row[4] for row in runs]), strict=True):
                digests.setdefault(row[1], []).append(of_run)
                positions.setdefault(row[1], []).append(np.full(len(of_run), row[0]))
            last.update((row[1], row) for row in rows if row[1] in of_days)
        found = {}
        for stream, row in last.items():
            event = decode(*row).event
            assert isinstance(event, FeeEvent), stream
            found[stream] = FeeDay(np.concatenate(digests[stream]), np.concatenate(positions[stream]), event)
        return events, found

    def _pieces(self, names: Sequence[str]) -> Iterator[list[tuple[Any, ...]]]:
        """Events of streams, stream by stream in order: few streams and few bytes in memory at once, or one event."""
        for start in range(0, len(names), _STREAMS_AT_ONCE):
            some, after, more = names[start : start + _STREAMS_AT_ONCE], ("", 0), True
            while more:
                rows = self._rows(self._sql.events_behind, (list(some), *after, _BYTES_AT_ONCE))
                yield [row[:-1] for row in rows]
                more = bool(rows) and rows[-1][-1]
                after = rows[-1][1:3] if rows else after

    def has_account(self, account_id: str, until: int) -> bool:
        """Return whether any command or fill of an account was recorded up to a position."""
        first, after = fee_range(account_id)
        rows = self._rows(self._sql.has_account, (first, after, after, account_stream(account_id), until, until))
        return bool(rows[0][0])

    def has_fees(self, account_id: str, first_day: int, end_day: int, until: int) -> bool:
        """Return whether an account has fills on UTC days in [first_day, end_day), as known at a position."""
        names = [fee_stream(account_id, day) for day in range(first_day, end_day)]
        return bool(self._rows(self._sql.has_fees, (names, until))[0][0])

    def totals_of_days(self, days: Iterable[tuple[str, int]], until: int) -> list[DayTotals]:
        """Totals of account-days, known up to a position: those that had any by then, by (account, UTC day)."""
        names = [fee_stream(account_id, day) for account_id, day in days]
        return self._day_totals(self._rows(self._sql.last_of_streams, (names, until)))

    def totals_of_account(self, account_id: str, first_day: int, end_day: int, until: int) -> list[DayTotals]:
        """Totals of the UTC days in [first_day, end_day) of an account, known up to a position: one seek each."""
        first, end = fee_stream(account_id, first_day), fee_stream(account_id, end_day)
        return self._day_totals(self._rows(self._sql.totals_between, (first, end, end, until)))

    def day_cut(self, account_id: str, instant_ns: int, until: int) -> DayCut:
        """The UTC day of an account in which an instant lies, before it, known up to a position.

        The totals are those of the last event up to which the day has no line at or behind the instant.
        """
        day, last_ns = fee_stream(account_id, instant_ns // DAY_NS), instant_ns - 1
        rows = self._rows(self._sql.day_cut, {"day": day, "last_ns": last_ns, "until": until})
        totals = [row[:-1] for row in rows if row[-1]]
        events = [decode(*row[:-1]) for row in rows if not row[-1]]
        return DayCut(self._day_totals(totals)[0].totals if totals else (), events)

    def fees(
        self, account_id: str, *, after: tuple[int, int], from_ns: int, as_of_ns: int, until: int, limit: int
    ) -> list[Recorded]:
        """Runs of fills of an account with a line in [from, as_of], in the order (day, position).

        `after` is the (day, position) of the last one seen: those at or before it are left out.
        """
        day, position = max(after, (from_ns // DAY_NS, 0))
        first, end = fee_stream(account_id, day), fee_stream(account_id, as_of_ns // DAY_NS + 1)
        return self._events(self._sql.fees, (first, position, end, until, from_ns, as_of_ns, limit))

    def fees_naming(self, account_id: str, day: int, exec_id: str, until: int) -> list[Recorded]:
        """Events of an account-day in which the bytes of an exec_id occur, in order: hardly more than are about it."""
        return self._events(self._sql.fees_naming, (fee_stream(account_id, day), until, exec_id.encode()))

    def runs(self, *, from_ns: int, as_of_ns: int, after: int, until: int, limit: int) -> list[Recorded]:
        """Runs of fills of all accounts with a line in [from, as_of] at positions in (after, until], in order."""
        return self._events(self._sql.runs, (after, until, from_ns, as_of_ns, "VolumeRecorded", limit))

    def adjustments(
        self, *, from_ns: int, as_of_ns: int, until: int, after: int = 0, limit: int | None = None
    ) -> list[Recorded]:
        """Corrections of fees of all accounts, of lines in [from, as_of], at positions in (after, until], in order."""
        return self._events(self._sql.runs, (after, until, from_ns, as_of_ns, "FeeAdjusted", limit))

    def charged(self, *, as_of_ns: int, until: int) -> Iterator[Recorded]:
        """Runs with a fill up to an instant that says what the engine charged, and the adjustments of their days.

        At positions up to `until`, the oldest UTC day first, then by account, then in order; read as they are taken.
        """
        stream = ""
        for row in self._taken("charged", self._sql.charged, (until, as_of_ns)):
            _, name, _, topic, _ = row
            if topic == "FeeAdjusted" and name != stream:
                continue  # nothing was said of the day
            recorded = decode(*row)
            if isinstance(recorded.event, VolumeRecorded) and not recorded.event.columns.charged_currency:
                continue  # it only looked like it
            stream = name
            yield recorded

    def existing(self, streams: Iterable[str]) -> set[str]:
        """Those of some streams that have an event."""
        return {row[0] for row in self._rows(self._sql.existing, (list(streams),))}

    def first_events_of_requests(self, after: int, until: int, limit: int) -> list[Recorded]:
        """The first event of each request at a position in (after, until], in order."""
        return self._events(self._sql.first_events_of_requests, (after, until, limit))

    def last_events_between(self, after: int, until: int) -> list[LastEvent]:
        """The last event of each stream with one at a position in (after, until], in order of positions."""
        return [LastEvent(*row) for row in self._rows(self._sql.last_events_between, (after, until))]

    def fronts_at(self, positions: Sequence[int]) -> list[bytes | None]:
        """The fronts of runs at some positions, which rise; None where the event is no run."""
        return [front for (front,) in self._rows(self._sql.fronts_at, (positions,))]

    def day_totals_at(self, positions: Sequence[int]) -> list[DayTotals]:
        """Totals of account-days after the events of fee streams at some positions, read whole, in any order."""
        return self._day_totals(self._rows(self._sql.rows_at, (positions,)))

    def decisions_between(self, after: int, until: int) -> list[Recorded]:
        """All events but those of fee streams at positions in (after, until], in order."""
        return self._events(self._sql.decisions_between, (after, until))

    def stored(self, stream: str, after: int, until: int, limit: int) -> list[StoredRow]:
        """Rows as they are stored at positions in (after, until], of one stream or of all, in order."""
        if stream:
            rows = self._rows(self._sql.stored_of_stream, (stream, after, until, limit))
        else:
            rows = self._rows(self._sql.stored, (after, until, limit))
        return [StoredRow(*row) for row in rows]

    def end_of_commit(self, position: int) -> int:
        """Last position of the commit that a position lies in."""
        rows = self._rows(self._sql.end_of_commit, (position,))
        return int(rows[0][0])

    def accounts_behind(self, account_id: str, size: int) -> Iterator[AccountsPage]:
        """The ids after one of all accounts with a decision or a fill, in order, read as they are taken."""
        with self._cursor("accounts") as cursor:
            cursor.execute(self._sql.accounts_behind, (account_id,))
            while rows := cursor.fetchmany(size):
                yield AccountsPage(int(rows[0][1]), [row[0] for row in rows])

    def day_totals_of(self, account_ids: Iterable[str], until: int) -> list[DayTotals]:
        """Return the totals of each UTC day of some accounts, after the last run at a position up to `until`."""
        return self._day_totals(self._rows(self._sql.last_of_account_days, (list(account_ids), until)))

    def rows_between(self, after: int, until: int, size: int) -> Iterator[list[tuple[Any, ...]]]:
        """Rows with their times as stored at positions in (after, until], in order, read as they are taken."""
        with self._cursor("rows") as cursor:
            cursor.execute(self._sql.rows_between, (after, until))
            while rows := cursor.fetchmany(size):
                yield rows

    def query(self, statement: Composed | SQL, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
        """Rows of the read side's own statements."""
        return self._rows(statement, parameters)

    def rows_of(self, statement: Composed | SQL, parameters: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
        """Rows of such a statement, read as they are taken: there may be any number."""
        with self._cursor("rows of") as cursor:
            cursor.execute(statement, parameters)
            while rows := cursor.fetchmany(_ROWS_AT_ONCE):
                yield from rows

    def _last_before(self, later: Recorded, until: int) -> Recorded | None:
        """The last event up to a position of a stream that has a later one. Versions count from 1 and rise with it."""
        versions = range(1, later.version)
        place = bisect_right(versions, until, key=lambda version: self.version(later.stream, version).position)
        return self.version(later.stream, versions[place - 1]) if place else None

    def _events(self, statement: bytes, parameters: Sequence[Any]) -> list[Recorded]:
        return [decode(*row) for row in self._rows(statement, parameters)]

    def _day_totals(self, rows: Iterable[tuple[Any, ...]]) -> list[DayTotals]:
        """Read totals out of rows of which only the front may be at hand, where that is enough."""
        found = []
        for row in rows:
            position, stream, _, topic, state = row
            _, account_id, day = stream.split("/")
            totals = totals_in(state) if topic == "VolumeRecorded" else _totals_of(decode(*row))
            if totals is None:
                totals = _totals_of(self.at(position))
            found.append(DayTotals(account_id, day, position, totals))
        return found

    def _rows(self, statement: bytes | Composed | SQL, parameters: _Parameters) -> list[tuple[Any, ...]]:
        with (
            self._datastore.get_connection() as connection,
            connection.cursor(binary=True, row_factory=tuple_row) as cursor,
        ):
            return cursor.execute(statement, parameters).fetchall()

    @contextmanager
    def _cursor(self, name: str) -> Iterator[ServerCursor[tuple[Any, ...]]]:
        """Rows that stay in PostgreSQL until they are fetched."""
        with (
            self._datastore.get_connection() as connection,
            _transaction(connection),
            connection.cursor(name, row_factory=tuple_row, binary=True) as cursor,
        ):
            yield cursor


def _transaction(connection: Connection[Any]) -> AbstractContextManager[object]:
    """The transaction that a connection is in, or else a new one."""
    within = connection.info.transaction_status == TransactionStatus.INTRANS
    return nullcontext() if within else connection.transaction()


def _totals_of(recorded: Recorded) -> tuple[CellTotals, ...]:
    assert isinstance(recorded.event, FeeEvent), recorded
    return recorded.event.totals


def fee_range(account_id: str) -> tuple[str, str]:
    """Half-open range of names that holds every fee stream of an account, in byte order."""
    prefix = f"fees/{account_id}/"
    return prefix, prefix[:-1] + chr(ord("/") + 1)


# Names of the streams in [%s, %s), in order, by one index seek each: the next stream after the last one.
_STREAMS: Final = (
    "stream(name) AS ("
    "  (SELECT originator_id FROM {events} WHERE originator_id >= %s AND originator_id < %s"
    "     ORDER BY originator_id, originator_version LIMIT 1)"
    "  UNION ALL"
    "  SELECT (SELECT originator_id FROM {events} WHERE originator_id > stream.name AND originator_id < %s"
    "     ORDER BY originator_id, originator_version LIMIT 1)"
    "  FROM stream WHERE stream.name IS NOT NULL"
    ") "
)


class _Statements:
    """The reader's SQL for one schema. Rows of events come as `codec.decode` takes them."""

    def __init__(self, schema: str) -> None:
        names = {"events": Identifier(schema, EVENTS), "schema": Identifier(schema)}
        row = "notification_id, originator_id, originator_version, topic, state"
        front = (
            f"CASE topic WHEN 'VolumeRecorded' THEN substring(state FROM 1 FOR {FRONT_BYTES}) ELSE state END AS state"
        )

        def statement(text: str) -> bytes:
            """As bytes: a small read would take half as long again if it were put together each time."""
            text = text.replace("FRONT", row.replace("state", front)).replace("ROW", row)
            return SQL(text).format(**names).as_bytes()

        self.head = statement(
            "SELECT last_position, recorded_time_ns FROM {schema}.commits ORDER BY last_position DESC LIMIT 1"
        )
        self.head_at_time = statement(
            "SELECT last_position, recorded_time_ns FROM {schema}.commits"
            " WHERE recorded_time_ns <= %s ORDER BY recorded_time_ns DESC LIMIT 1"
        )
        self.head_at_position = statement(
            "SELECT recorded_time_ns FROM {schema}.commits WHERE last_position >= %s ORDER BY last_position LIMIT 1"
        )
        self.streams = statement(
            "SELECT ROW FROM {events} WHERE originator_id = ANY(%s) AND notification_id <= %s ORDER BY notification_id"
        )
        self.streams_between = statement(
            "SELECT ROW FROM {events} WHERE originator_id >= %s AND originator_id <= %s AND notification_id <= %s"
            " ORDER BY originator_id, originator_version"
        )
        self.existing = statement(
            "SELECT name FROM unnest(%s::text[]) AS name"
            " WHERE EXISTS (SELECT 1 FROM {events} WHERE originator_id = name)"
        )
        self.has_fees = statement(
            "SELECT EXISTS (SELECT 1 FROM unnest(%s::text[]) AS name CROSS JOIN LATERAL ("
            "  SELECT 1 FROM {events} WHERE originator_id = name AND originator_version <= %s LIMIT 1) AS found)"
        )
        self.last_of_streams = statement(
            "SELECT last.* FROM unnest(%s::text[]) AS name CROSS JOIN LATERAL ("
            "  SELECT FRONT FROM {events} WHERE originator_id = name AND originator_version <= %s"
            "  ORDER BY originator_version DESC LIMIT 1) AS last ORDER BY originator_id"
        )
        self.version = statement("SELECT ROW FROM {events} WHERE originator_id = %s AND originator_version = %s")
        self.versions = statement(
            "SELECT ROW FROM {events} WHERE originator_id = %s AND originator_version >= %s"
            " ORDER BY originator_version LIMIT %s"
        )
        # LIMIT keeps each of these a seek in the index, whatever the planner takes the tables to be.
        self.runs_since = statement(
            "SELECT run.* FROM unnest(%s::text[], %s::bigint[]) AS wanted(stream, place) CROSS JOIN LATERAL ("
            "  SELECT ROW FROM {events} WHERE originator_id = wanted.stream AND originator_version >= wanted.place"
            "  AND topic = 'VolumeRecorded' ORDER BY originator_version LIMIT 1) AS run"
        )
        self.runs_of_commits = statement(
            "SELECT run.* FROM unnest(%s::text[], %s::bigint[]) AS wanted(stream, place) CROSS JOIN LATERAL ("
            "  SELECT first_position, last_position FROM {schema}.commits WHERE last_position >= wanted.place"
            "  ORDER BY last_position LIMIT 1) AS made CROSS JOIN LATERAL ("
            "  SELECT ROW FROM {events} WHERE originator_id = wanted.stream AND topic = 'VolumeRecorded'"
            "  AND originator_version BETWEEN made.first_position AND made.last_position"
            "  ORDER BY originator_version LIMIT 1000000) AS run"
        )
        self.runs_of = statement("SELECT ROW FROM {events} WHERE originator_id = ANY(%s) AND topic = 'VolumeRecorded'")
        self.adjustments_of = statement(
            "SELECT ROW FROM {events} WHERE originator_id = ANY(%s) AND originator_version > %s"
            " AND topic = 'FeeAdjusted' ORDER BY originator_version"
        )
        self.last_of = statement(
            "SELECT ROW FROM {events} WHERE originator_id = %s ORDER BY originator_version DESC LIMIT 1"
        )
        self.last_versions = statement(
            "SELECT name, last.version FROM unnest(%s::text[]) AS name CROSS JOIN LATERAL ("
            "  SELECT originator_version AS version FROM {events} WHERE originator_id = name"
            "  ORDER BY originator_version DESC LIMIT 1) AS last"
        )
        self.rulebook = statement(
            "SELECT ROW FROM {events} WHERE (originator_id = %s OR (originator_id >= %s AND originator_id < %s))"
            " AND notification_id <= %s ORDER BY notification_id"
        )
        self.below = statement(
            "SELECT ROW FROM {events} WHERE originator_id >= %s AND originator_id < %s AND notification_id <= %s"
            " ORDER BY notification_id"
        )
        self.account_events = statement(
            f"SELECT ROW FROM {{events}} WHERE originator_id >= '{account_stream('')}' AND originator_id <"
            f" '{account_stream('')[:-1]}0' AND topic = ANY(%s) AND notification_id <= %s"
            " AND position(%s::bytea IN state) > 0 ORDER BY notification_id"
        )
        self.at = statement("SELECT ROW FROM {events} WHERE notification_id = %s")
        self.requests = statement(
            "SELECT request_id, sha256, position FROM {schema}.requests WHERE request_id = ANY(%s)"
        )
        # The size of a state is known without reading it; whether another event comes after it is asked with the last.
        self.events_behind = statement(
            "SELECT ROW, more FROM (SELECT ROW, sum(octet_length(state)) OVER streams - octet_length(state) AS before,"
            "  lead(true, 1, false) OVER streams AS more FROM {events}"
            "  WHERE originator_id = ANY(%s) AND (originator_id, originator_version) > (%s, %s)"
            "  WINDOW streams AS (ORDER BY originator_id, originator_version)) AS event"
            " WHERE before < %s ORDER BY originator_id, originator_version"
        )
        self.has_account = statement(
            f"WITH RECURSIVE {_STREAMS}"
            "SELECT EXISTS (SELECT 1 FROM {events}"
            "  WHERE originator_id = %s AND originator_version = 1 AND notification_id <= %s)"
            " OR EXISTS (SELECT 1 FROM stream CROSS JOIN LATERAL ("
            "  SELECT 1 FROM {events} WHERE originator_id = stream.name AND originator_version <= %s LIMIT 1) AS found)"
        )
        self.fees = statement(
            "SELECT ROW FROM {events} WHERE (originator_id, originator_version) > (%s, %s) AND originator_id < %s"
            " AND originator_version <= %s AND time_max_ns >= %s AND time_min_ns <= %s"
            " ORDER BY originator_id, originator_version LIMIT %s"
        )
        self.fees_naming = statement(
            "SELECT ROW FROM {events} WHERE originator_id = %s AND originator_version <= %s"
            " AND position(%s::bytea IN state) > 0 ORDER BY originator_version"
        )
        self.day_cut = statement(
            "WITH whole AS ("
            "  SELECT FRONT FROM {events} WHERE originator_id = %(day)s AND originator_version <= %(until)s"
            "  AND time_max_so_far_ns <= %(last_ns)s ORDER BY originator_version DESC LIMIT 1"
            ") SELECT *, true FROM whole UNION ALL"
            " SELECT ROW, false FROM {events} WHERE originator_id = %(day)s AND originator_version <= %(until)s"
            " AND originator_version > coalesce((SELECT originator_version FROM whole), 0)"
            " AND time_min_ns <= %(last_ns)s ORDER BY originator_version"
        )
        self.runs = statement(
            "SELECT ROW FROM {events} WHERE notification_id > %s AND notification_id <= %s"
            " AND time_max_ns >= %s AND time_min_ns <= %s AND topic = %s ORDER BY notification_id LIMIT %s"
        )
        # To look for tags in the bytes takes a small part of what it takes to send and read them: 0.2 s for 1,000,000
        # fills. Other bytes may look like that; no run that says it is missed.
        says = " OR ".join(
            "(" + " AND ".join(f"position('\\x{tag.hex()}'::bytea IN state) > 0" for tag in tags) + ")"
            for tags in CHARGED_TAGS
        )
        self.charged = statement(
            "SELECT ROW FROM {events} WHERE notification_id <= %s AND time_min_ns <= %s"
            f" AND (topic = 'FeeAdjusted' OR topic = 'VolumeRecorded' AND ({says}))"
            " ORDER BY right(originator_id, 10), originator_id, originator_version"
        )
        self.first_events_of_requests = statement(
            "SELECT ROW FROM {events} WHERE notification_id = ANY(ARRAY("
            "  SELECT position FROM {schema}.requests WHERE position > %s AND position <= %s"
            "  ORDER BY position LIMIT %s)) ORDER BY notification_id"
        )
        self.last_events_between = statement(
            "SELECT max(notification_id) AS position, originator_id FROM {events}"
            " WHERE notification_id > %s AND notification_id <= %s GROUP BY originator_id ORDER BY position"
        )
        self.fronts_at = statement(
            f"SELECT CASE topic WHEN 'VolumeRecorded' THEN substring(state FROM 1 FOR {FRONT_BYTES}) END"
            " FROM {events} WHERE notification_id = ANY(%s) ORDER BY notification_id"
        )
        self.rows_at = statement("SELECT ROW FROM {events} WHERE notification_id = ANY(%s)")
        self.stored = statement(
            "SELECT ROW FROM {events} WHERE notification_id > %s AND notification_id <= %s"
            " ORDER BY notification_id LIMIT %s"
        )
        self.stored_of_stream = statement(
            "SELECT ROW FROM {events} WHERE originator_id = %s AND notification_id > %s AND notification_id <= %s"
            " ORDER BY originator_version LIMIT %s"
        )
        self.decisions_between = statement(
            "SELECT ROW FROM {events} WHERE notification_id > %s AND notification_id <= %s"
            " AND topic <> ALL ('{{VolumeRecorded,FeeAdjusted}}') ORDER BY notification_id"
        )
        self.end_of_commit = statement(
            "SELECT last_position FROM {schema}.commits WHERE last_position >= %s ORDER BY last_position LIMIT 1"
        )
        # In fee streams versions are positions, so the index finds the last one up to a position; nowhere else.
        self.totals_between = statement(
            f"WITH RECURSIVE {_STREAMS}SELECT last.* FROM stream CROSS JOIN LATERAL ("
            "  SELECT FRONT FROM {events} WHERE originator_id = stream.name AND originator_version <= %s"
            "  ORDER BY originator_version DESC LIMIT 1) AS last ORDER BY originator_id"
        )
        self.last_of_streams_between = statement(
            f"WITH RECURSIVE {_STREAMS}SELECT last.* FROM stream CROSS JOIN LATERAL ("
            "  SELECT ROW FROM {events} WHERE originator_id = stream.name"
            "  ORDER BY originator_version DESC LIMIT 1) AS last ORDER BY originator_id"
        )
        # One index seek for each account, whatever it has: '0' follows '/' in byte order.
        self.accounts_behind = statement(
            "WITH RECURSIVE trading(id) AS ("
            "  (SELECT split_part(originator_id, '/', 2) FROM {events} WHERE originator_id >= 'fees/'"
            "     AND originator_id < 'fees0' ORDER BY originator_id, originator_version LIMIT 1)"
            "  UNION ALL"
            "  SELECT (SELECT split_part(originator_id, '/', 2) FROM {events}"
            "     WHERE originator_id >= 'fees/' || trading.id || '0' AND originator_id < 'fees0'"
            "     ORDER BY originator_id, originator_version LIMIT 1)"
            "  FROM trading WHERE trading.id IS NOT NULL"
            "), decided(name) AS ("
            "  (SELECT originator_id FROM {events} WHERE originator_id >= 'account/' AND originator_id < 'account0'"
            "     ORDER BY originator_id, originator_version LIMIT 1)"
            "  UNION ALL"
            "  SELECT (SELECT originator_id FROM {events} WHERE originator_id > decided.name"
            "     AND originator_id < 'account0' ORDER BY originator_id, originator_version LIMIT 1)"
            "  FROM decided WHERE decided.name IS NOT NULL"
            ") SELECT id, count(*) OVER () FROM ("
            "  SELECT id FROM trading WHERE id IS NOT NULL"
            "  UNION SELECT split_part(name, '/', 2) FROM decided WHERE name IS NOT NULL"
            ') AS account WHERE id COLLATE "C" > %s ORDER BY id COLLATE "C"'
        )
        self.last_of_account_days = statement(
            "WITH RECURSIVE day(id, name) AS ("
            "  SELECT id, (SELECT originator_id FROM {events} WHERE originator_id > 'fees/' || id || '/'"
            "     AND originator_id < 'fees/' || id || '0' ORDER BY originator_id, originator_version LIMIT 1)"
            "  FROM unnest(%s::text[]) AS id"
            "  UNION ALL"
            "  SELECT id, (SELECT originator_id FROM {events} WHERE originator_id > day.name"
            "     AND originator_id < 'fees/' || id || '0' ORDER BY originator_id, originator_version LIMIT 1)"
            "  FROM day WHERE day.name IS NOT NULL"
            ") SELECT last.* FROM day CROSS JOIN LATERAL ("
            "  SELECT FRONT FROM {events} WHERE originator_id = day.name AND originator_version <= %s"
            "  ORDER BY originator_version DESC LIMIT 1) AS last"
        )
        self.rows_between = statement(
            "SELECT ROW, time_min_ns, time_max_ns, time_max_so_far_ns FROM {events}"
            " WHERE notification_id > %s AND notification_id <= %s ORDER BY notification_id"
        )
