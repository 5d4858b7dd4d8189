"""Bounds what a session of the service takes of PostgreSQL's time, and how long it waits for an answer itself.

PostgreSQL ends a statement after `statement_ms_max`. That does not help where PostgreSQL itself stands still, or where
the network takes bytes and delivers none: so the client gives up too, a little later, and closes the connection.
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg
from psycopg.errors import ConnectionTimeout
from psycopg.rows import Row

# A peer that vanished without a word is given up after 10 s, by either side; TCP alone takes two hours.
TCP: Final = {"keepalives_idle": 4, "keepalives_interval": 2, "keepalives_count": 3, "tcp_user_timeout": 10_000}
CONNECT_S_MAX: Final = 5
_LATER_S: Final = 2.0  # PostgreSQL is to tell of a statement that took too long, not the client


class Patience:
    """The end of all waits of a process for PostgreSQL: none until `end_within` sets one."""

    def __init__(self) -> None:
        self._until_s = math.inf  # of the monotonic clock

    def end_within(self, seconds: float) -> None:
        """End waits: from now on none lasts longer than so many seconds; those that begin later are over at once."""
        self._until_s = min(self._until_s, time.monotonic() + seconds)

    @property
    def left_s(self) -> float:
        """Return the seconds until all waits end; infinite while no end is set."""
        return max(self._until_s - time.monotonic(), 0)


@dataclass(frozen=True, slots=True)
class Limits:
    """The milliseconds that one statement of a session may run, and wait for one lock; 0: as long as it takes."""

    statement_ms_max: int = 0
    lock_ms_max: int = 0
    patience: Patience = field(default_factory=Patience)

    def set_on(self, connection: psycopg.Connection[Any]) -> None:
        """Have PostgreSQL keep to the limits, and give up a client that vanished."""
        settings = {
            "statement_timeout": self.statement_ms_max,
            "lock_timeout": self.lock_ms_max,
            "tcp_keepalives_idle": TCP["keepalives_idle"],
            "tcp_keepalives_interval": TCP["keepalives_interval"],
            "tcp_keepalives_count": TCP["keepalives_count"],
            "tcp_user_timeout": TCP["tcp_user_timeout"],
        }
        chosen = ", ".join(f"set_config('{name}', '{value}', false)" for name, value in settings.items())
        connection.execute(f"SELECT {chosen}".encode())

    def until_s(self) -> float:
        """Return when a wait that begins now is over, by the monotonic clock, unless all waits end sooner."""
        return time.monotonic() + self.statement_ms_max / 1000 + _LATER_S if self.statement_ms_max else math.inf


class Session(psycopg.Connection[Row]):
    """A connection that waits no longer than its limits: then it is closed, and raises ConnectionTimeout."""

    limits: Limits | None = None  # from when it is open; `connect_timeout` bounds what comes before

    def wait(self, gen: Generator[Any, Any, Any], *arguments: Any, **more: Any) -> Any:
        """Run a generator of psycopg to its end."""
        if self.limits is None:
            return super().wait(gen, *arguments, **more)
        try:
            return super().wait(_patiently(gen, self.limits), *arguments, **more)
        except _OverError:
            self.pgconn.finish()  # an answer that comes now would be taken for that of the next statement
            raise ConnectionTimeout("PostgreSQL did not answer in time") from None


class _OverError(Exception):
    """A wait took too long."""


def _patiently(gen: Generator[Any, Any, Any], limits: Limits) -> Generator[Any, Any, Any]:
    """Run a generator that psycopg resumes every 0.1 s where nothing comes. Raises _OverError when its time is over."""
    until_s = limits.until_s()
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if not ready and (time.monotonic() >= until_s or not limits.patience.left_s):
                raise _OverError
            wanted = gen.send(ready)
    except StopIteration as end:
        return end.value
