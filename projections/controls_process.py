"""Controls in a process of their own: what they compute, and hold, holds up neither the writer nor other reads.

The process is started by the first search, runs one at a time, and ends with the service. Whatever ends it is the error
of the search that it ran; the next one starts another process.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import resource
import threading
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, ClassVar, Final, NamedTuple

import psycopg
from eventsourcing.persistence import PersistenceError

from ledger.caller import caller
from ledger.config import Config
from ledger.domain.refusal import Reason, Refusal
from ledger.log_lines import log_as
from ledger.store.postgres.database import open_datastore
from ledger.store.postgres.session import Limits
from ledger.wire.status import RefusedError, refuse
from ledger.wire.store_faults import refusal_of
from projections.child_process import end_with_parent, signals_held
from projections.searches import IDLE_S, SNAPSHOTS_MAX, Found, Page, Searches

_log: Final = logging.getLogger(__name__)

_NICE: Final = 10  # the writer comes first
_LOOK_S: Final = 0.1  # how often it is looked whether the caller still waits
_END_S_MAX: Final = 5.0
_TAKEN: Final = "taken"
_ENDED: Final = "the search was ended: the service stops, or nobody waits for it"


class _Refused(NamedTuple):
    """A refusal on its way between the processes."""

    refusal: Refusal
    metadata: dict[str, str]


class ControlsProcess:
    """The process that runs controls, as those see it who ask it."""

    start_method: ClassVar = "spawn"  # not a copy of a process with threads; and no folder is needed for it

    def __init__(self, dsn: str, config: Config) -> None:
        self._dsn = dsn
        self._config = config
        self._mutex = threading.Lock()
        self._stopping = threading.Event()
        self._pipe: Connection | None = None
        self._process: multiprocessing.process.BaseProcess | None = None

    def page(self, page: Page) -> list[Found]:
        """Return a page of findings. Raises RefusedError, also where the process ends, or the caller waits no more."""
        who = caller()
        with who.aside() as has_place:
            if not has_place:
                refuse(Reason.QUEUE_FULL, "", "as many pages wait as may")
            while not self._mutex.acquire(timeout=_LOOK_S):
                if who.hung_up or self._stopping.is_set():
                    refuse(Reason.QUEUE_FULL, "", "another search was not over yet")
            try:
                return self._answered(page)
            finally:
                self._mutex.release()

    @property
    def pid(self) -> int | None:
        """Return the id of the process; None: it has not been needed yet, or it was ended."""
        process = self._process
        return process.pid if process is not None and process.is_alive() else None

    def stop(self) -> None:
        """End it, and whatever it computes."""
        self._stopping.set()
        with self._mutex:
            self._end()

    def _given(self, page: Page) -> Connection:
        """Give a page to the process, and return the pipe to it once it has taken the page.

        One that has died since its last search takes none, and is replaced.
        """
        if self._pipe is not None:
            with suppress(EOFError, OSError):
                return self._gave(self._pipe, page)
            self._end()
        return self._gave(self._started(), page)

    def _started(self) -> Connection:
        context: Any = multiprocessing.get_context(self.start_method)
        self._pipe, theirs = context.Pipe()
        arguments = (theirs, self._dsn, self._config)
        self._process = context.Process(target=_run, args=arguments, name="controls", daemon=True)
        with signals_held():
            self._process.start()
        theirs.close()
        return self._pipe

    def _gave(self, pipe: Connection, page: Page) -> Connection:
        pipe.send(page)
        self._next(pipe)
        return pipe

    def _next(self, pipe: Connection) -> Any:
        """Return what the process sends next. Raises EOFError or OSError if it is gone."""
        who = caller()
        while not pipe.poll(_LOOK_S):
            if who.hung_up or self._stopping.is_set():
                self._end()
                refuse(Reason.QUEUE_FULL, "", _ENDED)
        return pipe.recv()

    def _answered(self, page: Page) -> list[Found]:
        if self._stopping.is_set():
            refuse(Reason.QUEUE_FULL, "", _ENDED)
        try:
            answer = self._next(self._given(page))
        except (EOFError, OSError):
            self._end()
            code = self._process.exitcode if self._process else None
            _log.error("the process of controls ended by itself (exit code %s) in %s", code, page.search)
            raise RefusedError(_ended(page)) from None
        if isinstance(answer, _Refused):
            raise RefusedError(answer.refusal, **answer.metadata)
        if isinstance(answer, str):
            raise RuntimeError(answer)
        return list(answer)

    def _end(self) -> None:
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None
        if self._process is not None:
            self._process.kill()
            self._process.join(_END_S_MAX)


def _ended(page: Page) -> Refusal:
    why = "it may need more than control_bytes_max"  # the log of the service has what the process said last
    return Refusal(Reason.INTERNAL, "", f"the process of controls ended while it ran {_name(page)}: {why}")


def _too_large(page: Page) -> Refusal:
    return Refusal(Reason.INTERNAL, "", f"{_name(page)} needs more than control_bytes_max")


def _name(page: Page) -> str:
    return page.search.control or "a control"


# --- in the process


def _run(pipe: Connection, dsn: str, config: Config) -> None:
    """Answer one page after the other, until the service closes the pipe, or is gone."""
    end_with_parent()
    log_as(config.log_format, config.log_level)
    os.nice(_NICE)
    with suppress(OSError):  # where there is no /proc
        Path("/proc/self/oom_score_adj").write_text("1000")  # it is this process that Linux ends for want of memory
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (config.control_bytes_max, hard))
    limits = Limits(config.read_statement_ms_max, config.lock_ms_max)
    with (
        open_datastore(dsn, config.schema, connections=SNAPSHOTS_MAX, limits=limits) as datastore,
        suppress(EOFError, OSError),
    ):
        searches = Searches(datastore)
        while True:
            if not pipe.poll(IDLE_S):
                searches.rest()
            page = pipe.recv()
            pipe.send(_TAKEN)
            pipe.send(_answer(searches, page))


def _answer(searches: Searches, page: Page) -> list[Found] | _Refused | str:
    try:
        return searches.page(page)
    except RefusedError as error:
        return _Refused(error.refusal, error.metadata)
    except (PersistenceError, psycopg.Error) as error:
        return _Refused(refusal_of(error), {})
    except MemoryError:
        return _Refused(_too_large(page), {})
    except Exception as error:  # a defect of one control ends no other one
        _log.exception("a control failed: %s", page.search)
        return f"{type(error).__name__}: {error}"
