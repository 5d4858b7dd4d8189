"""The pen of a ledger: a session advisory lock. Who waits for it watches the session that holds it.

A writer that was killed loses the pen at once, with its session. One that hangs, or whose network is cut, keeps its
session and with it the pen. So it is to use that session every `writer_check_ms`, which PostgreSQL shows to every
session of the same role; whoever waits ends a session that has shown nothing for `silent_ms_max` on its own clock.
"""

from __future__ import annotations

import logging
import time
from datetime import datetime
from typing import Any, Final, NamedTuple

import psycopg
from psycopg.errors import InsufficientPrivilege
from psycopg.sql import SQL

from ledger.store.lease import Lease

_log: Final = logging.getLogger(__name__)

APPLICATION: Final = "fee-ledger writer"
_END_MS_MAX: Final = 1_000

# `works`: PostgreSQL is at it and does not wait for its client; `statement_timeout` bounds that.
_HOLDER: Final = """
SELECT a.pid, a.backend_start, a.query_start, a.state_change, coalesce(c.bytes_processed, 0),
    a.state = 'active' AND coalesce(a.wait_event_type, '') <> 'Client', a.application_name,
    coalesce(host(a.client_addr), 'this machine'), (extract(epoch FROM clock_timestamp() - a.state_change) * 1000)::int8
FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid) LEFT JOIN pg_stat_progress_copy AS c USING (pid)
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND a.datname = current_database()
    AND l.database = a.datid AND (l.classid::bigint << 32 | l.objid::bigint) = hashtextextended({name}, 0)
"""
_SELF: Final = b"SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()"
_END: Final = b"SELECT pg_terminate_backend(pid, %s) FROM pg_stat_activity WHERE pid = %s AND backend_start = %s"


class _Signs(NamedTuple):
    """Signs of life: each use of a session changes them. None: PostgreSQL hides it (track_activities, a role)."""

    pid: int
    backend_start: datetime | None
    query_start: datetime | None
    state_change: datetime | None
    bytes_copied: int


class _Holder(NamedTuple):
    """The session that holds the pen, as PostgreSQL shows it."""

    signs: _Signs
    works: bool
    application: str
    where: str
    idle_ms: int | None

    def __str__(self) -> str:
        return f"{self.application!r}, pid {self.signs.pid}, from {self.where}, idle for {self.idle_ms} ms"


class Pen:
    """The pen of one ledger, as one process sees it. Raises psycopg.Error where PostgreSQL cannot be reached."""

    def __init__(self, schema: str, lease: Lease, silent_ms_max: int) -> None:
        self._lease = lease
        self._silent_ns_max = silent_ms_max * 1_000_000
        name = f"{schema}:writer"
        self._try = SQL("SELECT pg_try_advisory_lock(hashtextextended({}, 0))").format(name)
        self._who = SQL(_HOLDER).format(name=name)
        self._own: dict[int, datetime] = {}  # sessions of this process that may have had it: backend_start by pid
        self._signs: _Signs | None = None  # of another process that has it
        self._since_ns = 0  # of the lease's clock: no sign has changed since
        self._told = ""

    def note(self, connection: psycopg.Connection[Any]) -> None:
        """Remember a session of this process, which may get the pen without ever hearing of it."""
        self._own.update(connection.execute(_SELF).fetchall())

    def take(self, connection: psycopg.Connection[Any]) -> bool:
        """Take it for a session; return False if another one has it.

        An earlier session of this process is ended at once, one of another process after a long silence. What another
        process answers it may answer for the span of a lease after it has lost the pen; that is waited for.
        """
        if not self._taken(connection) and not (self._end_silent(connection) and self._taken(connection)):
            return False
        if self._signs is not None:
            time.sleep(self._lease.span_ns / 1e9)
        self._signs = None
        self._own.clear()
        self.note(connection)
        return True

    def _taken(self, connection: psycopg.Connection[Any]) -> bool:
        found = connection.execute(self._try).fetchone()
        return found is not None and bool(found[0])

    def _end_silent(self, connection: psycopg.Connection[Any]) -> bool:
        """End the session that has the pen, if it may be ended; return whether it has ended."""
        asked_ns = self._lease.clock_ns()
        holder = self._holder(connection)
        if holder is None:
            return True  # it has just ended
        if self._own.get(holder.signs.pid) == holder.signs.backend_start:
            return self._end(connection, holder, "an earlier session of this process has the pen: it is ended")
        if self._signs is None or self._signs[:2] != holder.signs[:2]:
            self._tell("another process has the pen", holder, logging.INFO)
        if holder.works or holder.signs != self._signs:
            self._signs, self._since_ns = holder.signs, self._lease.clock_ns()
        if asked_ns - self._since_ns < self._silent_ns_max or not _is_writer(holder):
            return False
        return self._end(connection, holder, "the writer gives no sign of life: its session is ended")

    def _holder(self, connection: psycopg.Connection[Any]) -> _Holder | None:
        found = connection.execute(self._who).fetchone()
        return None if found is None else _Holder(_Signs(*found[:5]), *found[5:])

    def _end(self, connection: psycopg.Connection[Any], holder: _Holder, why: str) -> bool:
        self._tell(why, holder)
        try:
            ended = connection.execute(_END, (_END_MS_MAX, holder.signs.pid, holder.signs.backend_start)).fetchone()
        except InsufficientPrivilege as error:
            self._tell(f"it could not be ended: {error}", holder)
            return False
        return ended is None or bool(ended[0])

    def _tell(self, what: str, holder: _Holder, level: int = logging.WARNING) -> None:
        """Log it once, not at each look."""
        told = f"{what} {holder.signs[:2]}"
        if told != self._told:
            _log.log(level, "%s (%s)", what, holder)
        self._told = told


def _is_writer(holder: _Holder) -> bool:
    """Return whether it is a writer's session, and one that PostgreSQL shows the signs of."""
    return holder.application == APPLICATION and holder.signs.query_start is not None
