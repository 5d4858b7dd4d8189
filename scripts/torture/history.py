"""Checks what calls are told as the present: each answer is to be the present at some moment of its call.

An answer is stale if it is of a position before one that was told to anybody before the call began, by an
acknowledgement or by another answer. It is ahead if the log does not have its position when the call is over.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Final, NamedTuple, Self

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Composed, Identifier

from ledger.store.postgres.migrate import EVENTS

_LOOK_EVERY_S: Final = 0.005
_CONNECT_S_MAX: Final = 2
_JOIN_S_MAX: Final = 30
_FINDINGS_MAX: Final = 100  # sentences; all are counted


class Told(NamedTuple):
    """The highest positions that anybody had been told: by an acknowledgement, and by an answer."""

    acknowledged: int
    answered: int


class History:
    """Keeps what was told so far. While the block runs, a thread looks at PostgreSQL itself, through no service."""

    def __init__(self, dsn: str, schema: str) -> None:
        self._dsn = make_conninfo(dsn, connect_timeout=_CONNECT_S_MAX)
        self._schema = schema
        self._mutex = threading.Lock()
        self._told = Told(0, 0)
        self._unchecked = 0  # the highest position answered since the last look at the log
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.compared = self.stale = self.ahead = self.looks = 0
        self.findings: list[str] = []  # one sentence each

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(_JOIN_S_MAX)

    def before(self) -> Told:
        """Return what had been told; to be asked when a call begins."""
        return self._told

    def acknowledge(self, position: int) -> None:
        """Note that something was acknowledged at a position."""
        with self._mutex:
            self._told = self._told._replace(acknowledged=max(position, self._told.acknowledged))

    def compare(self, before: Told, position: int, who: str) -> None:
        """Compare an answer, which `who` has just given as the present, with what had been told before its call."""
        with self._mutex:
            self.compared += 1
            self._told = self._told._replace(answered=max(position, self._told.answered))
            self._unchecked = max(position, self._unchecked)
        for had, at in zip(("acknowledged", "answered"), before, strict=True):
            if position < at:
                self.find_stale(f"{who} says {position} is the present, and {at} had been {had} before it was asked")
                break

    def find_stale(self, finding: str) -> None:
        """Count an answer, or a refusal, by a state that was overtaken."""
        with self._mutex:
            self.stale += 1
            self._tell(finding)

    def _tell(self, finding: str) -> None:
        if len(self.findings) < _FINDINGS_MAX:
            self.findings.append(finding)

    def _watch(self) -> None:
        """Look until the block ends, however often PostgreSQL goes away."""
        head = SQL("SELECT max(notification_id) FROM {}").format(Identifier(self._schema, EVENTS))
        while not self._over.is_set():
            with suppress(psycopg.Error), psycopg.connect(self._dsn, autocommit=True) as connection:
                while not self._over.wait(_LOOK_EVERY_S):
                    self._look(connection, head)
            self._over.wait(_LOOK_EVERY_S)

    def _look(self, connection: psycopg.Connection[tuple[int]], head: Composed) -> None:
        """Whatever was answered before now must be in the log now."""
        with self._mutex:
            answered = self._unchecked
        ((at,),) = connection.execute(head).fetchall()
        with self._mutex:
            self.looks += 1
            if answered > (at or 0):
                self.ahead += 1
                self._tell(f"{answered} was answered as the present, and the log is at {at}")
            if self._unchecked == answered:
                self._unchecked = 0
