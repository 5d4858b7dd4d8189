"""RULES.md is true: every rule has its file, its end-to-end test and its worked cases, and nothing is left out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.docs import pages

ROOT = Path(__file__).parent.parent
RULES = ROOT / "ledger" / "domain" / "rules"
E2E = ROOT / "tests" / "e2e" / "rules"
OF_THE_LEDGER = {"ingest_fill", "bust_fill"}  # how fills come in and are taken back: no row of the document


class Row(NamedTuple):
    rule: str
    says: str
    file: str
    test: str
    ops: tuple[str, ...]


def rows() -> Iterator[Row]:
    for rule, says, file, test, ops in pages.rows("RULES.md", r"R\d+"):
        yield Row(rule, says, file.strip("`"), test.strip("`"), tuple(filter(None, ops.split(", "))))


def files_of_doubts() -> set[str]:
    """Return the files of rules that settle a doubt (A numbers), by docs/programme.md."""
    named = (name for cells in pages.rows("docs/programme.md", r"A\d+") for name in pages.code(cells[4]))
    return {name.removeprefix("domain/rules/") for name in named if name.startswith("domain/rules/")}


ROWS = list(rows())


def cases() -> set[str]:
    return {
        case["when"]["op"]
        for file in (ROOT / "tests" / "cases").glob("*.json")
        for case in json.loads(file.read_text())
    }


def test_every_row_of_the_document_is_there_once() -> None:
    assert [row.rule for row in ROWS] == [f"R{number}" for number in range(1, 26)]


def test_every_file_of_rules_is_there() -> None:
    assert {row.file for row in ROWS} | files_of_doubts() == {file.name for file in RULES.glob("*.py")} - {
        "__init__.py"
    }


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.rule)
def test_a_rule_is_found_by_its_row_in_its_file_and_in_its_test(row: Row) -> None:
    first_line = (RULES / row.file).read_text().partition("\n")[0]
    assert row.rule in re.findall(r"[RA]\d+", first_line)
    test = (E2E / row.test).read_text()
    assert "def test_" in test
    assert row.rule in re.findall(r"[RA]\d+", test)


def test_the_worked_cases_are_those_of_the_table() -> None:
    named = {op for row in ROWS for op in row.ops}
    assert named | OF_THE_LEDGER == cases()
