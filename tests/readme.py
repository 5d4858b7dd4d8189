"""The README as a stranger types it: its blocks in order, each command with what it is said to print."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

ROOT: Final = Path(__file__).parent.parent
README: Final = (ROOT / "README.md").read_text()
ADDRESS: Final = "127.0.0.1:50051"

_BLOCK: Final = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_ANYTHING: Final = "..."


class Step(NamedTuple):
    """Something to be done: a command of the shell, a program, or a statement."""

    language: str  # "console", "python" or "sql"
    text: str
    printed: str  # as the README shows it, "..." stands for anything; empty: it does not show it


def blocks(language: str) -> list[str]:
    """Return the blocks of a language, in order."""
    return [text for found, text in _BLOCK.findall(README) if found == language]


def steps() -> Iterator[Step]:
    """Yield all that a reader is told to do; a block of text after it is what it prints."""
    found = _BLOCK.findall(README)
    for (language, text), (after, printed) in zip(found, [*found[1:], ("", "")], strict=True):
        if language == "console":
            yield from _transcript(text) if text.startswith("$ ") else _commands(text)
        elif language != "text":
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
    """Return True if a command printed what the README shows."""
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
