"""Tables of another release: older ones are made anew by the runner, beside those in use; newer ones are left alone."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from typing import Any, Final

from psycopg import Connection

from ledger.store.log import Log
from ledger.store.reads import OneConnection
from projections.tables.progress import Progress
from projections.tables.rebuild import Rebuild, StillNeeded, give_rebuild_lock_back, take_rebuild_lock
from projections.tables.rows import TABLES
from projections.tables.switch import relation_names
from projections.tables.tables import (
    TABLES_VERSION,
    UNNUMBERED,
    TablesPosition,
    create_tables,
    read_schema,
    standing_statement,
)

_log: Final = logging.getLogger(__name__)

NEEDED: Final = frozenset({*TABLES, "position", "vip_now"})
_TOLD_EACH_S: Final = 10.0
_AGAIN_S: Final = 1.0  # what is in the way may be gone then


class _Stopped(Exception):
    """The runner is to end: a rebuild goes on at the next start."""


class Upgrade:
    """Keeps the tables of one ledger those of this release, over the connection of the only runner."""

    def __init__(self, log: Log, schema: str, stopping: threading.Event) -> None:
        self._log = log
        self._schema = schema
        self._read = read_schema(schema)
        self._stopping = stopping
        self._said = ""
        self._complete = False  # all tables are there

    def position(self, connection: Connection[Any]) -> int | None:
        """Return how far the tables are; None: they were others than this release makes, or are: ask again."""
        standing = self._standing(connection)
        if standing.version == TABLES_VERSION:
            return standing.position
        if not standing.version:
            create_tables(connection, self._schema)
        elif standing.version > TABLES_VERSION:
            self._say(
                f"the tables in {self._read} are of version {standing.version}, made by a newer release, and are left"
                f" alone: this release makes version {TABLES_VERSION}. Start that release, or run `fee-ledger rebuild`"
                " of this one"
            )
            self._stopping.wait(_AGAIN_S)
        elif not self._rebuilt(connection, f"of version {standing.version}"):
            self._stopping.wait(_AGAIN_S)
        return None

    def replace(self, connection: Connection[Any], position: int) -> None:
        """Make tables anew that are ahead of the log: it was restored without them, or they are of another ledger.

        The log is asked by the session of the tables: those of the pool may be with a replica, which is behind.
        """
        is_ahead = position > Log(OneConnection(self._schema, connection)).head().position
        are = f"at position {position}, which the log has not reached"
        if not is_ahead or not self._rebuilt(connection, are, anew=True):
            self._stopping.wait(_AGAIN_S)

    def _standing(self, connection: Connection[Any]) -> TablesPosition:
        """Return how the tables stand. Where some are missing, all are old ones, unless a newer release made them.

        That is looked for once.
        """
        names = set() if self._complete else set(relation_names(connection, self._read))
        if not self._complete and "position" not in names:
            return TablesPosition(0, UNNUMBERED if names else 0)
        row = connection.execute(standing_statement(self._schema)).fetchone()
        standing = TablesPosition(*row) if row else TablesPosition(0, UNNUMBERED)
        if not self._complete and standing.version == TABLES_VERSION and not names >= NEEDED:
            return TablesPosition(standing.position, UNNUMBERED)
        self._complete = standing.version == TABLES_VERSION
        return standing

    def _rebuilt(self, connection: Connection[Any], are: str, *, anew: bool = False) -> bool:
        """Make the tables anew, `are` says why; return True if they have taken the place of those in use.

        If `anew`, nothing that an earlier attempt has left is used.
        """
        if first := take_rebuild_lock(connection, self._schema, attempts=0):
            self._say(f"the tables in {self._read} are made anew by another session: {first}")
            return False
        try:
            self._rebuild(connection, are, anew=anew)
        except StillNeeded as error:
            self._say(f"the tables in {self._read} cannot be made anew: {error}")
            return False
        except _Stopped:
            return False
        finally:
            give_rebuild_lock_back(connection, self._schema)
        self._said = ""
        return True

    def _rebuild(self, connection: Connection[Any], are: str, *, anew: bool) -> None:
        began_s = time.monotonic()
        rebuild = Rebuild(self._log, self._schema, connection)
        goes_on = " go on being made" if rebuild.begin(anew=anew) else " are made"
        _log.info(
            "the tables in %s are %s: new ones, of version %d,%s beside them; those in use go on answering"
            " what they can",
            self._read, are, TABLES_VERSION, goes_on,
        )  # fmt: skip
        self._follow(rebuild.fill())
        self._follow(rebuild.catch_up(self._log.head().position))
        kept = rebuild.switch(wait=self._wait)
        position, seconds = rebuild.position_live(), time.monotonic() - began_s
        _log.info(
            "the tables in %s are of version %d now, at position %d, after %.1f s",
            self._read, TABLES_VERSION, position, seconds,
        )  # fmt: skip
        if kept:
            _log.warning("the tables that were replaced are kept: %s", kept)

    def _follow(self, steps: Iterable[Progress]) -> None:
        """Take the steps of a rebuild, and tell how far it is from time to time."""
        told_s = time.monotonic()
        for step in steps:
            if self._stopping.is_set():
                raise _Stopped
            if time.monotonic() - told_s >= _TOLD_EACH_S:
                told_s = time.monotonic()
                _log.info("new tables for %s: %d of %d %s", self._read, step.done, step.total, step.unit)

    def _wait(self) -> None:
        """Wait for readers of the tables in use to let go."""
        if self._stopping.wait(_AGAIN_S):
            raise _Stopped

    def _say(self, line: str) -> None:
        """Tell something once, however often it is found."""
        if line != self._said:
            _log.warning("%s", line)
            self._said = line
