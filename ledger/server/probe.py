"""Finds out whether PostgreSQL answers now: a thread asks it all the time, over a session of its own."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import psycopg

from ledger.seldom import Seldom
from ledger.store.postgres.embedded import EmbeddedError
from ledger.store.postgres.keeper import Keeper
from ledger.wire.store_faults import refusal_of

_failing: Final = Seldom(logging.getLogger(__name__))

EVERY_S: Final = 0.3
STATEMENT_MS_MAX: Final = 1_000
CONNECT_S_MAX: Final = 2
_SILENT_S_MAX: Final = 1.0  # with the pauses here and in health, a frozen PostgreSQL is noticed within 2 s
_SILENT: Final = "PostgreSQL does not answer"


class Probe:
    """Tells why PostgreSQL cannot be used. The time of the question under way counts, so it may hang for ever.

    Where none is under way, PostgreSQL is not silent, however long ago it answered: this service may have stood still.
    """

    def __init__(
        self, connect: Callable[[], psycopg.Connection[Any]], keeper: Keeper, recovered: Callable[[], None]
    ) -> None:
        """`recovered` is called in the thread of the probe when PostgreSQL answers again."""
        self._connect = connect
        self._keeper = keeper
        self._recovered = recovered
        self._connection: psycopg.Connection[Any] | None = None
        self._fault = _SILENT
        self._asked_s = math.inf  # of the monotonic clock; inf: no question is under way
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="probe", daemon=True)

    @property
    def fault(self) -> str:
        """The reason why PostgreSQL cannot be used, for people; empty if it answered the last question."""
        is_silent = time.monotonic() - self._asked_s > _SILENT_S_MAX
        return self._fault or (_SILENT if is_silent else "")

    def start(self) -> None:
        """Ask once, and start the thread that goes on asking."""
        self._ask()
        self._thread.start()

    def stop(self) -> None:
        """End the thread, after the question under way."""
        self._stopping.set()
        self._thread.join()
        self._hang_up()

    def _run(self) -> None:
        while not self._stopping.wait(EVERY_S):
            self._ask()

    def _ask(self) -> None:
        was, self._asked_s = self.fault, time.monotonic()
        try:
            self._keeper.tend()
            if self._connection is None:
                self._connection = self._connect()
            self._connection.execute("SELECT")
        except (psycopg.Error, EmbeddedError) as error:
            self._fail(refusal_of(error).detail)
        except Exception:  # a defect must not end the thread: nobody would notice when PostgreSQL answers again
            _failing.exception("a defect: the store could not be probed, and counts as one that does not answer")
            self._fail(_SILENT)
        else:
            self._fault = ""
            if was:
                self._recovered()
        finally:
            self._asked_s = math.inf

    def _fail(self, why: str) -> None:
        self._fault = why
        self._hang_up()

    def _hang_up(self) -> None:
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.close()
            self._connection = None
