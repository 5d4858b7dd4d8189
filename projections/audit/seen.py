"""A digest of what an audit has read, by which a later one knows that nobody has changed it since."""

from __future__ import annotations

from hashlib import sha256

from ledger.store.digest import RunningDigest
from ledger.store.log import Log
from projections.audit.queries import Queries
from projections.audit.rows import ChosenRows


class Seen(Queries):
    """A running SHA-256 over the rows of an audit and their commits, from the beginning of the log on.

    Into how many stretches the log is cut makes no difference to it.
    """

    def __init__(self, log: Log, chosen: ChosenRows) -> None:
        super().__init__(log)
        self._chosen = chosen
        self._events, self._commits = (RunningDigest(self._sql(text)) for text in (chosen.EVENTS, chosen.COMMITS))

    def take(self, after: int, until: int) -> str:
        """Go on from `after`, where the last stretch ended; return the digest up to `until`, in hex."""
        parameters = self._chosen.parameters(after, until)
        with self._log.connections.get_connection() as connection:
            digests = [each.take(connection, parameters) for each in (self._events, self._commits)]
        return sha256(b"".join(digests)).hexdigest()
