"""What holds a log together: positions without gaps, versions in order, and tables beside the events that say the same.

All of it is asked of the whole log, in SQL, and rows are taken as they come: it takes no memory here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from psycopg.sql import SQL, Identifier

from ledger.domain.events import SourceAdvanced
from ledger.domain.streams import source_stream
from ledger.replay.compare import Deviation, Difference
from ledger.store.log import Log
from ledger.store.postgres.migrate import EVENTS, TRACKING
from ledger.v1.events_pb2 import Envelope
from projections.audit.requests import named
from projections.audit.rows import readable
from projections.tables.tables import read_schema

_POSITIONS: Final = """
SELECT position, stream, before FROM (
    SELECT notification_id AS position, originator_id AS stream,
        lag(notification_id, 1, 0::bigint) OVER (ORDER BY notification_id) AS before
    FROM {events} WHERE notification_id <= %(known)s) AS p
WHERE position <> before + 1 ORDER BY position
"""
# In fee streams the version is the position.
_VERSIONS: Final = """
SELECT position, stream, version, version_before, position_before FROM (
    SELECT notification_id AS position, originator_id AS stream, originator_version AS version,
        lag(originator_version, 1, 0::bigint) OVER w AS version_before,
        lag(notification_id, 1, 0::bigint) OVER w AS position_before
    FROM {events} WHERE notification_id <= %(known)s
    WINDOW w AS (PARTITION BY originator_id ORDER BY originator_version)) AS v
WHERE CASE WHEN stream LIKE 'fees/%%' THEN version <> position
    ELSE version <> version_before + 1 OR position < position_before END
ORDER BY position
"""
_COMMITS: Final = """
SELECT * FROM (
    SELECT last_position AS last, first_position AS first, recorded_time_ns AS time,
        lag(last_position, 1, 0::bigint) OVER w AS last_before,
        lag(recorded_time_ns, 1, 0::bigint) OVER w AS time_before
    FROM {schema}.commits WHERE last_position <= %(known)s WINDOW w AS (ORDER BY last_position)) AS c
WHERE first <> last_before + 1 OR last < first OR time <= time_before ORDER BY last
"""
_ENDS: Final = """
SELECT coalesce((SELECT max(notification_id) FROM {events}), 0),
    coalesce((SELECT max(last_position) FROM {schema}.commits), 0)
"""
# The tag and the length of a request's name lie before it, in the bytes of each event that it caused.
_REQUESTS: Final = """
SELECT request_id, position FROM {schema}.requests LEFT JOIN {events} ON notification_id = position
WHERE position > (SELECT max(notification_id) FROM {events}) OR (position <= %(known)s AND coalesce(position(
    %(tag)s || set_byte('\\x00', 0, least(octet_length(request_id), 255)) || convert_to(request_id, 'UTF8') IN state
), 0) = 0) ORDER BY position, request_id
"""
# One index seek for each source; '0' follows '/' in byte order.
_TRACKING: Final = """
WITH RECURSIVE stream(name) AS (
    (SELECT originator_id FROM {events} WHERE originator_id >= 'source/' AND originator_id < 'source0'
        ORDER BY originator_id, originator_version LIMIT 1)
    UNION ALL
    SELECT (SELECT originator_id FROM {events} WHERE originator_id > stream.name AND originator_id < 'source0'
        ORDER BY originator_id, originator_version LIMIT 1)
    FROM stream WHERE stream.name IS NOT NULL
), said AS (
    SELECT last.* FROM stream CROSS JOIN LATERAL (
        SELECT notification_id AS position, originator_id, originator_version, topic, state FROM {events}
        WHERE originator_id = stream.name ORDER BY originator_version DESC LIMIT 1) AS last
)
SELECT application_name, notification_id, (SELECT max(notification_id) FROM {events}), said.*
FROM {tracking} FULL JOIN said ON originator_id = 'source/' || application_name
"""
_READ_SIDE: Final = """
SELECT FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname = %(read)s AND relname = 'position' AND has_schema_privilege(pg_namespace.oid, 'USAGE')
    AND has_table_privilege(pg_class.oid, 'SELECT')
"""
_TAKEN_IN: Final = "SELECT max(position) FROM {read}.position"
# Where no commit says how far it goes, and where no event lies, a stretch ends there.
_END_OF_COMMIT: Final = """
SELECT coalesce((SELECT last_position FROM {schema}.commits WHERE last_position >= least_until
    ORDER BY last_position LIMIT 1), least_until)
FROM (SELECT greatest(%(position)s, min(notification_id)) AS least_until
    FROM {events} WHERE notification_id > %(after)s) AS next
"""
_TAG: Final = bytes([Envelope.DESCRIPTOR.fields_by_name["request_id"].number << 3 | 2])
_COMMIT_BY_POSITION: Final = "SELECT max(last_position) FROM {schema}.commits WHERE last_position <= %(position)s"
_COMMIT_BY_TIME: Final = "SELECT max(last_position) FROM {schema}.commits WHERE recorded_time_ns <= %(time_ns)s"
_COUNT_REQUESTS: Final = "SELECT count(*) FROM {schema}.requests WHERE position <= %(position)s"
_EXISTING: Final = """
SELECT name FROM unnest(%(accounts)s::text[]) AS name WHERE EXISTS (SELECT FROM {events}
    WHERE originator_id = 'account/' || name
        OR (originator_id >= 'fees/' || name || '/' AND originator_id < 'fees/' || name || '0'))
"""
_ACCOUNTS: Final = """
SELECT count(DISTINCT split_part(originator_id, '/', 2)) FROM {events}
WHERE (originator_id LIKE 'account/%%' OR originator_id LIKE 'fees/%%') AND notification_id <= %(known)s
"""


class Frame:
    """Asks the tables of a schema."""

    def __init__(self, log: Log, schema: str) -> None:
        self._log = log
        self._read = read_schema(schema)
        self._names = {
            "events": Identifier(schema, EVENTS),
            "tracking": Identifier(schema, TRACKING),
            "schema": Identifier(schema),
            "read": Identifier(self._read),
        }

    def end(self) -> int:
        """The position of the last event."""
        return int(self._query(_ENDS)[0][0])

    def end_of_commit(self, position: int, after: int) -> int:
        """The end of the commit that a position lies in, or else the first event after `after`, if that is later.

        Where no commit says so, the position itself.
        """
        return int(self._query(_END_OF_COMMIT, position=position, after=after)[0][0])

    def made_by(self, position: int) -> int:
        """The end of the last commit that is over at a position."""
        return int(self._query(_COMMIT_BY_POSITION, position=position)[0][0] or 0)

    def recorded_by(self, time_ns: int) -> int:
        """The end of the last commit that was recorded at or before a time."""
        return int(self._query(_COMMIT_BY_TIME, time_ns=time_ns)[0][0] or 0)

    def requests(self, position: int) -> int:
        """How many requests have their first event up to a position, as the table of requests says."""
        return int(self._query(_COUNT_REQUESTS, position=position)[0][0])

    def accounts(self, known: int) -> int:
        """How many accounts have an event up to a position."""
        return int(self._query(_ACCOUNTS, known=known)[0][0])

    def existing(self, accounts: Iterable[str]) -> set[str]:
        """Those of some accounts that have an event."""
        return {name for (name,) in self._query(_EXISTING, accounts=list(accounts))}

    def check(self, known: int) -> Iterator[Deviation]:
        """What does not hold up to a position, which is the end of a commit."""
        for position, stream, before in self._rows(_POSITIONS, known=known):
            missing = (
                f"position {before + 1}" if position == before + 2 else f"positions {before + 1} to {position - 1}"
            )
            yield _said(before + 1, stream, f"no event lies at {missing}, before one of this stream")
        for position, stream, version, *before in self._rows(_VERSIONS, known=known):
            yield _said(position, stream, _version(stream, version, *before))
        for last, first, time_ns, last_before, time_before in self._rows(_COMMITS, known=known):
            if first != last_before + 1 or last < first:
                yield _said(last, "commits", f"it says {first} to {last}, the one before it ends at {last_before}")
            if time_ns <= time_before:
                yield _said(last, "commits", f"it was recorded at {time_ns}, the one before it at {time_before}")
        yield from self._ends(known)
        for request_id, position in self._rows(_REQUESTS, known=known, tag=_TAG):
            yield Deviation(position, "requests", (Difference(named(request_id), f"position {position}"),))
        yield from self._tracking(known)

    def _ends(self, known: int) -> Iterator[Deviation]:
        """What is said to have been recorded or taken in after the last event, and events that no commit made."""
        taken_in = int(self._query(_TAKEN_IN)[0][0] or 0) if self._query(_READ_SIDE, read=self._read) else 0
        event, commit = self._query(_ENDS)[0]  # after that, for the log only grows
        if commit > event:
            what = f"no event lies at positions {event + 1} to {commit}, which it says it made"
            yield _said(commit, "commits", what)
        if (last := min(event, known)) > commit:
            yield _said(last, "commits", f"no commit made positions {commit + 1} to {last}")
        if taken_in > event:
            what = f"no event lies at positions {event + 1} to {taken_in}, which they have taken in"
            yield _said(taken_in, "the tables of the read side", what)

    def _tracking(self, known: int) -> Iterator[Deviation]:
        """How far sources are said to be, and the last that they said themselves: both as they are now."""
        for source, tracked, end, *row in self._rows(_TRACKING):
            position, stream = (row[0], row[1]) if row[0] else (end or 0, source_stream(source))
            recorded = readable(row) if row[0] else None
            said = recorded.event.last_sequence if recorded and isinstance(recorded.event, SourceAdvanced) else 0
            if (tracked or 0) != said and (position <= known or not row[0]):
                yield Deviation(position, stream, (Difference("tracking", str(tracked or ""), str(said or "")),))

    def _rows(self, text: str, **parameters: Any) -> Iterator[tuple[Any, ...]]:
        return self._log.rows_of(SQL(text).format(**self._names), parameters)

    def _query(self, text: str, **parameters: Any) -> list[tuple[Any, ...]]:
        return self._log.query(SQL(text).format(**self._names), parameters)


def _version(stream: str, version: int, version_before: int, position_before: int) -> str:
    if stream.startswith("fees/"):
        return f"its version is {version}, and in a fee stream that is the position"
    if version != version_before + 1:
        return f"its version is {version}, expected {version_before + 1}"
    return f"its version is {version}, but version {version_before} comes after it, at position {position_before}"


def _said(position: int, stream: str, what: str) -> Deviation:
    return Deviation(position, stream, (Difference(what),))
