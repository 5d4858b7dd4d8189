"""Log on stderr: a line for each record, as text for people or as JSON for programs (docs/operations/logs.md).

A line says what is known of the call that it is about. It holds no password, and nothing that cannot be seen.
"""

from __future__ import annotations

import atexit
import faulthandler
import json
import logging
import os
import re
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final, TextIO

from ledger.caller import caller
from ledger.masked import masked
from ledger.visible import visible, visible_lines

_STYLE: Final = "%(asctime)s %(levelname)s %(about)s%(message)s"
_LINE_CHARACTERS_MAX: Final = 4_000
_TRACEBACK_CHARACTERS_MAX: Final = 12_000  # journald cuts lines at 48 KiB
_VALUE_CHARACTERS_MAX: Final = 100
_PLAIN: Final = re.compile(r"[A-Za-z0-9._:/%\[\]-]+")  # a value that text shows without quotation marks

_log: Final = logging.getLogger("ledger")
_others: Final = logging.getLogger("stderr")
_ABOUT: Final[ContextVar[Mapping[str, str]]] = ContextVar("about", default={})  # noqa: B039 - nobody changes it


@contextmanager
def about(**names: str) -> Iterator[None]:
    """Have each line that is logged within say what it is about: about(request_id="r-1", source="engine-1")."""
    token = _ABOUT.set({**_ABOUT.get(), **names})
    try:
        yield
    finally:
        _ABOUT.reset(token)


def log_on_stderr(level: int = logging.INFO, style: str = _STYLE) -> None:
    """Log as text from now on; what was set before stays."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(TextLines(style))
    logging.basicConfig(level=level, handlers=[handler])
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)  # it tells of every lost connection at length


def log_as(form: str, level: str) -> None:
    """Log as `form`, text or json, from `level` on. With json all that comes on stderr is JSON, whoever writes it."""
    root = logging.getLogger()
    root.setLevel(level.upper())
    threading.excepthook = sys.unraisablehook = _log_defect
    if form == "json":
        logging.captureWarnings(True)
        stderr = _take_stderr()
        for handler in root.handlers:
            if isinstance(handler, logging.StreamHandler) and isinstance(handler.formatter, TextLines):
                handler.setFormatter(JsonLines())
                handler.setStream(stderr)


def _take_stderr() -> TextIO:
    """Return a stream to where stderr goes; what others write there, as gRPC's core does, is logged from now on."""
    sys.stderr.flush()
    number = sys.stderr.fileno()
    stderr = os.fdopen(os.dup(number), "w", encoding="utf-8")
    reads, writes = os.pipe()
    os.set_blocking(writes, False)  # who writes more than is read may lose it, but never waits
    os.dup2(writes, number)
    os.close(writes)
    faulthandler.enable(stderr)  # the last words of an interpreter come as they are
    reading = threading.Thread(target=_log_lines_of, args=(reads,), name="stderr", daemon=True)
    reading.start()

    def give_back() -> None:
        sys.stderr.flush()
        os.dup2(stderr.fileno(), number)  # so there is nobody left who could write, and the thread ends
        reading.join(1.0)

    atexit.register(give_back)
    return stderr


def _log_lines_of(reads: int) -> None:
    with os.fdopen(reads, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if line.strip():
                _others.warning("%s", line.strip())


def _log_defect(found: Any) -> None:
    """Log what ends a thread, or what Python cannot raise anywhere."""
    if not isinstance(found.exc_value, SystemExit):
        _log.error("a defect in the thread %s", threading.current_thread().name, exc_info=found.exc_value)


class TextLines(logging.Formatter):
    """A record is one line, however many its texts pretend to be; below it there is a traceback, if it has one.

    For example: 2026-11-30T09:59:19.123Z ERROR [method=ledger.v1.QueryService/GetRates call_id=8f14e45fceea167a]
    a call failed: KeyError at answers/rates.py:12
    """

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002, N802
        """Return when it was logged, in UTC: 2026-11-30T09:59:19.123Z."""
        return _time(record)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the library's name
        """Return the line."""
        record.about = _in_brackets(_known())
        return _shown(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802 - the library's name
        """Return the lines of the traceback."""
        return _shown_traceback(super().formatException(ei))


class JsonLines(logging.Formatter):
    """A record is one JSON object on one line, its traceback in the field `exception`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        told = {
            "time": _time(record),
            "level": record.levelname,
            "logger": record.name,
            "message": _shown(record.getMessage()),
            **{name: _shown(value) for name, value in _known().items()},
        }
        if record.exc_info and record.exc_info[0]:
            told["exception"] = _shown_traceback(self.formatException(record.exc_info))
        return json.dumps(told)


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"


def _known() -> dict[str, str]:
    """Return what is known of the call that is answered, and of what is worked on, by the names of the JSON fields."""
    who = caller()
    trace = who.trace
    known = {"method": who.rpc, "peer": who.peer, "call_id": who.call_id, **_ABOUT.get()}
    if trace is not None:
        known |= {"trace_id": trace.trace_id, "span_id": trace.span_id}
    return {name: value[:_VALUE_CHARACTERS_MAX] for name, value in known.items() if value}


def _in_brackets(known: Mapping[str, str]) -> str:
    shown = (f"{name}={value if _PLAIN.fullmatch(value) else json.dumps(value)}" for name, value in known.items())
    return f"[{' '.join(shown)}] " if known else ""


def _shown(line: str) -> str:
    """Return a line as it is logged; a longer one than anybody reads is cut off."""
    shown = visible(masked(line)[:_LINE_CHARACTERS_MAX])
    return shown if len(shown) <= _LINE_CHARACTERS_MAX else f"{shown[:_LINE_CHARACTERS_MAX]} ..."


def _shown_traceback(text: str) -> str:
    """Return a traceback as it is logged; of a longer one the end, where the error is."""
    shown = visible_lines(masked(text)[-_TRACEBACK_CHARACTERS_MAX:])
    return shown if len(shown) <= _TRACEBACK_CHARACTERS_MAX else f"... {shown[-_TRACEBACK_CHARACTERS_MAX:]}"
