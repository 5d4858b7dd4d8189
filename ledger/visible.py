"""Texts that others wrote, in files and commands, as people see them: no terminal, browser or reader acts on them."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from contextvars import ContextVar
from typing import Any, Final, TextIO, cast

# What Python calls printable, and what shows nothing: fillers, joiners, variation selectors, an empty Braille cell.
_BLANK: Final = re.compile(
    r"[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
_kept: ContextVar[bool] = ContextVar("kept", default=False)  # as it is


def visible(text: str) -> str:
    r"""Return a text with all that shows nothing escaped: ESC is \x1b, U+202E, which turns text around, \u202e."""
    if text.isprintable() and not _BLANK.search(text):
        return text
    return "".join(one if one.isprintable() and not _BLANK.match(one) else ascii(one)[1:-1] for one in text)


def visible_lines(text: str) -> str:
    r"""Return a text with all but its ends of lines made visible, which are \n."""
    return "\n".join(map(visible, text.split("\n")))


@contextmanager
def visible_output() -> Iterator[None]:
    """Make visible all that is printed within, on stdout and on stderr, and cannot be encoded there."""
    out, err = (cast(TextIO, _Visible(stream)) for stream in (sys.stdout, sys.stderr))
    with redirect_stdout(out), redirect_stderr(err):
        yield


@contextmanager
def as_it_is() -> Iterator[None]:
    """Print the text of a file within, of which no character may change."""
    token = _kept.set(True)
    try:
        yield
    finally:
        _kept.reset(token)


def below(stream: TextIO) -> TextIO:
    """Return the stream that others print on through `stream`: for who draws on a terminal, with escape sequences."""
    return stream.stream if isinstance(stream, _Visible) else stream


class _Visible:
    """A stream that shows what is printed."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        """Print what is to be seen of a text."""
        self.stream.write(text if _kept.get() else visible_lines(text))
        return len(text)
