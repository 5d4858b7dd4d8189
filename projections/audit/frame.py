"""Checks the frame of a log: positions without gaps, versions in order, and tables that say the same as the events.

All of it is asked of the whole log, in SQL, and rows are taken as they come: it takes no memory here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ledger.domain.events import SourceAdvanced
from ledger.domain.streams import SOURCE_PREFIX, end_of, is_fee_stream, source_stream
from ledger.replay.compare import Deviation, Difference
from ledger.store.fee_streams import days_of
from ledger.store.reads import ROW, STREAMS
from projections.audit.queries import Queries
from projections.audit.requests import UNNAMED, unnamed, unnamed_parameters
from projections.audit.rows import readable


class Frame(Queries):
    """Compares the tables of a ledger with each other."""

    _ENDS = """
    SELECT coalesce((SELECT max(notification_id) FROM {events}), 0),
        coalesce((SELECT max(last_position) FROM {schema}.commits), 0)
    """

    def end(self) -> int:
        """Return the position of the last event."""
        return int(self._query(self._ENDS)[0][0])

    # Where no commit says how far it goes, and where no event lies, a stretch ends there.
    _END_OF_COMMIT = """
    SELECT coalesce((SELECT last_position FROM {schema}.commits WHERE last_position >= least_until
        ORDER BY last_position LIMIT 1), least_until)
    FROM (SELECT greatest(%(position)s, min(notification_id)) AS least_until
        FROM {events} WHERE notification_id > %(after)s) AS next
    """

    def end_of_commit(self, position: int, after: int) -> int:
        """Return the end of the commit that a position lies in, or of the first event after `after`, if that is later.

        Where no commit says so, return that position itself.
        """
        return int(self._query(self._END_OF_COMMIT, position=position, after=after)[0][0])

    _COMMIT_BY_POSITION = "SELECT max(last_position) FROM {schema}.commits WHERE last_position <= %(position)s"

    def made_by(self, position: int) -> int:
        """Return the end of the last commit that is over at a position."""
        return int(self._query(self._COMMIT_BY_POSITION, position=position)[0][0] or 0)

    _COMMIT_BY_TIME = "SELECT max(last_position) FROM {schema}.commits WHERE recorded_time_ns <= %(time_ns)s"

    def recorded_by(self, time_ns: int) -> int:
        """Return the end of the last commit that was recorded at or before a time."""
        return int(self._query(self._COMMIT_BY_TIME, time_ns=time_ns)[0][0] or 0)

    _COUNT_REQUESTS = "SELECT count(*) FROM {schema}.requests WHERE position <= %(position)s"

    def requests(self, position: int) -> int:
        """Return how many requests have their first event up to a position, as the table of requests says."""
        return int(self._query(self._COUNT_REQUESTS, position=position)[0][0])

    _ACCOUNTS = """
    SELECT count(DISTINCT split_part(originator_id, '/', 2)) FROM {events}
    WHERE (originator_id LIKE 'account/%%' OR originator_id LIKE 'fees/%%') AND notification_id <= %(known)s
    """

    def accounts(self, known: int) -> int:
        """Return how many accounts have an event up to a position."""
        return int(self._query(self._ACCOUNTS, known=known)[0][0])

    _EXISTING = f"""
    SELECT name FROM unnest(%(accounts)s::text[]) AS name WHERE (
        SELECT true FROM {{events}} WHERE {{not_fees}} AND originator_id = 'account/' || name LIMIT 1)
    OR (SELECT true FROM {{events}} WHERE {{not_fees}} AND originator_id >= 'fees/' || name || '/'
        AND originator_id < 'fees/' || name || '0' LIMIT 1)  -- whose times were taken away
    OR EXISTS ({days_of("ARRAY[name]", first="(-2147483648)::int")} SELECT FROM traded)
    """

    def existing(self, accounts: Iterable[str]) -> set[str]:
        """Return those of some accounts that have an event."""
        return {name for (name,) in self._query(self._EXISTING, accounts=list(accounts))}

    _POSITIONS = """
    SELECT position, stream, before FROM (
        SELECT notification_id AS position, originator_id AS stream,
            lag(notification_id, 1, 0::bigint) OVER (ORDER BY notification_id) AS before
        FROM {events} WHERE notification_id <= %(known)s) AS p
    WHERE position <> before + 1 ORDER BY position
    """
    # In fee streams the version is the position, and the time says the day by which they are found.
    _VERSIONS = """
    SELECT position, stream, version, version_before, position_before FROM (
        SELECT notification_id AS position, originator_id AS stream, originator_version AS version,
            lag(originator_version, 1, 0::bigint) OVER w AS version_before,
            lag(notification_id, 1, 0::bigint) OVER w AS position_before
        FROM {events} WHERE {not_fees} AND notification_id <= %(known)s
        WINDOW w AS (PARTITION BY originator_id ORDER BY originator_version)) AS v
    WHERE stream LIKE 'fees/%%' OR version <> version_before + 1 OR position < position_before
    UNION ALL SELECT notification_id, originator_id, originator_version, NULL, NULL FROM {events}
    WHERE {fees} AND notification_id <= %(known)s AND (originator_version <> notification_id
        OR originator_id <> 'fees/' || {account} || '/' || to_char(date '1970-01-01' + {day}, 'YYYY-MM-DD'))
    ORDER BY position
    """
    _COMMITS = """
    SELECT * FROM (
        SELECT last_position AS last, first_position AS first, recorded_time_ns AS time,
            lag(last_position, 1, 0::bigint) OVER w AS last_before,
            lag(recorded_time_ns, 1, 0::bigint) OVER w AS time_before
        FROM {schema}.commits WHERE last_position <= %(known)s WINDOW w AS (ORDER BY last_position)) AS c
    WHERE first <> last_before + 1 OR last < first OR time <= time_before ORDER BY last
    """
    _REQUESTS = f"""
    SELECT request_id, position FROM {{schema}}.requests LEFT JOIN {{events}} ON notification_id = position
    WHERE position > (SELECT max(notification_id) FROM {{events}}) OR ({UNNAMED}) ORDER BY position, request_id
    """

    def check(self, known: int) -> Iterator[Deviation]:
        """Yield what does not hold up to a position, which is the end of a commit."""
        for position, stream, before in self._rows(self._POSITIONS, known=known):
            missing = (
                f"position {before + 1}" if position == before + 2 else f"positions {before + 1} to {position - 1}"
            )
            yield _said(before + 1, stream, f"no event lies at {missing}, before one of this stream")
        for position, stream, version, *before in self._rows(self._VERSIONS, known=known):
            yield misplaced(position, stream, version, *before)
        for last, first, time_ns, last_before, time_before in self._rows(self._COMMITS, known=known):
            if first != last_before + 1 or last < first:
                yield _said(last, "commits", f"it says {first} to {last}, the one before it ends at {last_before}")
            if time_ns <= time_before:
                yield _said(last, "commits", f"it was recorded at {time_ns}, the one before it at {time_before}")
        yield from self._ends(known)
        yield from map(unnamed, self._rows(self._REQUESTS, **unnamed_parameters(known)))
        yield from self._tracking(known)

    _READ_SIDE = """
    SELECT FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE nspname = %(read)s AND relname = 'position' AND has_schema_privilege(pg_namespace.oid, 'USAGE')
        AND has_table_privilege(pg_class.oid, 'SELECT')
    """
    _TAKEN_IN = "SELECT max(position) FROM {read}.position"

    def _ends(self, known: int) -> Iterator[Deviation]:
        """Yield commits and tables that are ahead of the last event, and events that no commit made."""
        has_tables = self._query(self._READ_SIDE, read=self._read_schema)
        taken_in = int(self._query(self._TAKEN_IN)[0][0] or 0) if has_tables else 0
        event, commit = self._query(self._ENDS)[0]  # after that, for the log only grows
        if commit > event:
            what = f"no event lies at positions {event + 1} to {commit}, which it says it made"
            yield _said(commit, "commits", what)
        if (last := min(event, known)) > commit:
            yield _said(last, "commits", f"no commit made positions {commit + 1} to {last}")
        if taken_in > event:
            what = f"no event lies at positions {event + 1} to {taken_in}, which they have taken in"
            yield _said(taken_in, "the tables of the read side", what)

    # '0' follows '/' in byte order.
    _TRACKING = f"""
    WITH RECURSIVE {STREAMS}, said AS (
        SELECT last.* FROM stream CROSS JOIN LATERAL (
            SELECT {ROW} FROM {{events}}
            WHERE {{not_fees}} AND originator_id = stream.name ORDER BY originator_version DESC LIMIT 1) AS last
    )
    SELECT application_name, tracking.notification_id, (SELECT max(notification_id) FROM {{events}}), said.*
    FROM {{tracking}} AS tracking FULL JOIN said ON originator_id = 'source/' || application_name
    """

    def _tracking(self, known: int) -> Iterator[Deviation]:
        """Yield sources whose tracking is not the last number of their stream: both as they are now."""
        for source, tracked, end, *row in self._rows(self._TRACKING, first=SOURCE_PREFIX, end=end_of(SOURCE_PREFIX)):
            position, stream = (row[0], row[1]) if row[0] else (end or 0, source_stream(source))
            recorded = readable(row) if row[0] else None
            said = recorded.event.last_sequence if recorded and isinstance(recorded.event, SourceAdvanced) else 0
            if (tracked or 0) != said and (position <= known or not row[0]):
                yield Deviation(position, stream, (Difference("tracking", str(tracked or ""), str(said or "")),))


def misplaced(
    position: int, stream: str, version: int, version_before: int | None = None, position_before: int | None = None
) -> Deviation:
    """Say what is wrong with the place of an event in its stream, from the event before it; None: it has times."""
    what = f"its version is {version}, "
    if is_fee_stream(stream):
        of_fees = f"{what}and in a fee stream that is the position"
        of_day = "its time_min_ns, by which a fee stream is found, is not of its UTC day"
        what = of_day if version == position else of_fees
    elif version_before is None:
        what = "it has a time_min_ns, and only what lies in a fee stream has one"
    elif version != version_before + 1:
        what += f"expected {version_before + 1}"
    else:
        what += f"but version {version_before} comes after it, at position {position_before}"
    return _said(position, stream, what)


def _said(position: int, stream: str, what: str) -> Deviation:
    return Deviation(position, stream, (Difference(what),))
