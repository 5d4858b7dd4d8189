"""A digest of what an audit has read, by which a later one knows that nobody has changed it since."""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Final

from psycopg.sql import SQL, Identifier

from ledger.store.log import Log
from ledger.store.postgres.migrate import EVENTS
from projections.audit.rows import COLUMNS, IN_SCOPE, scope_parameters
from projections.audit.scope import Scope

# PostgreSQL hashes the rows; `record_send` says all of a row, and where each value of it ends.
_OF_EVENTS: Final = f"""
SELECT string_agg(sha256(record_send(ROW({COLUMNS}))), ''::bytea ORDER BY notification_id) FROM {{events}}
WHERE {IN_SCOPE}
"""
_OF_COMMITS: Final = """
SELECT string_agg(int8send(last_position) || int8send(first_position) || int8send(recorded_time_ns), ''::bytea
    ORDER BY last_position) FROM {schema}.commits WHERE last_position > %(after)s AND last_position <= %(until)s
"""


class Seen:
    """A running SHA-256 over the events of a scope and all commits, from the beginning of the log on.

    Into how many stretches the log is cut makes no difference to it.
    """

    def __init__(self, log: Log, schema: str, scope: Scope) -> None:
        self._log = log
        self._scope = scope
        self._names = {"events": Identifier(schema, EVENTS), "schema": Identifier(schema)}
        self._events, self._commits = sha256(), sha256()

    def take(self, after: int, until: int) -> str:
        """Go on from `after`, where the last stretch ended; return the digest up to `until`, in hex."""
        self._events.update(self._bytes(_OF_EVENTS, **scope_parameters(after, until, self._scope)))
        self._commits.update(self._bytes(_OF_COMMITS, after=after, until=until))
        return sha256(self._events.digest() + self._commits.digest()).hexdigest()

    def _bytes(self, text: str, **parameters: Any) -> bytes:
        return self._log.query(SQL(text).format(**self._names), parameters)[0][0] or b""
