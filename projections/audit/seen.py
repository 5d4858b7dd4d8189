"""A digest of what an audit has read, by which a later one knows that nobody has changed it since."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from ledger.store.digest import RunningDigest
from ledger.store.log import Log
from projections.audit.queries import Queries
from projections.audit.rows import COLUMNS, IN_SCOPE, scope_parameters
from projections.audit.scope import Scope

_EVENTS: Final = f"SELECT {COLUMNS} FROM {{events}} WHERE {IN_SCOPE} ORDER BY notification_id"
_COMMITS: Final = """
SELECT last_position, first_position, recorded_time_ns FROM {schema}.commits
WHERE last_position > %(after)s AND last_position <= %(until)s ORDER BY last_position
"""


class Seen(Queries):
    """A running SHA-256 over the events of a scope and all commits, from the beginning of the log on.

    Into how many stretches the log is cut makes no difference to it.
    """

    def __init__(self, log: Log, scope: Scope) -> None:
        super().__init__(log)
        self._scope = scope
        self._events, self._commits = RunningDigest(self._sql(_EVENTS)), RunningDigest(self._sql(_COMMITS))

    def take(self, after: int, until: int) -> str:
        """Go on from `after`, where the last stretch ended; return the digest up to `until`, in hex."""
        parameters = scope_parameters(after, until, self._scope)
        with self._log.connections.get_connection() as connection:
            digests = [each.take(connection, parameters) for each in (self._events, self._commits)]
        return sha256(b"".join(digests)).hexdigest()
