"""A pool's connections for those who answer callers: no wait for one, and no statement, goes on without its caller."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import psycopg
from eventsourcing.postgres import PostgresDatastore
from psycopg import Connection

from ledger.caller import Caller, caller

_LOOK_UP_S: Final = 0.2  # how often it is looked whether callers are still there
_CANCEL_S_MAX: Final = 1.0


class CallersConnections:
    """Hands out a pool's connections, and cancels what runs on them when the caller hangs up."""

    def __init__(self, datastore: PostgresDatastore) -> None:
        self.schema = datastore.schema
        self._datastore = datastore
        self._bound_waits()
        self._callers: dict[Connection[Any], Caller | None] = {}  # None: cancelled
        self._mutex = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="callers", daemon=True)

    def start(self) -> None:
        """Begin to look whether callers are there."""
        self._thread.start()

    def stop(self) -> None:
        """End the looking."""
        self._stopping.set()
        self._thread.join()

    @contextmanager
    def get_connection(self) -> Iterator[Connection[Any]]:
        """Give a connection until the block ends. Raises PersistenceError where there is none in time."""
        with self._datastore.get_connection() as connection:
            self._callers[connection] = caller()
            try:
                yield connection
            finally:
                with self._mutex:
                    cancelled = self._callers.pop(connection) is None
                if cancelled:  # that may still be on its way, and would hit the next caller
                    connection.close()

    def _bound_waits(self) -> None:
        """Have the pool wait for a free connection no longer than the caller does; the library cannot be told."""
        pool = self._datastore.pool
        wait = pool.getconn

        def getconn(timeout: float | None = None) -> Any:
            seconds = pool.timeout if timeout is None else timeout
            return wait(caller().wait_s(int(1000 * seconds)))

        pool.getconn = getconn  # type: ignore[method-assign]

    def _watch(self) -> None:
        while not self._stopping.wait(_LOOK_UP_S):
            for connection, who in list(self._callers.items()):
                if who is not None and who.hung_up:
                    self._cancel(connection, who)

    def _cancel(self, connection: Connection[Any], who: Caller) -> None:
        with self._mutex:
            if self._callers.get(connection) is not who:  # its work is done
                return
            self._callers[connection] = None
        with suppress(psycopg.Error):
            connection.cancel_safe(timeout=_CANCEL_S_MAX)
