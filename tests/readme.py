"""README and docs/ as a stranger types them: their blocks in order, each command with what it is said to print."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

ROOT: Final = Path(__file__).parent.parent
INDEXES: Final = ("docs/README.md", "docs/operations/README.md")
ADDRESS: Final = "127.0.0.1:50051"

_BLOCK: Final = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_ANYTHING: Final = "..."


def pages() -> list[str]:
    """Return README and then the pages below docs/, in the order in which the index of their folder names them.

    The order matters: a tape is a source that stands in the past, so an evaluation after it would wait.
    """
    return ["README.md", *(page for index in INDEXES for page in (index, *_pages_of(index)))]


def _pages_of(index: str) -> Iterator[str]:
    for name in re.findall(r"\]\(([a-z-]+\.md)\)", (ROOT / index).read_text()):
        yield index.replace("README.md", name)


PAGES: Final = {page: (ROOT / page).read_text() for page in pages()}


class Step(NamedTuple):
    """Something to be done: a command of the shell, a program, or a statement."""

    language: str  # "console", "python" or "sql"
    text: str
    printed: str  # as the page shows it, "..." stands for anything; empty: it does not show it


def blocks(language: str) -> list[str]:
    """Return the blocks of a language, in order."""
    return [text for page in PAGES.values() for found, text in _BLOCK.findall(page) if found == language]


def steps() -> Iterator[Step]:
    """Yield all that a reader is told to do, page by page; a block of text after a block is what it prints."""
    for page in PAGES.values():
        yield from _steps_of(page)


def _steps_of(page: str) -> Iterator[Step]:
    found = _BLOCK.findall(page)
    for (language, text), (after, printed) in zip(found, [*found, ("", "")][1:], strict=True):
        if language == "console":
            yield from _transcript(text) if text.startswith("$ ") else _commands(text)
        # tests/docs/test_configuration_page.py reads the file of knobs, tests/examples runs a program in JavaScript.
        elif language not in ("text", "toml", "js", "yaml"):
            yield Step(language, text, printed if after == "text" else "")


def _transcript(text: str) -> Iterator[Step]:
    """Yield each command after a prompt, with the lines up to the next prompt."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        lines = part.splitlines(keepends=True)
        command = ""
        while not _is_whole(command):
            command += lines.pop(0)
        yield Step("console", command.rstrip(), "".join(lines))


def _commands(text: str) -> Iterator[Step]:
    return (Step("console", line, "") for line in text.splitlines() if line)


def _is_whole(command: str) -> bool:
    """Return True if a shell would not wait for more lines."""
    try:
        return bool(shlex.split(command)) and not command.endswith("\\\n")
    except ValueError:
        return False  # a quote is open


def is_shown(printed: str, shown: str) -> bool:
    """Return True if a command printed what the page shows."""
    if shown.startswith("{"):
        return _same(json.loads(printed), json.loads(shown))
    pattern = re.escape(shown.rstrip()).replace(re.escape(_ANYTHING), ".+")
    return re.fullmatch(pattern, re.sub(r" +$", "", printed, flags=re.MULTILINE).rstrip()) is not None


def _same(found: Any, shown: Any) -> bool:
    if shown == _ANYTHING:
        return True
    if isinstance(shown, dict) and isinstance(found, dict):
        return shown.keys() == found.keys() and all(_same(found[key], shown[key]) for key in shown)
    if isinstance(shown, list) and isinstance(found, list):
        return len(shown) == len(found) and all(map(_same, found, shown))
    return bool(found == shown)
