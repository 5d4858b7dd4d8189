"""docs/configuration.md has every knob as the code has it, and what it says of the file and its example is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ledger.config import KNOBS, RELATIONS
from ledger.knobs.files import TOML_BYTES_MAX, read_toml
from scripts.configuration import PAGE, page
from tests.docs.pages import code, rows

TEXT = PAGE.read_text()
ROWS = {code(cells[0])[0]: cells for cells in rows("docs/configuration.md", "`[a-z_]+`")}


def test_the_tables_are_those_of_the_code() -> None:
    assert page() == TEXT, "run .venv/bin/python -m scripts.configuration"
    assert list(ROWS) == list(KNOBS)
    assert all(f"- {relation}\n" in TEXT for relation in RELATIONS)


@pytest.mark.parametrize("name", KNOBS)
def test_a_knob_has_its_unit_two_sentences_and_no_cell_too_many(name: str) -> None:
    knob = KNOBS[name]
    _, unit, _, limits, says, costs, *more = ROWS[name]
    assert (unit, more) == (knob.unit, [])
    assert limits
    assert all(re.fullmatch(r"[A-Z].*\.", sentence) for sentence in (says, costs))
    assert says != costs


def test_the_example_is_a_file_of_knobs_and_its_limit_is_that_of_the_code(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
    file = tmp_path / "ledger.toml"
    file.write_text(example)
    assert len(read_toml(file, KNOBS)) == 4
    assert f"at most\n{TOML_BYTES_MAX // 1024} KiB" in TEXT
