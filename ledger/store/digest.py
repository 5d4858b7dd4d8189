"""Digests of the log, in 32 bytes: by them a migration says what it left, and an audit knows what it has read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from psycopg import Connection
from psycopg.sql import SQL, Composed, Identifier

from ledger.store.postgres.migrate import EVENTS
from ledger.store.rows import COPY_BEGINS, COPY_ENDS

Show: TypeAlias = Callable[[str, int, int], object]  # told of a unit, how many are done, and how many there are

_ROWS_PER_STEP: Final = 1_000
_EVENTS: Final = (
    "SELECT notification_id, originator_id, originator_version, topic, state FROM {}"
    " WHERE notification_id > %(after)s AND notification_id <= %(until)s ORDER BY notification_id"
)


class RunningDigest:
    """The SHA-256 of rows, as one binary COPY of all of them sends them, however many stretches they are taken in.

    So psql and sha256sum give the same. Rows are digested as they come, and take no memory.
    """

    def __init__(self, rows: Composed) -> None:
        """`rows` is the SELECT of a stretch: rows after a position, `after`, up to another one, `until`, in order."""
        self._copy = SQL("COPY ({}) TO STDOUT (FORMAT BINARY)").format(rows)
        self._sha256 = hashlib.sha256(COPY_BEGINS)

    def take(
        self, connection: Connection[Any], stretch: Mapping[str, Any], show: Callable[[int], object] = lambda _: None
    ) -> bytes:
        """Take in the next stretch, by its parameters; return the digest of all so far. `show` is told of rows done."""
        beginning, ending = len(COPY_BEGINS), b""  # of this COPY: they are not of the rows
        with connection.cursor() as cursor, cursor.copy(self._copy, stretch) as copy:
            for done, sent in enumerate(copy):
                data = ending + bytes(sent[beginning:])
                beginning, ending = max(beginning - len(sent), 0), data[-len(COPY_ENDS) :]
                self._sha256.update(data[: -len(COPY_ENDS)])
                if done % _ROWS_PER_STEP == 0:
                    show(done)
        whole = self._sha256.copy()
        whole.update(ending)
        return whole.digest()


def events_digest(schema: str) -> RunningDigest:
    """Return the digest of all events of a log, as MigrationApplied has it, before any is taken in."""
    return RunningDigest(SQL(_EVENTS).format(Identifier(schema, EVENTS)))
