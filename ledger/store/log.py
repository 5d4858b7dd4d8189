"""Reading the log up to a position: its commits, its streams, its requests, its rows as they are stored."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

from psycopg.sql import SQL, Composed

from ledger.domain.events import POSITION_MAX, LedgerCreated, Recorded
from ledger.domain.instants import day_text
from ledger.domain.streams import (
    FEES_PREFIX,
    LEDGER,
    PROGRAMME_PREFIX,
    REGISTERS,
    REPRICING_PREFIX,
    account_stream,
    end_of,
    fee_range,
)
from ledger.store.codec.account_snapshots import Snapshot
from ledger.store.digest import events_digest
from ledger.store.fee_streams import FeeStreams
from ledger.store.reads import ROWS_AT_ONCE, STREAMS, Row, statement

ACCOUNTS_AT_ONCE: Final = 100  # whose fee streams are looked for


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


class AccountsPage(NamedTuple):
    """Ids of accounts in order, and how many there were to be read when the first page was asked for."""

    total: int
    account_ids: list[str]


class KnownRequest(NamedTuple):
    """A request that was recorded: the hash of its body and the position of its first event."""

    sha256: bytes
    position: int


class Log(FeeStreams):
    """The log of one ledger. What is read up to a position stays the same for ever."""

    _HEAD = statement(
        "SELECT last_position, recorded_time_ns FROM {schema}.commits ORDER BY last_position DESC LIMIT 1"
    )

    def head(self) -> Head:
        """Return the last commit."""
        rows = self._rows(self._HEAD, ())
        return Head(*rows[0]) if rows else Head(0, 0)

    _HEAD_AT_TIME = statement(
        "SELECT last_position, recorded_time_ns FROM {schema}.commits"
        " WHERE recorded_time_ns <= %s ORDER BY recorded_time_ns DESC LIMIT 1"
    )

    def head_at_time(self, time_ns: int) -> Head:
        """Return the last commit recorded at or before a time."""
        rows = self._rows(self._HEAD_AT_TIME, (time_ns,))
        return Head(*rows[0]) if rows else Head(0, 0)

    _HEAD_AT_POSITION = statement(
        "SELECT recorded_time_ns FROM {schema}.commits WHERE last_position >= %s ORDER BY last_position LIMIT 1"
    )

    def head_at_position(self, position: int) -> Head:
        """Return a position that the log has reached, with the time its commit was recorded."""
        rows = self._rows(self._HEAD_AT_POSITION, (position,))
        return Head(position, rows[0][0]) if rows and position else Head(0, 0)

    _END_OF_COMMIT = statement(
        "SELECT last_position FROM {schema}.commits WHERE last_position >= %s ORDER BY last_position LIMIT 1"
    )

    def end_of_commit(self, position: int) -> int:
        """Return the last position of the commit that a position lies in."""
        rows = self._rows(self._END_OF_COMMIT, (position,))
        return int(rows[0][0])

    def digests(self, positions: Iterable[int]) -> list[bytes]:
        """Return the digest of all events up to each of some positions, which rise, as MigrationApplied has it."""
        digest, stretches = events_digest(self.connections.schema), pairwise([0, *positions])
        with self.connections.get_connection() as connection:
            return [digest.take(connection, {"after": after, "until": until}) for after, until in stretches]

    # --- streams

    _STREAMS = statement(
        "SELECT ROW FROM {events} WHERE originator_id = ANY(%s) AND notification_id <= %s ORDER BY notification_id"
    )

    def streams(self, names: Iterable[str], until: int) -> list[Recorded]:
        """Return events of some streams up to a position, in position order."""
        return self._events(self._STREAMS, (list(names), until))

    _SNAPSHOTS = statement(
        "SELECT account_id, version, encoding, state, sha256 FROM {schema}.account_snapshots WHERE account_id = ANY(%s)"
    )

    def snapshots(self, account_ids: Iterable[str]) -> Iterator[Snapshot]:
        """Yield the snapshots of some accounts, of those that have one; whether they can be read is not asked here."""
        return map(Snapshot._make, self._rows(self._SNAPSHOTS, (list(account_ids),)))

    _LAST_OF = statement("SELECT ROW FROM {events} WHERE originator_id = %s ORDER BY originator_version DESC LIMIT 1")

    def last_of(self, stream: str) -> Recorded | None:
        """Return the last event of a stream, if it has any."""
        events = self._events(self._LAST_OF, (stream,))
        return events[0] if events else None

    _LAST_VERSIONS = statement(
        "SELECT name, last.version FROM unnest(%s::text[]) AS name CROSS JOIN LATERAL ("
        "  SELECT originator_version AS version FROM {events} WHERE originator_id = name"
        "  ORDER BY originator_version DESC LIMIT 1) AS last"
    )

    def last_versions(self, streams: Iterable[str]) -> dict[str, int]:
        """Return the versions of the last events of some streams; those without an event are left out."""
        return dict(self._rows(self._LAST_VERSIONS, (list(streams),)))

    _VERSION = statement("SELECT ROW FROM {events} WHERE originator_id = %s AND originator_version = %s")

    def version(self, stream: str, version: int) -> Recorded:
        """Return an event of a stream by its version. Raises IndexError if there is none."""
        return self._events(self._VERSION, (stream, version))[0]

    _VERSIONS = statement(
        "SELECT ROW FROM {events} WHERE originator_id = %s AND originator_version >= %s"
        " ORDER BY originator_version LIMIT %s"
    )

    def versions(self, stream: str, first: int, limit: int) -> list[Recorded]:
        """Return events of a stream from a version on, at most `limit`."""
        return self._events(self._VERSIONS, (stream, first, limit))

    def ledger(self) -> list[Recorded]:
        """Return the stream that names the ledger and its writers."""
        return self.streams([LEDGER], POSITION_MAX)

    def ledger_id(self) -> str:
        """Return the name of the ledger; empty: its first term has not begun."""
        created = (recorded.event for recorded in self.ledger() if isinstance(recorded.event, LedgerCreated))
        return next((event.ledger_id for event in created), "")

    _RULEBOOK = statement(
        "SELECT ROW FROM {events} WHERE (originator_id = %s OR (originator_id >= %s AND originator_id < %s))"
        " AND notification_id <= %s ORDER BY notification_id"
    )

    def rulebook(self, until: int) -> list[Recorded]:
        """Return events of the registers and of every programme up to a position, in position order."""
        return self._events(self._RULEBOOK, (REGISTERS, PROGRAMME_PREFIX, end_of(PROGRAMME_PREFIX), until))

    _BELOW = statement(
        "SELECT ROW FROM {events} WHERE originator_id >= %s AND originator_id < %s AND notification_id <= %s"
        " ORDER BY notification_id"
    )

    def below(self, prefix: str, until: int) -> list[Recorded]:
        """Return events of the streams under a prefix such as `bounty/` up to a position, in position order."""
        return self._events(self._BELOW, (prefix, end_of(prefix), until))

    _REPRICINGS = statement(
        "SELECT ROW FROM {events} WHERE originator_id >= %s AND originator_id < %s AND notification_id <= %s"
        " AND topic <> 'RepriceAdvanced' ORDER BY notification_id"
    )

    def repricings(self, until: int) -> list[Recorded]:
        """Return the beginnings and ends of all repricings up to a position, in position order."""
        return self._events(self._REPRICINGS, (REPRICING_PREFIX, end_of(REPRICING_PREFIX), until))

    _LAST_BELOW = statement(
        f"WITH RECURSIVE {STREAMS}SELECT last.* FROM stream CROSS JOIN LATERAL ("
        "  SELECT ROW FROM {events} WHERE originator_id = stream.name"
        "  ORDER BY originator_version DESC LIMIT 1) AS last ORDER BY originator_id"
    )

    def last_below(self, prefix: str, until: int) -> list[Recorded]:
        """Return the last event up to a position of each stream under a prefix such as `source/`, by name."""
        lasts = self._events(self._LAST_BELOW, {"first": prefix, "end": end_of(prefix)})
        found = (last if last.position <= until else self._last_before(last, until) for last in lasts)
        return [recorded for recorded in found if recorded is not None]

    def _last_before(self, later: Recorded, until: int) -> Recorded | None:
        """Return the last event up to a position of a stream that has a later one. Versions rise with the position."""
        versions = range(1, later.version)
        place = bisect_right(versions, until, key=lambda version: self.version(later.stream, version).position)
        return self.version(later.stream, versions[place - 1]) if place else None

    # --- accounts

    _ACCOUNTS_BETWEEN = statement(
        "SELECT ROW FROM {events} WHERE originator_id >= %s AND originator_id <= %s AND notification_id <= %s"
        " ORDER BY originator_id, originator_version"
    )

    def accounts_between(self, first: str, last: str, until: int) -> list[Recorded]:
        """Return decisions on the accounts from one id to another, both included, up to a position: by account."""
        return self._events(self._ACCOUNTS_BETWEEN, (account_stream(first), account_stream(last), until))

    _ACCOUNT_EVENTS = statement(
        f"SELECT ROW FROM {{events}} WHERE originator_id >= '{account_stream('')}' AND originator_id <"
        f" '{end_of(account_stream(''))}' AND notification_id > %s AND notification_id <= %s AND topic = ANY("
    )

    def account_events(self, topics: Sequence[str], until: int, *, after: int = 0, naming: str = "") -> list[Recorded]:
        """Return decisions on accounts of some kinds at positions in (after, until] that name a text, in order.

        Kinds and text are part of the statement: PostgreSQL uses an index of some rows only where it knows these.
        """
        named = SQL(" AND position({} IN state) > 0").format(naming.encode()) if naming else SQL("")
        end = SQL("{}){} ORDER BY notification_id").format(list(topics), named).as_bytes().replace(b"%", b"%%")
        return self._events(self._ACCOUNT_EVENTS + end, (after, until))

    _OF_KINDS = statement(
        "SELECT ROW FROM {events} WHERE originator_id = ANY(%s) AND topic = ANY(%s) AND notification_id <= %s"
        " ORDER BY notification_id"
    )

    def events_of_kinds(self, names: Iterable[str], topics: Sequence[str], until: int) -> list[Recorded]:
        """Return events of some kinds of some streams up to a position, in position order."""
        return self._events(self._OF_KINDS, (list(names), list(topics), until))

    _HAS_ACCOUNT = statement(
        f"WITH RECURSIVE {STREAMS}"
        "SELECT EXISTS (SELECT 1 FROM {events}"
        "  WHERE originator_id = %(account)s AND originator_version = 1 AND notification_id <= %(until)s)"
        " OR EXISTS (SELECT 1 FROM stream CROSS JOIN LATERAL ("
        "  SELECT 1 FROM {events}"
        "  WHERE originator_id = stream.name AND originator_version <= %(until)s LIMIT 1) AS found)"
    )

    def has_account(self, account_id: str, until: int) -> bool:
        """Return whether any command or fill of an account was recorded up to a position."""
        first, end = fee_range(account_id)
        named = {"account": account_stream(account_id), "first": first, "end": end, "until": until}
        return bool(self._rows(self._HAS_ACCOUNT, named)[0][0])

    # One index seek for each account, whatever it has: '0' follows '/' in byte order.
    _ACCOUNTS_AFTER = statement(
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

    def accounts_after(self, account_id: str, size: int) -> Iterator[AccountsPage]:
        """Yield the ids after one of all accounts with a decision or a fill, in order, read as they are taken."""
        with self._cursor("accounts") as cursor:
            cursor.execute(self._ACCOUNTS_AFTER, (account_id,))
            while rows := cursor.fetchmany(size):
                yield AccountsPage(int(rows[0][1]), [row[0] for row in rows])

    # The order of fee streams: '-' comes before '/', so "a-b" comes before "a".
    _ACCOUNTS_WITH_FEES = statement(
        "WITH RECURSIVE trading(id) AS ("
        "  (SELECT split_part(originator_id, '/', 2) FROM {events} WHERE originator_id >= %(first)s"
        "     AND originator_id < %(end)s ORDER BY originator_id, originator_version LIMIT 1)"
        "  UNION ALL"
        "  SELECT (SELECT split_part(originator_id, '/', 2) FROM {events}"
        "     WHERE originator_id >= 'fees/' || trading.id || '0' AND originator_id < %(end)s"
        "     ORDER BY originator_id, originator_version LIMIT 1)"
        "  FROM trading WHERE trading.id IS NOT NULL"
        ") SELECT id, EXISTS (SELECT 1 FROM {events}"
        "  WHERE originator_id >= 'fees/' || id || '/' || %(day)s AND originator_id < 'fees/' || id || '0'"
        "  AND originator_version < %(before)s) FROM trading WHERE id IS NOT NULL LIMIT %(limit)s"
    )

    def accounts_with_fees(
        self, after: str, until: str, first_day: int, before: int, limit: int = ACCOUNTS_AT_ONCE
    ) -> list[tuple[str, bool]]:
        """Return accounts after one (empty: from the first) up to another one (empty: to the last), at most so many.

        They come in the order of their fee streams, each with whether it has fills on a UTC day or a later one that
        were recorded before a position.
        """
        named = {
            "first": end_of(fee_range(after)[0]) if after else FEES_PREFIX,
            "end": end_of(fee_range(until)[0]) if until else end_of(FEES_PREFIX),
            "day": day_text(first_day),
            "before": before,
            "limit": limit,
        }
        return [(name, trades) for name, trades in self._rows(self._ACCOUNTS_WITH_FEES, named)]

    def accounts_trading(self, after: str, until: str, first_day: int, before: int, limit: int) -> list[str]:
        """Return those accounts of a span that have such fills, at most so many; the others are passed over."""
        found = list[str]()
        while len(found) < limit:
            some = self.accounts_with_fees(after, until, first_day, before)
            found += (name for name, trades in some if trades)
            if len(some) < ACCOUNTS_AT_ONCE:
                break
            after, _ = some[-1]
        return found[:limit]

    # --- requests

    _REQUESTS = statement("SELECT request_id, sha256, position FROM {schema}.requests WHERE request_id = ANY(%s)")

    def requests(self, request_ids: Iterable[str]) -> dict[str, KnownRequest]:
        """Return those of the requests that were recorded."""
        rows = self._rows(self._REQUESTS, (list(request_ids),))
        return {request_id: KnownRequest(bytes(sha256), position) for request_id, sha256, position in rows}

    _FIRST_EVENTS_OF_REQUESTS = statement(
        "SELECT event.* FROM {schema}.requests AS request CROSS JOIN LATERAL ("
        "  SELECT ROW FROM {events} WHERE notification_id = request.position OFFSET 0) AS event"  # one by one
        " WHERE request.position > %s AND request.position <= %s AND position(%s::bytea IN state) > 0"
        " ORDER BY request.position LIMIT %s"
    )

    def first_events_of_requests(self, after: int, until: int, limit: int, *, naming: str = "") -> list[Recorded]:
        """Return the first event of each request at a position in (after, until] that names a text, in order."""
        return self._events(self._FIRST_EVENTS_OF_REQUESTS, (after, until, naming.encode(), limit))

    # --- positions

    _LAST_EVENTS_BETWEEN = statement(
        "SELECT max(notification_id) AS position, originator_id FROM {events}"
        " WHERE notification_id > %s AND notification_id <= %s GROUP BY originator_id ORDER BY position"
    )

    def last_events_between(self, after: int, until: int) -> list[LastEvent]:
        """Return the last event of each stream with one at a position in (after, until], in order of positions."""
        return [LastEvent(*row) for row in self._rows(self._LAST_EVENTS_BETWEEN, (after, until))]

    _DECISIONS_BETWEEN = statement(
        "SELECT ROW FROM {events} WHERE notification_id > %s AND notification_id <= %s"
        " AND topic <> ALL ('{{VolumeRecorded,FeeAdjusted,FeeCredited,CreditWithdrawn}}') ORDER BY notification_id"
    )

    def decisions_between(self, after: int, until: int) -> list[Recorded]:
        """Return all events but those of fee streams at positions in (after, until], in order."""
        return self._events(self._DECISIONS_BETWEEN, (after, until))

    _STORED = statement(
        "SELECT ROW FROM {events} WHERE notification_id > %s AND notification_id <= %s"
        " ORDER BY notification_id LIMIT %s"
    )
    _STORED_OF_STREAM = statement(
        "SELECT ROW FROM {events} WHERE originator_id = %s AND notification_id > %s AND notification_id <= %s"
        " ORDER BY originator_version LIMIT %s"
    )

    def stored(self, stream: str, after: int, until: int, limit: int) -> list[StoredRow]:
        """Return rows as they are stored at positions in (after, until], of one stream or of all, in order."""
        if stream:
            rows = self._rows(self._STORED_OF_STREAM, (stream, after, until, limit))
        else:
            rows = self._rows(self._STORED, (after, until, limit))
        return [StoredRow(*row) for row in rows]

    _ROWS_BETWEEN = statement(
        "SELECT ROW, time_min_ns, time_max_ns, time_max_so_far_ns FROM {events}"
        " WHERE notification_id > %s AND notification_id <= %s ORDER BY notification_id"
    )

    def rows_between(self, after: int, until: int, size: int) -> Iterator[list[Row]]:
        """Yield rows with their times as stored at positions in (after, until], in order, read as they are taken."""
        with self._cursor("rows") as cursor:
            cursor.execute(self._ROWS_BETWEEN, (after, until))
            while rows := cursor.fetchmany(size):
                yield rows

    # --- statements of others

    def query(self, statement: Composed | SQL, parameters: dict[str, Any]) -> list[Row]:
        """Return the rows of a statement of the read side's own, which is planned for these parameters each time."""
        return self._rows(statement, parameters, prepare=False)

    def rows_of(self, statement: Composed | SQL, parameters: dict[str, Any]) -> Iterator[Row]:
        """Yield the rows of such a statement, read as they are taken: there may be any number."""
        with self._cursor("rows of") as cursor:
            cursor.execute(statement, parameters)
            while rows := cursor.fetchmany(ROWS_AT_ONCE):
                yield from rows
