"""A record of the log is one line, for people or for programs, which holds no password and nothing that nobody sees."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

import pytest

from ledger.caller import Caller, answering
from ledger.log_lines import JsonLines, TextLines, about

TIME: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z"
HOSTILE: Final = 'a\n{"level": "ERROR"}\r\n2026-01-01T00:00:00.000Z ERROR forged\x1b[2J\u2028\u202e"\\'


class Called(Caller):
    """Somebody who has called, and sent metadata."""

    def __init__(self, *metadata: tuple[str, str | bytes]) -> None:
        super().__init__()
        self.rpc = "ledger.v1.QueryService/GetRates"
        self._metadata = metadata

    @property
    def peer(self) -> str:
        return "ipv6:%5B::1%5D:4711"

    @property
    def metadata(self) -> Sequence[tuple[str, str | bytes]]:
        return self._metadata


def record(text: str, *arguments: object, failed: BaseException | None = None) -> logging.LogRecord:
    """What is logged of a text, and of an exception."""
    trace = (type(failed), failed, failed.__traceback__) if failed else None
    return logging.LogRecord("ledger.server", logging.WARNING, __file__, 1, text, arguments, trace)


def as_text(text: str, *arguments: object, failed: BaseException | None = None) -> str:
    return TextLines("%(levelname)s %(about)s%(message)s").format(record(text, *arguments, failed=failed))


def as_json(text: str, *arguments: object, failed: BaseException | None = None) -> dict[str, Any]:
    line = JsonLines().format(record(text, *arguments, failed=failed))
    assert line.isascii()
    assert line.isprintable()
    found: dict[str, Any] = json.loads(line)
    return found


def raised(text: str) -> BaseException:
    """An exception that was raised, with its traceback."""
    try:
        raise ValueError(text)
    except ValueError:
        found = sys.exc_info()[1]
    assert found is not None
    return found


def test_a_line_begins_with_the_time_in_utc_and_the_level(monkeypatch: pytest.MonkeyPatch) -> None:
    made = record("it is so")
    made.created = 1_796_032_759.1239
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    style = "%(asctime)s %(levelname)s %(about)s%(message)s"
    assert TextLines(style).format(made) == "2026-11-30T09:59:19.123Z WARNING it is so"
    assert json.loads(JsonLines().format(made)) == {
        "time": "2026-11-30T09:59:19.123Z",
        "level": "WARNING",
        "logger": "ledger.server",
        "message": "it is so",
    }


def test_a_text_makes_no_line_of_its_own() -> None:
    line = as_text("account %s", HOSTILE)
    assert line.isprintable()
    assert line.startswith(r'WARNING account a\n{"level": "ERROR"}\r\n2026-01-01T00:00:00.000Z ERROR forged\x1b[2J')
    told = as_json("account %s", HOSTILE)
    assert told.keys() == {"time", "level", "logger", "message"}
    assert told["level"] == "WARNING"
    assert told["message"].isprintable()  # also once a program has decoded it, and prints it


def test_a_line_says_what_is_known_of_the_call_and_of_what_is_worked_on() -> None:
    trace, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    who = Called(("x-request-id", "order-17"), ("traceparent", f"00-{trace}-{span}-01"))
    with answering(who), about(request_id="r-1"), about(source="engine 1"):
        told, line = as_json("it is so"), as_text("it is so")
    known = {"method": who.rpc, "peer": who.peer, "call_id": "order-17", "request_id": "r-1", "source": "engine 1"}
    assert {name: told[name] for name in [*told][4:]} == {**known, "trace_id": trace, "span_id": span}
    assert line == (
        f"WARNING [method={who.rpc} peer={who.peer} call_id=order-17 request_id=r-1"
        f' source="engine 1" trace_id={trace} span_id={span}] it is so'
    )
    assert as_text("it is so") == "WARNING it is so"


@pytest.mark.parametrize("form", [as_text, as_json])
def test_what_a_caller_calls_its_things_makes_no_line_and_no_field(form: Callable[..., Any]) -> None:
    with about(request_id=HOSTILE, source="s" * 10_000):
        told = str(form("it is so"))
    assert told.isprintable()
    assert len(told) < 1_000
    assert "] it is so" in told or "'message': 'it is so'" in told


def test_a_password_is_masked() -> None:
    assert as_text("no %s", "postgresql://me:secret@db/ledger") == "WARNING no postgresql://me:***@db/ledger"
    assert as_json("no %s", "postgresql://me:secret@db/ledger")["message"] == "no postgresql://me:***@db/ledger"


def test_a_traceback_has_lines_and_shows_what_is_in_them() -> None:
    told = as_text("it failed", failed=raised("password=secret \u202e"))
    first, second, *_, last = told.split("\n")
    assert (first, second) == ("WARNING it failed", "Traceback (most recent call last):")
    assert last == r"ValueError: password=*** \u202e"
    assert "secret" not in told


def test_in_json_a_traceback_is_one_field() -> None:
    told = as_json("it failed", failed=raised("password=secret \u202e"))
    assert told["message"] == "it failed"
    assert told["exception"].startswith("Traceback (most recent call last):\n")
    assert told["exception"].endswith("\n" + r"ValueError: password=*** \u202e")
    assert "secret" not in str(told)


def test_no_line_is_longer_than_what_reads_logs_takes() -> None:
    long = "\u202e" * 1_000_000
    line = JsonLines().format(record(long, failed=raised(f"{long} the end")))
    assert max(len(as_text(long)), len(line)) < 48 * 1024
    assert json.loads(line)["exception"].endswith(" the end")
    assert re.fullmatch(TIME, json.loads(line)["time"])
