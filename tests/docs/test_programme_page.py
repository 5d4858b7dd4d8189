"""docs/programme.md is true: every rule and every doubt is there, with its keys, its files and its cases."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import pytest

from tests.docs.pages import ROOT, code, rows
from tests.programmes.keys import KEYS

PAGE: Final = "docs/programme.md"
TEXTS: Final = ("*.py", "*.proto", "*.toml", "*.json")
PLACES: Final = ("ledger", "projections", "proto", "scripts", "tests")


class Doubt(NamedTuple):
    """A row of the second table."""

    number: str
    keys: str
    files: list[str]
    held_by: str


RULES: Final = {cells[0]: code(cells[2]) for cells in rows(PAGE, r"R\d+")}
DOUBTS: Final = [Doubt(cells[0], cells[3], code(cells[4]), cells[5]) for cells in rows(PAGE, r"A\d+")]


def numbers(text: str) -> set[str]:
    """Return the rules and doubts that a text cites; A0 is a cell of a spreadsheet, and so may another one be."""
    return set(re.findall(r"\b[RA][1-9]\d?\b", text))


def cited() -> set[str]:
    files = (file for place in PLACES for pattern in TEXTS for file in (ROOT / place).rglob(pattern))
    passed_over = ("_pb2", "tests/contributing/toys")  # generated, and a toy with a number of its own
    own = (file for file in files if not any(part in file.as_posix() for part in passed_over))
    return {number for file in own for number in numbers(file.read_text())}


def cases() -> dict[str, Any]:
    files = (ROOT / "tests" / "cases").glob("*.json")
    return {case["id"]: case for file in files for case in json.loads(file.read_text())}


def switches(keys: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each key with the values that are named, the default first."""
    for one in filter(None, keys.split(";")):
        key, *values = code(one)
        yield key, values


def test_the_page_has_each_rule_and_each_doubt_once_and_in_order() -> None:
    assert list(RULES) == [f"R{number}" for number in range(1, 26)]
    assert [doubt.number for doubt in DOUBTS] == [f"A{number}" for number in range(1, max(len(DOUBTS), 33) + 1)]


def test_what_the_code_and_its_tests_cite_is_on_the_page_and_the_other_way_round() -> None:
    assert cited() == {*RULES, *(doubt.number for doubt in DOUBTS)}


@pytest.mark.parametrize("rule", RULES)
def test_the_keys_of_a_rule_are_keys_of_a_programme_file(rule: str) -> None:
    assert [key for key in RULES[rule] if key not in KEYS] == []


@pytest.mark.parametrize("doubt", DOUBTS, ids=lambda doubt: doubt.number)
def test_a_doubt_has_its_keys_with_their_values_and_the_default_first(doubt: Doubt) -> None:
    for key, values in switches(doubt.keys):
        said = KEYS[key]
        known = said.get("enum", [False, True] if said.get("type") == "boolean" else None)
        named = [
            value if said.get("type") in ("string", "array") or "enum" in said else json.loads(value)
            for value in values
        ]
        default = said.get("default")
        if isinstance(default, list):
            assert named == default
        elif known is not None:
            assert named[0] == default
            assert sorted(named) == sorted(known)
        elif default is not None:
            assert named == [default]
        else:
            assert named == []


@pytest.mark.parametrize("doubt", DOUBTS, ids=lambda doubt: doubt.number)
def test_a_doubt_is_decided_in_files_that_cite_it(doubt: Doubt) -> None:
    assert doubt.files
    assert [file for file in doubt.files if doubt.number not in numbers((ROOT / "ledger" / file).read_text())] == []


@pytest.mark.parametrize("doubt", DOUBTS, ids=lambda doubt: doubt.number)
def test_a_doubt_is_held_by_cases_and_tests_that_cite_it(doubt: Doubt) -> None:
    known, tests = cases(), code(doubt.held_by)
    named = re.findall(r"\b[A-Z]+\d\d\b", re.sub(r"`[^`]+`", "", doubt.held_by))
    assert named or tests
    assert [name for name in named if doubt.number not in numbers(f"{known[name]['rule']} {known[name]['note']}")] == []
    assert [name for name in tests if doubt.number not in numbers((ROOT / "tests" / name).read_text())] == []


def test_every_switch_of_the_file_belongs_to_a_doubt() -> None:
    """A key with a choice is a doubt that somebody decided; whoever adds one says so on the page."""
    doubted = {key for doubt in DOUBTS for key, _ in switches(doubt.keys)}
    assert {key for key, said in KEYS.items() if "enum" in said} - doubted == set()
