"""The help of the command line: every parser there is, and the examples a person reads in its help."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator
from typing import Final

from ledger.program import parser

_PROGRAM: Final = "fee-ledger"

Path = tuple[str, ...]  # what is typed after fee-ledger, such as ("completion",)


def parsers(
    at: argparse.ArgumentParser | None = None, path: Path = ()
) -> Iterator[tuple[Path, argparse.ArgumentParser]]:
    """Every parser and how it is reached, the program itself first."""
    at = at or parser()
    yield path, at
    for action in at._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, below in action.choices.items():
                yield from parsers(below, (*path, name))


def examples(at: argparse.ArgumentParser) -> list[list[str]]:
    """The arguments of each example in a help: a line that begins with the name of the program, up to a pipe or #."""
    lines = at.format_help().replace("\\\n", " ").splitlines()
    found = []
    for line in lines:
        if line.startswith(f"  {_PROGRAM} "):
            words = shlex.split(line, comments=True)[1:]
            ends = [index for index, word in enumerate(words) if word in {"|", ">"}]
            found.append(words[: min(ends, default=len(words))])
    return found
