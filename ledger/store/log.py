"""Reading the log up to a position: its commits, its streams, its requests, its rows as they are stored."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

from psycopg.sql import SQL, Composed

from ledger.domain.events import POSITION_MAX, LedgerCreated, Recorded
from ledger.domain.streams import (
    LEDGER,
    PROGRAMME_PREFIX,
    REGISTERS,
    REPRICING_PREFIX,
    account_stream,
    end_of,
    is_fee_stream,
)
from ledger.store.codec.account_snapshots import Snapshot
from ledger.store.codec.compression import plain_rows
from ledger.store.digest import events_digest
from ledger.store.fee_streams import FeeStreams, days_of
from ledger.store.reads import ROWS_AT_ONCE, STREAMS, Row, statement

ACCOUNTS_AT_ONCE: Final = 100  # that are looked for
_REQUESTS_AT_ONCE: Final = 20_000  # whose first events are looked through for a text: some 10 ms


class Head(NamedTuple):
    """The last event of a prefix of the log, and when its commit was recorded; (0, 0) before the first."""

    position: int
    recorded_time_ns: int


class StoredRow(NamedTuple):
    """An event with the bytes that it had when it was recorded; `codec.decode` takes these fields in this order."""

    position: int
    stream: str
    version: int
    topic: str
    state: bytes


class LastEvent(NamedTuple):
    """Position of the last event of a stream, and the stream's name."""

    position: int
    stream: str


class FirstEvaluation(NamedTuple):
    """A VolumeEvaluated that is the first event of its account, as it is stored."""

    position: int
    stream: str
    state: bytes


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
        "SELECT ROW FROM {events} WHERE {not_fees} AND originator_id = ANY(%s) AND notification_id <= %s"
        " ORDER BY notification_id"
    )

    def streams(self, names: Iterable[str], until: int) -> list[Recorded]:
        """Return events of some streams up to a position, in position order."""
        fees, others = list[str](), list[str]()
        for name in names:
            (fees if is_fee_stream(name) else others).append(name)
        found = self._events(self._STREAMS, (others, until)) if others or not fees else []
        if fees:
            found += self.fees_of(fees, until)
            found.sort(key=lambda recorded: recorded.position)
        return found

    _SNAPSHOTS = statement(
        "SELECT account_id, version, encoding, state, sha256 FROM {schema}.account_snapshots WHERE account_id = ANY(%s)"
    )

    def snapshots(self, account_ids: Iterable[str]) -> Iterator[Snapshot]:
        """Yield the snapshots of some accounts, of those that have one; whether they can be read is not asked here."""
        return map(Snapshot._make, self._rows(self._SNAPSHOTS, (list(account_ids),)))

    _LAST_OF = statement(
        "SELECT ROW FROM {events} WHERE {not_fees} AND originator_id = %s ORDER BY originator_version DESC LIMIT 1"
    )

    def last_of(self, stream: str) -> Recorded | None:
        """Return the last event of a stream, if it has any."""
        if is_fee_stream(stream):
            return self.last_of_day(stream, POSITION_MAX)
        events = self._events(self._LAST_OF, (stream,))
        return events[0] if events else None

    _LAST_VERSIONS = statement(
        "SELECT name, last.version FROM unnest(%s::text[]) AS name CROSS JOIN LATERAL ("
        "  SELECT originator_version AS version FROM {events} WHERE {not_fees} AND originator_id = name"
        "  ORDER BY originator_version DESC LIMIT 1) AS last"
    )

    def last_versions(self, streams: Iterable[str]) -> dict[str, int]:
        """Return the versions of the last events of some streams, of which none is a fee stream, if they have any."""
        return dict(self._rows(self._LAST_VERSIONS, (list(streams),)))

    _LAST_VERSIONS_OF_ACCOUNTS = statement(
        "SELECT {account}, max(originator_version) FROM {events} WHERE {not_fees} AND originator_id >= %s"
        " AND originator_id <= %s GROUP BY originator_id"
    )

    def last_versions_of_accounts(self, first: str, last: str) -> dict[str, int]:
        """Return the version of the last decision on each account from one id to another that has any."""
        return dict(self._rows(self._LAST_VERSIONS_OF_ACCOUNTS, (account_stream(first), account_stream(last))))

    _VERSION = statement("SELECT ROW FROM {events} WHERE {not_fees} AND originator_id = %s AND originator_version = %s")

    def version(self, stream: str, version: int) -> Recorded:
        """Return an event of a stream other than a fee stream by its version. Raises IndexError if there is none."""
        return self._events(self._VERSION, (stream, version))[0]

    _VERSIONS = statement(
        "SELECT ROW FROM {events} WHERE {not_fees} AND originator_id = %s AND originator_version >= %s"
        " ORDER BY originator_version LIMIT %s"
    )

    def versions(self, stream: str, first: int, limit: int) -> list[Recorded]:
        """Return events of a stream other than a fee stream from a version on, at most `limit`."""
        return self._events(self._VERSIONS, (stream, first, limit))

    _STREAM_FROM = statement(
        "SELECT ROW FROM {events} WHERE {not_fees} AND originator_id = %s AND originator_version >= %s"
        " AND notification_id <= %s ORDER BY originator_version"
    )

    def stream_from(self, stream: str, first: int, until: int) -> list[Recorded]:
        """Return events of a stream other than a fee stream from a version on, up to a position, in order."""
        return self._events(self._STREAM_FROM, (stream, first, until))

    def ledger(self) -> list[Recorded]:
        """Return the stream that names the ledger and its writers."""
        return self.streams([LEDGER], POSITION_MAX)

    def ledger_id(self) -> str:
        """Return the name of the ledger; empty: its first term has not begun."""
        created = (recorded.event for recorded in self.ledger() if isinstance(recorded.event, LedgerCreated))
        return next((event.ledger_id for event in created), "")

    _RULEBOOK = statement(
        "SELECT ROW FROM {events} WHERE {not_fees} AND originator_id = %(registers)s AND notification_id <= %(until)s"
        " UNION ALL SELECT ROW FROM {events} WHERE {not_fees} AND notification_id <= %(until)s"
        " AND originator_id >= %(first)s AND originator_id < %(end)s ORDER BY notification_id"
    )

    def rulebook(self, until: int) -> list[Recorded]:
        """Return events of the registers and of every programme up to a position, in position order."""
        programmes = {"first": PROGRAMME_PREFIX, "end": end_of(PROGRAMME_PREFIX)}
        return self._events(self._RULEBOOK, {"registers": REGISTERS, **programmes, "until": until})

    _BELOW = statement(
        "SELECT ROW FROM {events} WHERE {not_fees} AND originator_id >= %s AND originator_id < %s"
        " AND notification_id <= %s ORDER BY notification_id"
    )

    def below(self, prefix: str, until: int) -> list[Recorded]:
        """Return events of the streams under a prefix such as `bounty/` up to a position, in position order."""
        return self._events(self._BELOW, (prefix, end_of(prefix), until))

    _REPRICINGS = statement(
        "SELECT ROW FROM {events} WHERE {not_fees} AND originator_id >= %s AND originator_id < %s"
        " AND notification_id <= %s AND topic <> 'RepriceAdvanced' ORDER BY notification_id"
    )

    def repricings(self, until: int) -> list[Recorded]:
        """Return the beginnings and ends of all repricings up to a position, in position order."""
        return self._events(self._REPRICINGS, (REPRICING_PREFIX, end_of(REPRICING_PREFIX), until))

    _LAST_BELOW = statement(
        f"WITH RECURSIVE {STREAMS}SELECT last.* FROM stream CROSS JOIN LATERAL ("
        "  SELECT ROW FROM {events} WHERE {not_fees} AND originator_id = stream.name"
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
        "SELECT ROW FROM {events} WHERE {not_fees} AND originator_id >= %s AND originator_id <= %s"
        " AND notification_id <= %s ORDER BY originator_id, originator_version"
    )

    def accounts_between(self, first: str, last: str, until: int) -> list[Recorded]:
        """Return decisions on the accounts from one id to another, both included, up to a position: by account."""
        return self._events(self._ACCOUNTS_BETWEEN, (account_stream(first), account_stream(last), until))

    _ACCOUNT_EVENTS = statement(
        f"SELECT ROW FROM {{events}} WHERE {{not_fees}} AND originator_id >= '{account_stream('')}' AND originator_id <"
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
        "SELECT ROW FROM {events} WHERE {not_fees} AND originator_id = ANY(%s) AND topic = ANY(%s)"
        " AND notification_id <= %s ORDER BY notification_id"
    )

    def events_of_kinds(self, names: Iterable[str], topics: Sequence[str], until: int) -> list[Recorded]:
        """Return events of some kinds of some streams, none a fee stream, up to a position, in position order."""
        return self._events(self._OF_KINDS, (list(names), list(topics), until))

    _KNOWN_ACCOUNTS = statement(
        "SELECT id FROM unnest(%(accounts)s::text[]) AS id WHERE (SELECT true FROM {events}"
        "  WHERE {not_fees} AND originator_id = 'account/' || id AND originator_version = 1"
        "  AND notification_id <= %(until)s LIMIT 1)"  # EXISTS might look at every account once, for the few of these
        f" OR EXISTS ({days_of('ARRAY[id]', first='0')}SELECT 1 FROM traded WHERE since <= %(until)s)"
    )

    def known_accounts(self, account_ids: Iterable[str], until: int) -> set[str]:
        """Return those of some accounts of which any command or fill was recorded up to a position."""
        rows = self._rows(self._KNOWN_ACCOUNTS, {"accounts": list(account_ids), "until": until})
        return {account_id for (account_id,) in rows}

    def has_account(self, account_id: str, until: int) -> bool:
        """Return whether any command or fill of an account was recorded up to a position."""
        return bool(self.known_accounts([account_id], until))

    _ACCOUNTS_AFTER = statement(
        "SELECT id, count(*) OVER () FROM ("
        "  SELECT {account} AS id FROM {events} WHERE {fees}"
        "  UNION SELECT {account} FROM {events}"
        "  WHERE {not_fees} AND originator_id >= 'account/' AND originator_id < 'account0'"
        ') AS account WHERE id COLLATE "C" > %s ORDER BY id COLLATE "C"'
    )

    def accounts_after(self, account_id: str, size: int) -> Iterator[AccountsPage]:
        """Yield the ids after one of all accounts with a decision or a fill, in order, read as they are taken.

        All events are looked at for it, once.
        """
        with self._cursor("accounts") as cursor:
            cursor.execute(self._ACCOUNTS_AFTER, (account_id,))
            while rows := cursor.fetchmany(size):
                yield AccountsPage(int(rows[0][1]), [row[0] for row in rows])

    _ACCOUNTS_WITH_SEVERAL = statement(
        f"SELECT substr(originator_id, {len(account_stream('')) + 1}) FROM {{events}}"
        f" WHERE {{not_fees}} AND originator_id >= '{account_stream('')}'"
        f" AND originator_id < '{end_of(account_stream(''))}' AND topic = ANY(%s) AND notification_id <= %s"
        " GROUP BY originator_id HAVING count(*) > 1"
    )

    def accounts_with_several(self, topics: Sequence[str], until: int) -> list[str]:
        """Return the accounts with several events of some kinds up to a position, whatever it is that they say."""
        return [name for (name,) in self._rows(self._ACCOUNTS_WITH_SEVERAL, (list(topics), until))]

    # The next account is the first one after the last that any of the days has: a seek for each day.
    _NEXT = (
        "SELECT next.id, bool_or(next.since < %(before)s) AS trades FROM day CROSS JOIN LATERAL ("
        "  SELECT {account} AS id, originator_version AS since FROM {events}"
        "  WHERE {day} = day.number AND {account} > LAST"
        "  ORDER BY {account}, originator_version LIMIT 1) AS next GROUP BY next.id ORDER BY next.id LIMIT 1"
    )
    _ACCOUNTS_WITH_FEES = statement(
        "WITH RECURSIVE day(number) AS ("
        "  (SELECT {day} FROM {events} WHERE {fees} AND {day} >= %(day)s"
        "     ORDER BY {day}, {account}, originator_version LIMIT 1)"
        "  UNION ALL"
        "  SELECT next.* FROM day CROSS JOIN LATERAL ("
        "     SELECT {day} FROM {events} WHERE {fees} AND {day} > day.number"
        "     ORDER BY {day}, {account}, originator_version LIMIT 1) AS next"
        "), trading(id, trades) AS ("
        f"  ({_NEXT.replace('LAST', '%(after)s')})"
        "  UNION ALL"
        f"  SELECT following.* FROM trading CROSS JOIN LATERAL ({_NEXT.replace('LAST', 'trading.id')}) AS following"
        "  WHERE %(until)s = '' OR trading.id < %(until)s"
        ") SELECT id, trades FROM trading WHERE %(until)s = '' OR id <= %(until)s LIMIT %(limit)s"
    )

    def accounts_with_fees(
        self, after: str, until: str, first_day: int, before: int, limit: int = ACCOUNTS_AT_ONCE
    ) -> list[tuple[str, bool]]:
        """Return accounts with fills on a UTC day or later, each with whether any were recorded before a position.

        They come in the order of their ids, from after one (empty: from the first) up to another one (empty: to the
        last), at most so many.
        """
        named = {"after": after, "until": until, "day": first_day, "before": before, "limit": limit}
        return [(name, trades) for name, trades in self._rows(self._ACCOUNTS_WITH_FEES, named)]

    def accounts_trading(self, after: str, until: str, first_day: int, before: int, limit: int) -> list[str]:
        """Return those accounts of a span that have such fills, at most so many; the others are passed over."""
        found = list[str]()
        while len(found) < limit:
            size = min(limit - len(found), ACCOUNTS_AT_ONCE)
            some = self.accounts_with_fees(after, until, first_day, before, size)
            found += (name for name, trades in some if trades)
            if len(some) < size:
                break
            after, _ = some[-1]
        return found

    # --- requests

    _REQUESTS = statement("SELECT request_id, sha256, position FROM {schema}.requests WHERE request_id = ANY(%s)")

    def requests(self, request_ids: Iterable[str]) -> dict[str, KnownRequest]:
        """Return those of the requests that were recorded."""
        rows = self._rows(self._REQUESTS, (list(request_ids),))
        return {request_id: KnownRequest(bytes(sha256), position) for request_id, sha256, position in rows}

    _LAST_OF_REQUESTS = statement(
        "SELECT max(position) FROM (SELECT position FROM {schema}.requests WHERE position > %s AND position <= %s"
        " ORDER BY position LIMIT %s) AS request"
    )
    # An array has PostgreSQL go along the index once: a join looks each position up by itself.
    _FIRST_EVENTS_OF_REQUESTS = statement(
        "SELECT ROW FROM {events} WHERE notification_id = ANY(ARRAY("
        "  SELECT position FROM {schema}.requests WHERE position > %s AND position <= %s))"
        " AND position(%s::bytea IN state) > 0 ORDER BY notification_id LIMIT %s"
    )

    def first_events_of_requests(self, after: int, until: int, limit: int, *, naming: str = "") -> list[Recorded]:
        """Return the first event of each request at a position in (after, until] that names a text, in order.

        At most so many; those of many requests are looked at at once where few may name it.
        """
        found, at_once = list[Recorded](), _REQUESTS_AT_ONCE if naming else limit
        while len(found) < limit:
            ((last,),) = self._rows(self._LAST_OF_REQUESTS, (after, until, at_once))
            if last is None:
                break
            asked = (after, last, naming.encode(), limit - len(found))
            found += self._events(self._FIRST_EVENTS_OF_REQUESTS, asked)
            after = last
        return found

    # --- positions

    _LAST_EVENTS_BETWEEN = statement(
        "SELECT max(notification_id) AS position, originator_id FROM {events}"
        " WHERE notification_id > %s AND notification_id <= %s GROUP BY originator_id ORDER BY position"
    )

    def last_events_between(self, after: int, until: int) -> list[LastEvent]:
        """Return the last event of each stream with one at a position in (after, until], in order of positions."""
        return [LastEvent(*row) for row in self._rows(self._LAST_EVENTS_BETWEEN, (after, until))]

    _FIRST_EVALUATIONS = statement(
        "SELECT notification_id, originator_id, state FROM {events}"
        " WHERE notification_id > %s AND notification_id <= %s"
        " AND topic = 'VolumeEvaluated' AND originator_version = 1 ORDER BY notification_id"
    )

    def first_evaluations(self, after: int, until: int, size: int) -> Iterator[list[FirstEvaluation]]:
        """Yield evaluations that are the first events of their accounts at positions in (after, until], in order."""
        with self._cursor("first evaluations") as cursor:
            cursor.execute(self._FIRST_EVALUATIONS, (after, until))
            while rows := cursor.fetchmany(size):
                yield list(map(FirstEvaluation._make, rows))

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
        "SELECT ROW FROM {events} WHERE {not_fees} AND originator_id = %s AND notification_id > %s"
        " AND notification_id <= %s ORDER BY originator_version LIMIT %s"
    )

    def stored(self, stream: str, after: int, until: int, limit: int) -> list[StoredRow]:
        """Return rows at positions in (after, until], of one stream or of all, in order."""
        if is_fee_stream(stream):
            rows = self._rows_of_day(stream, after, until, limit)
        elif stream:
            rows = self._rows(self._STORED_OF_STREAM, (stream, after, until, limit))
        else:
            rows = self._rows(self._STORED, (after, until, limit))
        return [StoredRow(*row) for row in plain_rows(rows)]

    _ROWS_BETWEEN = statement(
        "SELECT ROW, time_min_ns, time_max_ns, time_max_so_far_ns FROM {events}"
        " WHERE notification_id > %s AND notification_id <= %s ORDER BY notification_id"
    )

    def rows_between(self, after: int, until: int, size: int) -> Iterator[list[Row]]:
        """Yield rows with their times at positions in (after, until], in order, read as they are taken.

        A run whose bytes are damaged comes as it is stored.
        """
        with self._cursor("rows") as cursor:
            cursor.execute(self._ROWS_BETWEEN, (after, until))
            while rows := cursor.fetchmany(size):
                yield list(plain_rows(rows, if_whole=True))

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
