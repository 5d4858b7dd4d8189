"""docs/operations/doctor.md has every check as the code has it."""

from __future__ import annotations

import re
import shlex

from ledger.program import parser
from ledger.tools.doctor.checks import CHECKS
from ledger.tools.doctor.finding import Level
from scripts.doctor import PAGE, page
from tests.docs.pages import rows
from tests.tools.running import run


def test_the_table_is_that_of_the_code() -> None:
    assert page() == PAGE.read_text(), "run .venv/bin/python -m scripts.doctor"


def test_a_check_has_a_name_that_says_of_what_and_two_sentences() -> None:
    for check in CHECKS:
        assert re.fullmatch("[a-z]+(-[a-z]+)*", check.name)
        assert all(re.fullmatch(r"[A-Z$].*\.", sentence) for sentence in (check.looks_at, check.finds)), check.name
        assert re.search("|".join((*Level, "Nothing")), check.finds), check.name


def test_the_page_has_every_kind_of_line() -> None:
    assert [cells[0] for cells in rows("docs/operations/doctor.md", "|".join(Level))] == [
        "OK", "NOTE", "WARNING", "FAULT", "not looked at"
    ]  # fmt: skip


def test_a_command_of_the_page_is_understood() -> None:
    typed = re.findall(r"^fee-ledger (.+)$", PAGE.read_text(), re.MULTILINE)
    assert len(typed) == 5
    for words in typed:
        assert parser().parse_args(shlex.split(words, comments=True)).command == "doctor"


def test_the_list_of_the_command_is_the_table() -> None:
    ran = run("doctor", "--list")
    assert (ran.code, ran.err) == (0, "")
    assert [line.split()[0] for line in ran.out.splitlines()[1:] if not line.startswith(" ")] == [
        check.name for check in CHECKS
    ]
