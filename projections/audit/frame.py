"""What holds a log together: positions without gaps, versions in order, commits that cover both."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from psycopg.sql import SQL, Identifier

from ledger.replay.compare import Deviation, Difference
from ledger.store.log import Log
from ledger.store.postgres.migrate import EVENTS

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
SELECT (SELECT max(notification_id) FROM {events}), (SELECT max(last_position) FROM {schema}.commits)
"""
_END_OF_COMMIT: Final = """
SELECT last_position FROM {schema}.commits WHERE last_position >= %(position)s ORDER BY last_position LIMIT 1
"""
_COMMIT_BY_POSITION: Final = "SELECT max(last_position) FROM {schema}.commits WHERE last_position <= %(position)s"
_COMMIT_BY_TIME: Final = "SELECT max(last_position) FROM {schema}.commits WHERE recorded_time_ns <= %(time_ns)s"
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
    """Asks the tables of a schema; all in SQL, so that it takes no memory here."""

    def __init__(self, log: Log, schema: str) -> None:
        self._log = log
        self._names = {"events": Identifier(schema, EVENTS), "schema": Identifier(schema)}

    def end(self) -> int:
        """The last position that an event or a commit has."""
        return max(int(each or 0) for each in self._query(_ENDS)[0])

    def end_of_commit(self, position: int) -> int:
        """The end of the commit that a position lies in; where no commit says so, the position itself."""
        rows = self._query(_END_OF_COMMIT, position=position)
        return int(rows[0][0]) if rows else position

    def made_by(self, position: int) -> int:
        """The end of the last commit that is over at a position."""
        return int(self._query(_COMMIT_BY_POSITION, position=position)[0][0] or 0)

    def recorded_by(self, time_ns: int) -> int:
        """The end of the last commit that was recorded at or before a time."""
        return int(self._query(_COMMIT_BY_TIME, time_ns=time_ns)[0][0] or 0)

    def accounts(self, known: int) -> int:
        """How many accounts have an event up to a position."""
        return int(self._query(_ACCOUNTS, known=known)[0][0])

    def existing(self, accounts: Iterable[str]) -> set[str]:
        """Those of some accounts that have an event."""
        return {name for (name,) in self._query(_EXISTING, accounts=list(accounts))}

    def check(self, known: int) -> Iterator[Deviation]:
        """What does not hold up to a position, which is the end of a commit."""
        for position, stream, before in self._query(_POSITIONS, known=known):
            missing = (
                f"position {before + 1}" if position == before + 2 else f"positions {before + 1} to {position - 1}"
            )
            yield _said(before + 1, stream, f"no event lies at {missing}, before one of this stream")
        for position, stream, version, *before in self._query(_VERSIONS, known=known):
            yield _said(position, stream, _version(stream, version, *before))
        for last, first, time_ns, last_before, time_before in self._query(_COMMITS, known=known):
            if first != last_before + 1 or last < first:
                yield _said(last, "commits", f"it says {first} to {last}, the one before it ends at {last_before}")
            if time_ns <= time_before:
                yield _said(last, "commits", f"it was recorded at {time_ns}, the one before it at {time_before}")
        yield from self._ends(known)

    def _ends(self, known: int) -> Iterator[Deviation]:
        """The last event is that of the last commit."""
        event, commit = (int(each or 0) for each in self._query(_ENDS)[0])
        event, commit = min(event, known), min(commit, known)
        if commit > event:
            yield _said(commit, "commits", f"no event lies at positions {event + 1} to {commit}, which it says it made")
        if event > commit:
            yield _said(event, "commits", f"no commit made positions {commit + 1} to {event}")

    def _query(self, text: str, **parameters: Any) -> list[tuple[Any, ...]]:
        return self._log.query(SQL(text).format(**self._names), parameters)


def _version(stream: str, version: int, version_before: int, position_before: int) -> str:
    if stream.startswith("fees/"):
        return f"its version is {version}, and in a fee stream that is the position"
    if version != version_before + 1:
        return f"its version is {version}, expected {version_before + 1}"
    return f"its version is {version}, but version {version_before} lies behind it, at position {position_before}"


def _said(position: int, stream: str, what: str) -> Deviation:
    return Deviation(position, stream, (Difference(what),))
