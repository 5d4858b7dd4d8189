"""Reading fee streams: runs of fills, adjustments of their fees, and the running totals of account-days.

In fee streams versions are positions, so the index finds the last event up to a position by one seek; nowhere else. It
has the UTC day first, so the days of an account are found by asking each day that the log has.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np

from ledger.arrays.columns import Ints
from ledger.domain.events import POSITION_MAX, CellTotals, FeeEvent, Recorded, VolumeRecorded
from ledger.domain.instants import DAY_NS
from ledger.domain.streams import DayKey, account_and_day, day_key
from ledger.store.codec.compression import AS_IT_IS, plain_rows
from ledger.store.codec.events import decode
from ledger.store.codec.fills import exec_id_digests
from ledger.store.codec.run_front import adjusted_totals_in, totals_in
from ledger.store.codec.run_layout import CHARGED_TAGS
from ledger.store.reads import BYTES_AT_ONCE, ROWS_AT_ONCE, Reads, Row, statement

_FRONTS: Final = {"VolumeRecorded": totals_in, "FeeAdjusted": adjusted_totals_in}
_STREAMS_AT_ONCE: Final = 1_000  # whose events are in memory at once
_RUNS_FIRST: Final = 4  # that are read before their size is known
_NAMING_FIRST: Final = 32  # of a day in which something is looked for: most days have no more
_POSITIONS_AT_ONCE: Final = 10_000
_END_DAY: Final = 2**31 - 1  # after every day
_IS_PLAIN: Final = f"substring(state FROM 1 FOR 1) = '\\x{AS_IT_IS.hex()}'::bytea"
# To look for tags in the bytes takes a small part of what it takes to send and read them: 0.2 s for 1,000,000 fills. A
# compressed run has a bit for them. Other runs may look like that; none that says it is missed.
_SAYS_CHARGED: Final = (
    f"CASE WHEN {_IS_PLAIN} THEN "
    + " OR ".join(
        " AND ".join(f"position('\\x{tag.hex()}'::bytea IN state) > 0" for tag in tags) for tags in CHARGED_TAGS
    )
    + " ELSE get_byte(substring(state FROM 2 FOR 1) || '\\x00'::bytea, 0) & 1 = 1 END"
)
_NO_IDS: Final = np.zeros(0, dtype=np.uint64)  # of a day with credits alone
_NO_POSITIONS: Final = np.zeros(0, dtype=np.int64)

_OF_DAY: Final = "{account} = %s AND {day} = %s"  # a `DayKey`
_OF_WANTED: Final = "{day} = wanted.day AND {account} = wanted.account"
_IN_ORDER: Final = "{day}, {account}, originator_version"  # of the index


def days_of(accounts: str, *, first: str, end: str = "2147483647") -> str:
    """Return the beginning of a statement: `traded` are the days in [first, end) on which some accounts have an event.

    Its columns are day, account and `since`, the position of the first event. `accounts` are an array in byte order.
    Each step is one seek in the index, to the first entry at or after a day and an account. Where that leads to one of
    the accounts it is told. Then comes the next of them, and after the last the next day. So days on which nobody
    trades cost nothing, and on all others an account that does not trade costs one step.
    """
    entry = "SELECT {day} AS day, {account} AS account, originator_version AS since FROM {events}"
    place = f"(SELECT *, width_bucket(account, {accounts}) AS place FROM entry) AS last"
    begin = f"last.day + last.place / cardinality({accounts}), ({accounts})[last.place %% cardinality({accounts}) + 1]"
    within = f"{{fees}} AND {{day}} < {end} AND ({{day}}, {{account}}) >="
    return (
        f"WITH RECURSIVE entry AS (({entry} WHERE {within} ({first}, ({accounts})[1]) ORDER BY {_IN_ORDER} LIMIT 1)"
        f" UNION ALL SELECT next.* FROM {place} CROSS JOIN LATERAL"
        f" ({entry} WHERE {within} ({begin}) ORDER BY {_IN_ORDER} LIMIT 1) AS next), traded AS ("
        f"SELECT * FROM entry WHERE account = ({accounts})[width_bucket(account, {accounts})]) "
    )


class DayTotals(NamedTuple):
    """Running totals of an account-day (YYYY-MM-DD) after the event at a position."""

    account_id: str
    day: str
    position: int
    totals: tuple[CellTotals, ...]


class DayCut(NamedTuple):
    """An account-day up to an instant inside it: running totals, and the events after them that count in part.

    `totals` hold lines before the instant only. Lines of `events` may lie on either side of it. `moved` has the totals
    of the day before and after each later adjustment whose lines all lie before the instant.
    """

    totals: tuple[CellTotals, ...]
    moved: list[tuple[tuple[CellTotals, ...], tuple[CellTotals, ...]]]
    events: list[Recorded]


@dataclass(frozen=True, slots=True)
class FeeDay:
    """One fee stream: the digests of its exec_ids, the position of the run that has each, and its last event."""

    digests: Ints
    positions: Ints
    last: Recorded


class FeeStreams(Reads):
    """Reads the fee streams of one ledger."""

    # LIMIT keeps each of these a seek in the index, whatever the planner takes the tables to be.
    _RUNS_SINCE = statement(
        "SELECT run.* FROM unnest(%s::text[], %s::int[], %s::bigint[]) AS wanted(account, day, place)"
        f" CROSS JOIN LATERAL (SELECT ROW FROM {{events}} WHERE {_OF_WANTED} AND originator_version >= wanted.place"
        "  AND topic = 'VolumeRecorded' ORDER BY originator_version LIMIT 1) AS run"
    )

    def runs_since(self, wanted: Iterable[tuple[str, int]]) -> Iterator[Recorded]:
        """Yield the first run of each (fee stream, position) at that position or after it, a few in memory at once."""
        streams, positions = zip(*wanted, strict=True)
        return self._runs(self._RUNS_SINCE, (*_columns(streams), list(positions)))

    _RUNS_BETWEEN = statement(
        f"SELECT ROW FROM {{events}} WHERE {_OF_DAY} AND originator_version >= %s AND originator_version < %s"
        " AND topic = 'VolumeRecorded' ORDER BY originator_version LIMIT %s"
    )

    def runs_between(self, stream: str, first: int, end: int, *, at_once: bool = False) -> Iterator[Recorded]:
        """Yield the runs of a fee stream at positions in [first, end), in order, a few in memory at once.

        Whoever takes only some of them leaves nothing open: each few are a query of their own. `at_once` says that they
        are small: the first query then brings up to ROWS_AT_ONCE.
        """
        limit = ROWS_AT_ONCE if at_once else _RUNS_FIRST
        key = day_key(stream)
        while rows := self._rows(self._RUNS_BETWEEN, (*key, first, end, limit)):
            yield from (decode(*row) for row in plain_rows(rows))
            if len(rows) < limit:
                return
            first = rows[-1][0] + 1
            limit = min(max(BYTES_AT_ONCE // max(len(row[4]) for row in rows), 1), ROWS_AT_ONCE)

    _RUNS_OF_COMMITS = statement(
        "SELECT run.* FROM unnest(%s::text[], %s::int[], %s::bigint[]) AS wanted(account, day, place)"
        " CROSS JOIN LATERAL ("
        "  SELECT first_position, last_position FROM {schema}.commits WHERE last_position >= wanted.place"
        "  ORDER BY last_position LIMIT 1) AS made CROSS JOIN LATERAL ("
        f"  SELECT ROW FROM {{events}} WHERE {_OF_WANTED} AND topic = 'VolumeRecorded'"
        "  AND originator_version BETWEEN made.first_position AND made.last_position"
        "  ORDER BY originator_version {one_by_one}) AS run"
    )

    def runs_of_commits(self, wanted: Iterable[tuple[str, int]]) -> Iterator[Recorded]:
        """Yield the runs of each (fee stream, position) in the commit of that position, a few in memory at once."""
        streams, positions = zip(*wanted, strict=True)
        return self._runs(self._RUNS_OF_COMMITS, (*_columns(streams), list(positions)))

    _EVENTS_OF = (
        "SELECT event.* FROM unnest(%s::text[], %s::int[]) AS wanted(account, day) CROSS JOIN LATERAL ("
        f"  SELECT ROW FROM {{events}} WHERE {_OF_WANTED} AND originator_version > %s AND originator_version <= %s"
        "  ORDER BY originator_version {one_by_one}) AS event"
    )
    _RUNS_OF = statement(_EVENTS_OF.replace("ORDER", "AND topic = 'VolumeRecorded' ORDER"))

    def runs_of(self, streams: Iterable[str]) -> Iterator[Recorded]:
        """Yield every run of some fee streams, a few in memory at once."""
        return self._runs(self._RUNS_OF, (*_columns(streams), 0, POSITION_MAX))

    def _runs(self, statement: bytes, parameters: Sequence[Any]) -> Iterator[Recorded]:
        return (decode(*row) for row in self._taken("runs", statement, parameters))

    _ADJUSTMENTS_OF = statement(
        _EVENTS_OF.replace("ORDER", "AND topic = 'FeeAdjusted' ORDER") + " ORDER BY originator_version"
    )

    def adjustments_of(self, streams: Iterable[str], after: int, until: int = POSITION_MAX) -> list[Recorded]:
        """Return what corrects fees of some fee streams at positions in (after, until], in order."""
        return self._events(self._ADJUSTMENTS_OF, (*_columns(streams), after, until))

    _FEES_OF = statement(_EVENTS_OF)

    def fees_of(self, streams: Iterable[str], until: int) -> list[Recorded]:
        """Return events of some fee streams up to a position, stream by stream."""
        return self._events(self._FEES_OF, (*_columns(streams), 0, until))

    _ROWS_OF_DAY = statement(
        f"SELECT ROW FROM {{events}} WHERE {_OF_DAY} AND originator_version > %s AND originator_version <= %s"
        " ORDER BY originator_version LIMIT %s"
    )

    def _rows_of_day(self, stream: str, after: int, until: int, limit: int) -> list[Row]:
        """Return rows of a fee stream; of one whose name is that of no account-day, none."""
        try:
            key = day_key(stream)
        except ValueError:
            return []
        return self._rows(self._ROWS_OF_DAY, (*key, after, until, limit))

    _LAST_OF_DAY = statement(
        f"SELECT ROW FROM {{events}} WHERE {_OF_DAY} AND originator_version <= %s"
        " ORDER BY originator_version DESC LIMIT 1"
    )

    def last_of_day(self, stream: str, until: int) -> Recorded | None:
        """Return the last event up to a position of a fee stream, if it has any."""
        return next(iter(self._events(self._LAST_OF_DAY, (*day_key(stream), until))), None)

    _CREDITS_WITH = statement(
        "SELECT event.* FROM (SELECT {day} AS day, {account} AS account FROM {events}"
        "  WHERE notification_id = %s AND topic = 'FeeCredited' LIMIT 1) AS wanted CROSS JOIN LATERAL ("
        f"  SELECT ROW FROM {{events}} WHERE {_OF_WANTED} AND originator_version >= %s"
        "  AND topic = ANY('{{FeeCredited,CreditWithdrawn}}') ORDER BY originator_version {one_by_one}) AS event"
        " ORDER BY originator_version"
    )

    def credits_with(self, position: int) -> list[Recorded]:
        """Return the credit at a position, if there is one, then later credits and withdrawals of its account-day."""
        return self._events(self._CREDITS_WITH, (position, position)) if position <= POSITION_MAX else []

    _EXISTING = statement(
        "SELECT first.* FROM unnest(%s::text[], %s::int[]) AS wanted(account, day) CROSS JOIN LATERAL ("
        f"  SELECT originator_id FROM {{events}} WHERE {_OF_WANTED} ORDER BY originator_version LIMIT 1) AS first"
    )

    def existing(self, streams: Iterable[str]) -> set[str]:
        """Return those of some fee streams that have an event."""
        return {row[0] for row in self._rows(self._EXISTING, _columns(streams))}

    _DAYS_WITH_FEES = statement(
        "SELECT day FROM unnest(%s::int[]) AS day"
        " WHERE EXISTS (SELECT 1 FROM {events} WHERE {fees} AND {day} = day ORDER BY {account} {one_by_one})"
    )

    def days_with_fees(self, days: Iterable[int]) -> set[int]:
        """Return those of some UTC days on which any account has a fee event."""
        return {day for (day,) in self._rows(self._DAYS_WITH_FEES, (list(days),))}

    def accounts_and_days(
        self, accounts: Mapping[str, int], days: Iterable[str], take: Callable[[list[Recorded]], None]
    ) -> dict[str, FeeDay]:
        """Return those of some fee streams that exist; `take` gets the events of each account stream after a version.

        All of it may be larger than memory allows. So accounts come one after the other, if they have such events, and
        fee streams are read in pieces, of which the digests are kept.
        """
        stream: list[Recorded] = []  # of one account, as far as it was read
        for rows in self._pieces(self._PIECE, [((name,), version) for name, version in accounts.items()]):
            for recorded in (decode(*row) for row in rows):
                if stream and stream[-1].stream != recorded.stream:
                    take(stream)
                    stream = []
                stream.append(recorded)
        if stream:
            take(stream)
        return self._days(days)

    def _days(self, days: Iterable[str]) -> dict[str, FeeDay]:
        digests: dict[str, list[Ints]] = {}
        positions: dict[str, list[Ints]] = {}
        last: dict[str, Row] = {}
        keys = sorted((day, account_id) for account_id, day in map(day_key, set(days)))
        for rows in self._pieces(self._PIECE_OF_DAYS, [((name, day), 0) for day, name in keys]):
            runs = [row for row in rows if row[3] == "VolumeRecorded"]
            for row, of_run in zip(runs, exec_id_digests([row[4] for row in runs]), strict=True):
                digests.setdefault(row[1], []).append(of_run)
                positions.setdefault(row[1], []).append(np.full(len(of_run), row[0]))
            last.update((row[1], row) for row in rows)
        found = {}
        for name, row in last.items():
            ids, places = digests.get(name, [_NO_IDS]), positions.get(name, [_NO_POSITIONS])
            found[name] = FeeDay(np.concatenate(ids), np.concatenate(places), decode(*row))
        return found

    # The size of a state is known without reading it; whether another event comes after it is asked with the last.
    _ANY_PIECE = (
        "SELECT ROW, number, more FROM ("
        "  SELECT event.*, number, sum(octet_length(state)) OVER streams - octet_length(state) AS before,"
        "  lead(true, 1, false) OVER streams AS more"
        "  FROM unnest(WANTED, %b::bigint[]) WITH ORDINALITY AS wanted(KEY, after, number) CROSS JOIN LATERAL ("
        "    SELECT ROW FROM {events} WHERE OF_WANTED AND originator_version > wanted.after"
        "    ORDER BY originator_version {one_by_one}) AS event"
        "  WINDOW streams AS (ORDER BY number, originator_version)) AS event"
        " WHERE before < %s ORDER BY number, originator_version"
    )
    _PIECE = statement(
        _ANY_PIECE.replace("OF_WANTED", "{not_fees} AND originator_id = wanted.name")
        .replace("WANTED", "%b::text[]")
        .replace("KEY", "name")
    )
    _PIECE_OF_DAYS = statement(
        _ANY_PIECE.replace("OF_WANTED", _OF_WANTED)
        .replace("WANTED", "%b::text[], %b::int[]")
        .replace("KEY", "account, day")
    )

    def _pieces(self, piece: bytes, asked: Sequence[tuple[tuple[Any, ...], int]]) -> Iterator[list[Row]]:
        """Yield events of streams after some versions: few streams and few bytes in memory at once, or one event.

        `asked` are (key of a stream, version), in whose order the streams come.
        """
        for start in range(0, len(asked), _STREAMS_AT_ONCE):
            wanted, more = list(asked[start : start + _STREAMS_AT_ONCE]), True
            while more:
                keys, versions = zip(*wanted, strict=True)
                columns = map(list, (*zip(*keys, strict=True), versions))
                rows = self._rows(piece, (*columns, BYTES_AT_ONCE))
                yield [row[:-2] for row in rows]
                more = bool(rows) and rows[-1][-1]
                if more:  # the last one may go on
                    _, _, version, *_, number, _ = rows[-1]
                    wanted = [(keys[number - 1], version), *wanted[number:]]

    _HAS_FEES = statement(
        "SELECT EXISTS (SELECT 1 FROM generate_series(%s::int, %s::int - 1) AS number CROSS JOIN LATERAL ("
        "  SELECT 1 FROM {events} WHERE {day} = number AND {account} = %s AND originator_version <= %s"
        "  AND topic = 'VolumeRecorded' ORDER BY originator_version LIMIT 1) AS found)"
    )

    def has_fees(self, account_id: str, first_day: int, end_day: int, until: int) -> bool:
        """Return whether an account has fills on UTC days in [first_day, end_day), as known at a position."""
        return bool(self._rows(self._HAS_FEES, (first_day, end_day, account_id, until))[0][0])

    _TOTALS_OF_DAYS = statement(
        "SELECT last.* FROM unnest(%s::text[], %s::int[]) AS wanted(account, day) CROSS JOIN LATERAL ("
        f"  SELECT FRONT FROM {{events}} WHERE {_OF_WANTED} AND originator_version <= %s"
        "  ORDER BY originator_version DESC LIMIT 1) AS last ORDER BY originator_id"
    )

    def totals_of_days(self, days: Iterable[DayKey], until: int) -> list[DayTotals]:
        """Return totals of account-days, known up to a position: those that had any by then, by their streams."""
        return self._day_totals(self._rows(self._TOTALS_OF_DAYS, (*_columns_of(days), until)))

    def totals_of_account(self, account_id: str, first_day: int, end_day: int, until: int) -> list[DayTotals]:
        """Return totals of the UTC days in [first_day, end_day) of an account, known up to a position, in order."""
        return self.day_totals_of([account_id], until, first_day=first_day, end_day=end_day)

    _DAY_TOTALS_OF = statement(
        days_of("%(accounts)s::text[]", first="%(first)s::int", end="%(end)s")
        + "SELECT last.* FROM traded AS wanted CROSS JOIN LATERAL ("
        f"  SELECT FRONT FROM {{events}} WHERE {_OF_WANTED} AND originator_version <= %(until)s"
        "  ORDER BY originator_version DESC LIMIT 1) AS last ORDER BY wanted.day, wanted.account"
    )

    def day_totals_of(
        self, account_ids: Iterable[str], until: int, *, first_day: int = 0, end_day: int = _END_DAY
    ) -> list[DayTotals]:
        """Return the totals of UTC days of accounts in [first_day, end_day), known up to a position, by day."""
        accounts = sorted(set(account_ids))
        if not accounts:
            return []
        named = {"accounts": accounts, "first": first_day, "end": end_day, "until": until}
        return self._day_totals(self._rows(self._DAY_TOTALS_OF, named))

    _DAY_TOTALS_AT = statement("SELECT FRONT FROM {events} WHERE notification_id = ANY(%s)")

    def day_totals_at(self, positions: Sequence[int]) -> list[DayTotals]:
        """Return totals of account-days after the events of fee streams at some positions, in any order."""
        return self._day_totals(self._rows(self._DAY_TOTALS_AT, (positions,)))

    _FRONTS_AT = statement(
        "SELECT CASE topic WHEN 'VolumeRecorded' THEN substring(state FROM 1 FOR {front}) END"
        " FROM {events} WHERE notification_id = ANY(%s) ORDER BY notification_id"
    )

    def fronts_at(self, positions: Sequence[int]) -> list[bytes | None]:
        """Return the fronts of runs at some positions, which rise; None where the event is no run."""
        return [front for (front,) in self._rows(self._FRONTS_AT, (positions,))]

    def _day_totals(self, rows: Iterable[Row]) -> list[DayTotals]:
        """Read totals out of rows that may hold no more than the front, where that is enough."""
        found = []
        for row in rows:
            position, stream, _, topic, state = row
            account_id, day = account_and_day(stream)
            totals = _FRONTS[topic](state) if topic in _FRONTS else _totals_of(decode(*row))
            if totals is None:
                totals = _totals_of(self.at(position))
            found.append(DayTotals(account_id, day, position, totals))
        return found

    _OF_CUT = "{account} = %(account)s AND {day} = %(day)s"
    _DAY_CUT = statement(
        "WITH whole AS ("
        f"  SELECT FRONT FROM {{events}} WHERE {_OF_CUT} AND originator_version <= %(until)s"
        "  AND time_max_so_far_ns <= %(last_ns)s ORDER BY originator_version DESC LIMIT 1"
        "), later AS ("
        "  SELECT ROW, topic = 'FeeAdjusted' AND time_max_ns <= %(last_ns)s AS moves FROM {events}"
        f"  WHERE {_OF_CUT} AND originator_version <= %(until)s"
        "  AND originator_version > coalesce((SELECT originator_version FROM whole), 0) AND time_min_ns <= %(last_ns)s"
        ") SELECT *, 'whole' FROM whole UNION ALL"
        " SELECT FRONT, 'after' FROM later WHERE moves UNION ALL"
        " SELECT last.*, 'before' FROM later CROSS JOIN LATERAL ("
        f"  SELECT FRONT FROM {{events}} WHERE {_OF_CUT} AND originator_version < later.originator_version"
        "  ORDER BY originator_version DESC LIMIT 1) AS last WHERE moves UNION ALL"
        " SELECT ROW, 'cut' FROM later WHERE NOT moves ORDER BY originator_version"
    )

    def day_cut(self, account_id: str, instant_ns: int, until: int) -> DayCut:
        """Return the UTC day of an account in which an instant lies, before it, known up to a position.

        The totals are those of the last event up to which the day has no line at the instant or after it.
        """
        named = {"account": account_id, "day": instant_ns // DAY_NS, "last_ns": instant_ns - 1, "until": until}
        rows = self._rows(self._DAY_CUT, named)
        events = [decode(*row[:-1]) for row in plain_rows([row for row in rows if row[-1] == "cut"])]
        whole, before, after = (
            [each.totals for each in self._day_totals(row[:-1] for row in rows if row[-1] == kind)]
            for kind in ("whole", "before", "after")
        )
        return DayCut(whole[0] if whole else (), list(zip(before, after, strict=True)), events)

    # Days come in their order, and events of each in theirs: so it ends with the last that is asked for.
    _FEES = statement(
        days_of("%(accounts)s::text[]", first="%(first)s::int", end="%(end)s") + "SELECT * FROM ("
        "  SELECT event.* FROM traded AS wanted CROSS JOIN LATERAL ("
        f"    SELECT ROW, time_min_ns FROM {{events}} WHERE {_OF_WANTED} AND originator_version <= %(until)s"
        "    AND originator_version > CASE WHEN wanted.day = %(first)s THEN %(position)s ELSE 0 END"
        "    AND time_max_ns >= %(from)s AND time_min_ns <= %(as_of)s"
        "    ORDER BY originator_version LIMIT %(limit)s) AS event LIMIT %(limit)s) AS event"
        " ORDER BY {day}, originator_version"
    )

    def fees(
        self, account_id: str, *, after: tuple[int, int], from_ns: int, as_of_ns: int, until: int, limit: int
    ) -> list[Recorded]:
        """Return events of fee streams of an account with a line in [from, as_of], in the order (day, position).

        `after` is the (day, position) of the last one seen: those at or before it are left out.
        """
        day, position = max(after, (from_ns // DAY_NS, 0))
        span = {"first": day, "position": position, "end": as_of_ns // DAY_NS + 1}
        times = {"from": from_ns, "as_of": as_of_ns}
        rows = self._rows(self._FEES, {"accounts": [account_id], **span, **times, "until": until, "limit": limit})
        return [decode(*row[:-1]) for row in plain_rows(rows)]

    # In compressed bytes nothing is found by SQL: those are looked at here.
    _FEES_NAMING = statement(
        f"SELECT ROW FROM {{events}} WHERE {_OF_DAY} AND originator_version > %s AND originator_version <= %s"
        f" AND (topic = 'VolumeRecorded' AND NOT ({_IS_PLAIN}) OR position(%s::bytea IN state) > 0)"
        " ORDER BY originator_version LIMIT %s"
    )

    def fees_naming(self, account_id: str, day: int, exec_id: str, until: int) -> list[Recorded]:
        """Return the events of an account-day in which the bytes of an exec_id occur: hardly more than name it."""
        found, after, limit, name = list[Recorded](), 0, _NAMING_FIRST, exec_id.encode()
        while rows := self._rows(self._FEES_NAMING, (account_id, day, after, until, name, limit)):
            found += (decode(*row) for row in plain_rows(rows) if name in row[4])
            if len(rows) < limit:
                break
            after = rows[-1][0]
            limit = min(max(BYTES_AT_ONCE // max(len(row[4]) for row in rows), 1), ROWS_AT_ONCE)
        return found

    _NEXT_DAY = statement(
        f"SELECT {{day}} FROM {{events}} WHERE {{fees}} AND {{day}} >= %s ORDER BY {_IN_ORDER} LIMIT 1"
    )

    def _days_within(self, from_ns: int, as_of_ns: int) -> Iterator[int]:
        """Yield the UTC days from that of one instant to that of another one that the log has fee streams of."""
        day = from_ns // DAY_NS
        while (found := self._rows(self._NEXT_DAY, (day,))) and found[0][0] <= as_of_ns // DAY_NS:
            day = found[0][0]
            yield day
            day += 1

    _POSITIONS_OF_DAY = statement(
        "SELECT originator_version FROM {events} WHERE {day} = %s AND originator_version <= %s"
        " AND time_max_ns >= %s AND time_min_ns <= %s AND topic = %s ORDER BY originator_version"
    )
    _AT_POSITIONS = statement("SELECT ROW FROM {events} WHERE notification_id = ANY(%s) ORDER BY notification_id")

    def runs(self, *, from_ns: int, as_of_ns: int, until: int) -> Iterator[Recorded]:
        """Yield runs of all accounts with a line in [from, as_of] at positions up to one, a few in memory at once.

        They come day by day, each day in the order of positions, so that both sides of a trade are close together.
        Nothing is left open between two of them.
        """
        return self._fee_events("VolumeRecorded", from_ns, as_of_ns, until)

    def adjustments(self, *, from_ns: int, as_of_ns: int, until: int) -> Iterator[Recorded]:
        """Yield what corrects fees of lines in [from, as_of] of all accounts in the same way."""
        return self._fee_events("FeeAdjusted", from_ns, as_of_ns, until)

    def _fee_events(self, topic: str, from_ns: int, as_of_ns: int, until: int) -> Iterator[Recorded]:
        for day in self._days_within(from_ns, as_of_ns):
            positions = array("q")  # of a day, a million and more
            with self._cursor("positions") as cursor:
                cursor.execute(self._POSITIONS_OF_DAY, (day, until, from_ns, as_of_ns, topic))
                while rows := cursor.fetchmany(_POSITIONS_AT_ONCE):
                    positions.extend(position for (position,) in rows)
            place, size = 0, _RUNS_FIRST
            while some := positions[place : place + size]:
                rows = self._rows(self._AT_POSITIONS, (some.tolist(),))
                yield from (decode(*row) for row in plain_rows(rows))
                place += size
                size = min(max(BYTES_AT_ONCE // max(len(row[4]) for row in rows), 1), ROWS_AT_ONCE)

    _CHARGED = statement(
        "SELECT ROW FROM {events} WHERE {day} = %s AND originator_version <= %s AND time_min_ns <= %s"
        f" AND (topic = 'FeeAdjusted' OR topic = 'VolumeRecorded' AND ({_SAYS_CHARGED}))"
        " ORDER BY {account}, originator_version"
    )

    def charged(self, *, as_of_ns: int, until: int) -> Iterator[Recorded]:
        """Yield runs with a fill up to an instant that says what the engine charged, and adjustments of their days.

        At positions up to `until`, the oldest UTC day first, then by account, then in order; read as they are taken.
        """
        for day in self._days_within(0, as_of_ns):
            stream = ""
            for row in self._taken("charged", self._CHARGED, (day, until, as_of_ns)):
                _, name, _, topic, _ = row
                if topic == "FeeAdjusted" and name != stream:
                    continue  # nothing was said of the day
                recorded = decode(*row)
                if isinstance(recorded.event, VolumeRecorded) and not recorded.event.columns.charged_currency:
                    continue  # it only looked like it
                stream = name
                yield recorded


def _columns(streams: Iterable[str]) -> tuple[list[str], list[int]]:
    """Return the accounts and the days of some fee streams."""
    return _columns_of(map(day_key, streams))


def _columns_of(keys: Iterable[DayKey]) -> tuple[list[str], list[int]]:
    accounts, days = list[str](), list[int]()
    for account_id, day in keys:
        accounts.append(account_id)
        days.append(day)
    return accounts, days


def _totals_of(recorded: Recorded) -> tuple[CellTotals, ...]:
    assert isinstance(recorded.event, FeeEvent), recorded
    return recorded.event.totals
