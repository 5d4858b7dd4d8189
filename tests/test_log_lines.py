"""A record of the log is one line, which holds no password and nothing that nobody sees."""

from __future__ import annotations

import logging
import sys

from ledger.log_lines import LogFormatter


def record(text: str, *arguments: object, failed: BaseException | None = None) -> str:
    """What is logged of a text, and of an exception."""
    trace = (type(failed), failed, failed.__traceback__) if failed else None
    made = logging.LogRecord("ledger", logging.WARNING, __file__, 1, text, arguments, trace)
    return LogFormatter("%(levelname)s %(message)s").format(made)


def test_a_text_makes_no_line_of_its_own() -> None:
    assert record("account %s", "a\n2026-01-01 ERROR forged\x1b[2J\u202e") == (
        r"WARNING account a\n2026-01-01 ERROR forged\x1b[2J\u202e"
    )


def test_a_password_is_masked() -> None:
    assert record("no %s", "postgresql://me:secret@db/ledger") == "WARNING no postgresql://me:***@db/ledger"


def test_a_traceback_has_lines_and_shows_what_is_in_them() -> None:
    try:
        raise ValueError("password=secret \u202e")
    except ValueError:
        told = record("it failed", failed=sys.exc_info()[1])
    first, second, *_, last = told.split("\n")
    assert (first, second) == ("WARNING it failed", "Traceback (most recent call last):")
    assert last == r"ValueError: password=*** \u202e"
    assert "secret" not in told
