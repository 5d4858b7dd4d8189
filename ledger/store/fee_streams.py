"""Reading fee streams: runs of fills, adjustments of their fees, and the running totals of account-days.

In fee streams versions are positions, so the index finds the last event up to a position by one seek; nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np

from ledger.arrays.columns import Ints
from ledger.domain.events import POSITION_MAX, CellTotals, FeeEvent, Recorded, VolumeRecorded
from ledger.domain.instants import DAY_NS, day_text
from ledger.domain.streams import account_and_day, fee_stream
from ledger.store.codec.events import decode
from ledger.store.codec.fills import CHARGED_TAGS, exec_id_digests
from ledger.store.codec.run_front import adjusted_totals_in, totals_in
from ledger.store.reads import BYTES_AT_ONCE, ROWS_AT_ONCE, STREAMS, Reads, Row, statement

_FRONTS: Final = {"VolumeRecorded": totals_in, "FeeAdjusted": adjusted_totals_in}
_STREAMS_AT_ONCE: Final = 1_000  # whose events are in memory at once
_RUNS_FIRST: Final = 4  # that are read before their size is known
# To look for tags in the bytes takes a small part of what it takes to send and read them: 0.2 s for 1,000,000 fills.
# Other bytes may look like that; no run that says it is missed.
_SAYS_CHARGED: Final = " OR ".join(
    "(" + " AND ".join(f"position('\\x{tag.hex()}'::bytea IN state) > 0" for tag in tags) + ")" for tags in CHARGED_TAGS
)
_NO_IDS: Final = np.zeros(0, dtype=np.uint64)  # of a day with credits alone
_NO_POSITIONS: Final = np.zeros(0, dtype=np.int64)


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
    last: FeeEvent


class FeeStreams(Reads):
    """Reads the fee streams of one ledger."""

    # LIMIT keeps each of these a seek in the index, whatever the planner takes the tables to be.
    _RUNS_SINCE = statement(
        "SELECT run.* FROM unnest(%s::text[], %s::bigint[]) AS wanted(stream, place) CROSS JOIN LATERAL ("
        "  SELECT ROW FROM {events} WHERE originator_id = wanted.stream AND originator_version >= wanted.place"
        "  AND topic = 'VolumeRecorded' ORDER BY originator_version LIMIT 1) AS run"
    )

    def runs_since(self, wanted: Iterable[tuple[str, int]]) -> Iterator[Recorded]:
        """Yield the first run of each (fee stream, position) at that position or after it, a few in memory at once."""
        streams, positions = zip(*wanted, strict=True)
        return self._runs(self._RUNS_SINCE, (list(streams), list(positions)))

    _RUNS_BETWEEN = statement(
        "SELECT ROW FROM {events} WHERE originator_id = %s AND originator_version >= %s AND originator_version < %s"
        " AND topic = 'VolumeRecorded' ORDER BY originator_version LIMIT %s"
    )

    def runs_between(self, stream: str, first: int, end: int, *, at_once: bool = False) -> Iterator[Recorded]:
        """Yield the runs of a fee stream at positions in [first, end), in order, a few in memory at once.

        Whoever takes only some of them leaves nothing open: each few are a query of their own. `at_once` says that they
        are small: the first query then brings up to ROWS_AT_ONCE.
        """
        limit = ROWS_AT_ONCE if at_once else _RUNS_FIRST
        while rows := self._rows(self._RUNS_BETWEEN, (stream, first, end, limit)):
            yield from (decode(*row) for row in rows)
            if len(rows) < limit:
                return
            first = rows[-1][0] + 1
            limit = min(max(BYTES_AT_ONCE // max(len(row[4]) for row in rows), 1), ROWS_AT_ONCE)

    _RUNS_OF_COMMITS = statement(
        "SELECT run.* FROM unnest(%s::text[], %s::bigint[]) AS wanted(stream, place) CROSS JOIN LATERAL ("
        "  SELECT first_position, last_position FROM {schema}.commits WHERE last_position >= wanted.place"
        "  ORDER BY last_position LIMIT 1) AS made CROSS JOIN LATERAL ("
        "  SELECT ROW FROM {events} WHERE originator_id = wanted.stream AND topic = 'VolumeRecorded'"
        "  AND originator_version BETWEEN made.first_position AND made.last_position"
        "  ORDER BY originator_version LIMIT 1000000) AS run"
    )

    def runs_of_commits(self, wanted: Iterable[tuple[str, int]]) -> Iterator[Recorded]:
        """Yield the runs of each (fee stream, position) in the commit of that position, a few in memory at once."""
        streams, positions = zip(*wanted, strict=True)
        return self._runs(self._RUNS_OF_COMMITS, (list(streams), list(positions)))

    _RUNS_OF = statement("SELECT ROW FROM {events} WHERE originator_id = ANY(%s) AND topic = 'VolumeRecorded'")

    def runs_of(self, streams: Iterable[str]) -> Iterator[Recorded]:
        """Yield every run of some fee streams, a few in memory at once."""
        return self._runs(self._RUNS_OF, (list(streams),))

    def _runs(self, statement: bytes, parameters: Sequence[Any]) -> Iterator[Recorded]:
        return (decode(*row) for row in self._taken("runs", statement, parameters))

    _ADJUSTMENTS_OF = statement(
        "SELECT ROW FROM {events} WHERE originator_id = ANY(%s) AND originator_version > %s"
        " AND originator_version <= %s AND topic = 'FeeAdjusted' ORDER BY originator_version"
    )

    def adjustments_of(self, streams: Iterable[str], after: int, until: int = POSITION_MAX) -> list[Recorded]:
        """Return what corrects fees of some fee streams at positions in (after, until], in order."""
        return self._events(self._ADJUSTMENTS_OF, (list(streams), after, until))

    _LAST_FEES = statement(
        "SELECT ROW FROM {events} WHERE originator_id = %s AND originator_version <= %s"
        " ORDER BY originator_version DESC LIMIT 1"
    )

    def last_fees(self, stream: str, until: int) -> FeeEvent | None:
        """Return the last event up to a position of a fee stream, if it has any."""
        found = self._events(self._LAST_FEES, (stream, until))
        event = found[0].event if found else None
        assert event is None or isinstance(event, FeeEvent), stream
        return event

    _CREDITS_WITH = statement(
        "SELECT ROW FROM {events} WHERE originator_id ="
        " (SELECT originator_id FROM {events} WHERE notification_id = %s AND topic = 'FeeCredited')"
        " AND originator_version >= %s AND topic = ANY('{{FeeCredited,CreditWithdrawn}}') ORDER BY originator_version"
    )

    def credits_with(self, position: int) -> list[Recorded]:
        """Return the credit at a position, if there is one, then later credits and withdrawals of its account-day."""
        return self._events(self._CREDITS_WITH, (position, position)) if position <= POSITION_MAX else []

    _EXISTING = statement(
        "SELECT name FROM unnest(%s::text[]) AS name WHERE EXISTS (SELECT 1 FROM {events} WHERE originator_id = name)"
    )

    def existing(self, streams: Iterable[str]) -> set[str]:
        """Return those of some streams that have an event."""
        return {row[0] for row in self._rows(self._EXISTING, (list(streams),))}

    def accounts_and_days(
        self, accounts: Mapping[str, int], days: Iterable[str], take: Callable[[list[Recorded]], None]
    ) -> dict[str, FeeDay]:
        """Return those of some fee streams that exist; `take` gets the events of each account stream after a version.

        All of it may be larger than memory allows. So accounts come one after the other, if they have such events, and
        fee streams are read in pieces, of which the digests are kept.
        """
        stream: list[Recorded] = []  # of one account, as far as it was read
        digests: dict[str, list[Ints]] = {}
        positions: dict[str, list[Ints]] = {}
        last: dict[str, Row] = {}
        of_days = set(days)
        for rows in self._pieces([*accounts.items(), *((stream, 0) for stream in of_days)]):
            for row in rows:
                if row[1] not in of_days:
                    if stream and stream[-1].stream != row[1]:
                        take(stream)
                        stream = []
                    stream.append(decode(*row))
            runs = [row for row in rows if row[1] in of_days and row[3] == "VolumeRecorded"]
            for row, of_run in zip(runs, exec_id_digests([row[4] for row in runs]), strict=True):
                digests.setdefault(row[1], []).append(of_run)
                positions.setdefault(row[1], []).append(np.full(len(of_run), row[0]))
            last.update((row[1], row) for row in rows if row[1] in of_days)
        if stream:
            take(stream)
        found = {}
        for name, row in last.items():
            event = decode(*row).event
            assert isinstance(event, FeeEvent), name
            ids, places = digests.get(name, [_NO_IDS]), positions.get(name, [_NO_POSITIONS])
            found[name] = FeeDay(np.concatenate(ids), np.concatenate(places), event)
        return found

    # The size of a state is known without reading it; whether another event comes after it is asked with the last.
    _PIECE = statement(
        "SELECT ROW, more FROM (SELECT ROW, sum(octet_length(state)) OVER streams - octet_length(state) AS before,"
        "  lead(true, 1, false) OVER streams AS more"
        "  FROM unnest(%s::text[], %s::int8[]) AS asked(name, after) JOIN {events}"
        "  ON originator_id = name AND originator_version > after"
        "  WHERE (originator_id, originator_version) > (%s, %s)"
        "  WINDOW streams AS (ORDER BY originator_id, originator_version)) AS event"
        " WHERE before < %s ORDER BY originator_id, originator_version"
    )

    def _pieces(self, asked: Sequence[tuple[str, int]]) -> Iterator[list[Row]]:
        """Yield events of streams after some versions: few streams and few bytes in memory at once, or one event."""
        for start in range(0, len(asked), _STREAMS_AT_ONCE):
            names, versions = zip(*asked[start : start + _STREAMS_AT_ONCE], strict=True)
            streams, after, more = (list(names), list(versions)), ("", 0), True
            while more:
                rows = self._rows(self._PIECE, (*streams, *after, BYTES_AT_ONCE))
                yield [row[:-1] for row in rows]
                more = bool(rows) and rows[-1][-1]
                after = rows[-1][1:3] if rows else after

    _HAS_FEES = statement(
        "SELECT EXISTS (SELECT 1 FROM unnest(%s::text[]) AS name CROSS JOIN LATERAL ("
        "  SELECT 1 FROM {events} WHERE originator_id = name AND originator_version <= %s"
        "  AND topic = 'VolumeRecorded' LIMIT 1) AS found)"
    )

    def has_fees(self, account_id: str, first_day: int, end_day: int, until: int) -> bool:
        """Return whether an account has fills on UTC days in [first_day, end_day), as known at a position."""
        names = [fee_stream(account_id, day) for day in range(first_day, end_day)]
        return bool(self._rows(self._HAS_FEES, (names, until))[0][0])

    _TOTALS_OF_DAYS = statement(
        "SELECT last.* FROM unnest(%s::text[]) AS name CROSS JOIN LATERAL ("
        "  SELECT FRONT FROM {events} WHERE originator_id = name AND originator_version <= %s"
        "  ORDER BY originator_version DESC LIMIT 1) AS last ORDER BY originator_id"
    )

    def totals_of_days(self, days: Iterable[tuple[str, int]], until: int) -> list[DayTotals]:
        """Return totals of account-days, known up to a position: those that had any by then, by (account, UTC day)."""
        names = [fee_stream(account_id, day) for account_id, day in days]
        return self._day_totals(self._rows(self._TOTALS_OF_DAYS, (names, until)))

    _TOTALS_OF_ACCOUNT = statement(
        f"WITH RECURSIVE {STREAMS}SELECT last.* FROM stream CROSS JOIN LATERAL ("
        "  SELECT FRONT FROM {events} WHERE originator_id = stream.name AND originator_version <= %(until)s"
        "  ORDER BY originator_version DESC LIMIT 1) AS last ORDER BY originator_id"
    )

    def totals_of_account(self, account_id: str, first_day: int, end_day: int, until: int) -> list[DayTotals]:
        """Return totals of the UTC days in [first_day, end_day) of an account, known up to a position."""
        named = {"first": fee_stream(account_id, first_day), "end": fee_stream(account_id, end_day), "until": until}
        return self._day_totals(self._rows(self._TOTALS_OF_ACCOUNT, named))

    _DAY_TOTALS_OF = statement(
        "WITH RECURSIVE day(id, name) AS ("
        "  SELECT id, (SELECT originator_id FROM {events} WHERE originator_id >= 'fees/' || id || '/' || %s"
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

    def day_totals_of(self, account_ids: Iterable[str], until: int, *, first_day: int = 0) -> list[DayTotals]:
        """Return the totals of UTC days of accounts, from one on, after the last run at a position up to `until`."""
        return self._day_totals(self._rows(self._DAY_TOTALS_OF, (day_text(first_day), list(account_ids), until)))

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

    _DAY_CUT = statement(
        "WITH whole AS ("
        "  SELECT FRONT FROM {events} WHERE originator_id = %(day)s AND originator_version <= %(until)s"
        "  AND time_max_so_far_ns <= %(last_ns)s ORDER BY originator_version DESC LIMIT 1"
        "), later AS ("
        "  SELECT ROW, topic = 'FeeAdjusted' AND time_max_ns <= %(last_ns)s AS moves FROM {events}"
        "  WHERE originator_id = %(day)s AND originator_version <= %(until)s"
        "  AND originator_version > coalesce((SELECT originator_version FROM whole), 0) AND time_min_ns <= %(last_ns)s"
        ") SELECT *, 'whole' FROM whole UNION ALL"
        " SELECT FRONT, 'after' FROM later WHERE moves UNION ALL"
        " SELECT last.*, 'before' FROM later CROSS JOIN LATERAL ("
        "  SELECT FRONT FROM {events} WHERE originator_id = %(day)s AND originator_version < later.originator_version"
        "  ORDER BY originator_version DESC LIMIT 1) AS last WHERE moves UNION ALL"
        " SELECT ROW, 'cut' FROM later WHERE NOT moves ORDER BY originator_version"
    )

    def day_cut(self, account_id: str, instant_ns: int, until: int) -> DayCut:
        """Return the UTC day of an account in which an instant lies, before it, known up to a position.

        The totals are those of the last event up to which the day has no line at the instant or after it.
        """
        day, last_ns = fee_stream(account_id, instant_ns // DAY_NS), instant_ns - 1
        rows = self._rows(self._DAY_CUT, {"day": day, "last_ns": last_ns, "until": until})
        events = [decode(*row[:-1]) for row in rows if row[-1] == "cut"]
        whole, before, after = (
            [each.totals for each in self._day_totals(row[:-1] for row in rows if row[-1] == kind)]
            for kind in ("whole", "before", "after")
        )
        return DayCut(whole[0] if whole else (), list(zip(before, after, strict=True)), events)

    _FEES = statement(
        "SELECT ROW FROM {events} WHERE (originator_id, originator_version) > (%s, %s) AND originator_id < %s"
        " AND originator_version <= %s AND time_max_ns >= %s AND time_min_ns <= %s"
        " ORDER BY originator_id, originator_version LIMIT %s"
    )

    def fees(
        self, account_id: str, *, after: tuple[int, int], from_ns: int, as_of_ns: int, until: int, limit: int
    ) -> list[Recorded]:
        """Return events of fee streams of an account with a line in [from, as_of], in the order (day, position).

        `after` is the (day, position) of the last one seen: those at or before it are left out.
        """
        day, position = max(after, (from_ns // DAY_NS, 0))
        first, end = fee_stream(account_id, day), fee_stream(account_id, as_of_ns // DAY_NS + 1)
        return self._events(self._FEES, (first, position, end, until, from_ns, as_of_ns, limit))

    _FEES_NAMING = statement(
        "SELECT ROW FROM {events} WHERE originator_id = %s AND originator_version <= %s"
        " AND position(%s::bytea IN state) > 0 ORDER BY originator_version"
    )

    def fees_naming(self, account_id: str, day: int, exec_id: str, until: int) -> list[Recorded]:
        """Return the events of an account-day in which the bytes of an exec_id occur: hardly more than name it."""
        return self._events(self._FEES_NAMING, (fee_stream(account_id, day), until, exec_id.encode()))

    _FEE_EVENTS = statement(
        "SELECT ROW FROM {events} WHERE notification_id > %s AND notification_id <= %s"
        " AND time_max_ns >= %s AND time_min_ns <= %s AND topic = %s ORDER BY notification_id LIMIT %s"
    )

    def runs(self, *, from_ns: int, as_of_ns: int, after: int, until: int, limit: int) -> list[Recorded]:
        """Return runs of all accounts with a line in [from, as_of] at positions in (after, until], in order."""
        return self._events(self._FEE_EVENTS, (after, until, from_ns, as_of_ns, "VolumeRecorded", limit))

    def adjustments(
        self, *, from_ns: int, as_of_ns: int, until: int, after: int = 0, limit: int | None = None
    ) -> list[Recorded]:
        """Return what corrects fees of lines in [from, as_of] of all accounts at positions in (after, until]."""
        return self._events(self._FEE_EVENTS, (after, until, from_ns, as_of_ns, "FeeAdjusted", limit))

    _CHARGED = statement(
        "SELECT ROW FROM {events} WHERE notification_id <= %s AND time_min_ns <= %s"
        f" AND (topic = 'FeeAdjusted' OR topic = 'VolumeRecorded' AND ({_SAYS_CHARGED}))"
        " ORDER BY right(originator_id, 10), originator_id, originator_version"
    )

    def charged(self, *, as_of_ns: int, until: int) -> Iterator[Recorded]:
        """Yield runs with a fill up to an instant that says what the engine charged, and adjustments of their days.

        At positions up to `until`, the oldest UTC day first, then by account, then in order; read as they are taken.
        """
        stream = ""
        for row in self._taken("charged", self._CHARGED, (until, as_of_ns)):
            _, name, _, topic, _ = row
            if topic == "FeeAdjusted" and name != stream:
                continue  # nothing was said of the day
            recorded = decode(*row)
            if isinstance(recorded.event, VolumeRecorded) and not recorded.event.columns.charged_currency:
                continue  # it only looked like it
            stream = name
            yield recorded


def _totals_of(recorded: Recorded) -> tuple[CellTotals, ...]:
    assert isinstance(recorded.event, FeeEvent), recorded
    return recorded.event.totals
