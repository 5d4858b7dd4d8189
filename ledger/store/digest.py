"""What the log was, in 32 bytes, so that what a migration leaves can be held against it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from psycopg import Connection
from psycopg.sql import SQL, Identifier

from ledger.store.postgres.migrate import EVENTS

Show: TypeAlias = Callable[[str, int, int], object]  # told of a unit, how many are done, and how many there are

_EVENTS_PER_STEP: Final = 1_000
_LOG: Final = (
    "COPY (SELECT notification_id, originator_id, originator_version, topic, state FROM {} WHERE notification_id <= {}"
    " ORDER BY notification_id) TO STDOUT (FORMAT BINARY)"
)


def digest_of_log(connection: Connection[Any], schema: str, until: int, show: Show = lambda *_: None) -> bytes:
    """Return the SHA-256 of all events up to a position, as MigrationApplied has it.

    It is that of the bytes that PostgreSQL sends for a COPY, so psql and sha256sum give the same. Rows are digested as
    they come, and take no memory.
    """
    digest = hashlib.sha256()
    with connection.cursor() as cursor, cursor.copy(SQL(_LOG).format(Identifier(schema, EVENTS), until)) as copy:
        for done, sent in enumerate(copy):
            digest.update(sent)
            if done % _EVENTS_PER_STEP == 0:
                show("events", done, until)
    return digest.digest()
