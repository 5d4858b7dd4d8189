"""Docstrings say at once what a thing returns or does: none begins as a relative clause that must be read twice."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[1]
OPENINGS: Final = ("Of", "What", "Whether")
FILES: Final = sorted(file for room in ("ledger", "projections", "scripts") for file in (ROOT / room).rglob("*.py"))


def docstrings(source: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of each docstring of a module."""
    for node in ast.walk(ast.parse(source)):
        documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if documented and (text := ast.get_docstring(node)):
            yield node.body[0].lineno, text


def riddles(source: str) -> list[str]:
    """Return the docstrings that begin with one of OPENINGS, each with its line."""
    return [f"{line}: {text}" for line, text in docstrings(source) if text.split()[0].strip(".,:;") in OPENINGS]


@pytest.mark.parametrize("room", ["ledger", "projections", "scripts"])
def test_no_docstring_begins_as_a_riddle(room: str) -> None:
    files = [file for file in FILES if file.is_relative_to(ROOT / room) and "_pb2" not in file.name]
    assert files
    found = {file.relative_to(ROOT).as_posix(): riddles(file.read_text()) for file in files}
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_a_riddle_is_seen_wherever_it_stands() -> None:
    assert riddles(
        '"""What it is."""\nclass A:\n    """Of each one."""\n    def f():\n        """Whether so."""\n'
    ) == [
        "1: What it is.",
        "3: Of each one.",
        "5: Whether so.",
    ]
    assert riddles('"""The fee."""\nclass A:\n    """Whatever it is."""\n') == []
