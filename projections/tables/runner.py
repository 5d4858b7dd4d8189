"""Keeps the tables of the read side up with the log: in batches, woken by commits, with a poll as fallback."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import psycopg
from eventsourcing.persistence import PersistenceError
from psycopg.sql import SQL, Identifier

from ledger.store.log import Log
from ledger.store.postgres.migrate import channel_of
from projections.tables.rest import FreeTime, rest_s
from projections.tables.tables import POSITIONS_PER_BATCH, Tables, read_schema
from projections.tables.upgrade import Upgrade

_log: Final = logging.getLogger(__name__)

_POLL_S: Final = 0.5  # a lost notification costs at most this
_GIVE_WAY_S: Final = 0.005  # who waits for the answer to a commit comes first
_RESTART_S_FIRST: Final = 0.25
_RESTART_S_MAX: Final = 10.0


class Runner:
    """A thread that follows the log. What ends it ends only this attempt: it starts again, waiting longer each time.

    Of several runners on one ledger one works, the others wait for its lock.
    """

    def __init__(self, log: Log, schema: str, connect: Callable[[], psycopg.Connection[Any]]) -> None:
        self._log = log
        self._schema = schema
        self._channel = channel_of(schema)
        self._connect = connect
        self.restarts = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self.run, name="projections", daemon=True)

    def start(self) -> None:
        """Begin, in a thread."""
        self._thread.start()

    def stop(self) -> None:
        """End after the batch under way."""
        self._stopping.set()
        with suppress(psycopg.Error), self._connect() as connection:
            connection.execute("SELECT pg_notify(%s, '')", (self._channel,))  # it may be waiting for a commit
        self._thread.join()

    def run(self) -> None:
        """Follow the log until `stop`."""
        wait_s = _RESTART_S_FIRST
        while not self._stopping.is_set():
            began_s = time.monotonic()
            try:
                with self._connect() as connection:
                    self._follow(connection)
            except Exception as error:  # whatever it was, tables that stand still must not end the service
                self.restarts += 1
                if time.monotonic() - began_s > _RESTART_S_MAX:
                    wait_s = _RESTART_S_FIRST
                if isinstance(error, psycopg.Error | PersistenceError):
                    said = " ".join(str(error).split())
                    _log.warning("the projections stopped: %s; they start again in %.1f s", said, wait_s)
                else:
                    _log.exception("the projections stopped; they start again in %.1f s", wait_s)
                self._stopping.wait(wait_s)
                wait_s = min(2 * wait_s, _RESTART_S_MAX)

    def _follow(self, connection: psycopg.Connection[Any]) -> None:
        connection.execute("SET synchronous_commit = off")  # lost rows and their position are lost together
        while not self._lead(connection):
            if self._stopping.wait(_POLL_S):
                return
        connection.execute(SQL("LISTEN {}").format(Identifier(self._channel)))
        tables = Tables(self._log, self._schema)
        upgrade = Upgrade(self._log, self._schema, self._stopping)
        free, reached_s = FreeTime(), time.monotonic()  # when the log was seen to end where the tables do now
        while not self._stopping.is_set():
            position = upgrade.position(connection)  # asked each time: a rebuild may have put others in their place
            if position is None:
                continue
            began_s, head = time.monotonic(), self._log.head().position
            if position > head:
                upgrade.replace(connection, position)
            elif position < head:
                behind = head - position > POSITIONS_PER_BATCH
                until = self._log.end_of_commit(position + POSITIONS_PER_BATCH) if behind else head
                tables.advance(connection, position, until)
                reached_s = began_s if until == head else reached_s
                if self._log.head().position > head:
                    now_s = time.monotonic()
                    self._stopping.wait(rest_s(now_s - began_s, now_s - reached_s, free.share()))
            elif list(connection.notifies(timeout=_POLL_S, stop_after=1)):
                self._stopping.wait(_GIVE_WAY_S)

    def _lead(self, connection: psycopg.Connection[Any]) -> bool:
        statement = "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))"
        row = connection.execute(statement, (f"{read_schema(self._schema)}:runner",)).fetchone()
        return row is not None and bool(row[0])
