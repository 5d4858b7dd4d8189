"""How screens are laid out: no wider than the terminal, and than 100 columns in a pipe, 120 for one value."""

from __future__ import annotations

import io

import pytest

from ledger.cli.screens.layout import many, pairs, table
from ledger.cli.screens.log import info
from ledger.v1 import query_service_pb2 as pb
from tests.cli.running import table as screen

LONG = "a sentence of many words that says what was found, at length, " * 4


def test_a_table_that_fits_has_a_line_per_row() -> None:
    assert "\n".join(table(("name", ".amount"), [("a", "1.25"), ("bc", "10")])) + "\n" == screen("""
    name  amount
    a       1.25
    bc     10
    """)


def test_a_row_that_does_not_fit_goes_on_indented_and_its_columns_stay_aligned() -> None:
    lines = table(("one", "two", "three", "four"), [("a" * 60, "b" * 38, "c", "d"), ("e", "f", "gg", "h")])
    assert lines[:3] == [f"one{' ' * 59}two", "    three  four", f"{'a' * 60}  {'b' * 38}"]
    assert lines[3:] == ["    c      d", f"e{' ' * 61}f", "    gg     h"]


def test_a_row_of_just_the_width_of_the_screen_does_not_go_on() -> None:
    assert len(table(("one", "two"), [("a" * 60, "b" * 38)])) == 2
    assert len(table(("one", "two"), [("a" * 60, "b" * 39)])) == 4


def test_a_value_that_is_wider_than_the_screen_stays_whole() -> None:
    assert table(("one",), [("x" * 120,)]) == ["one", "x" * 120]


@pytest.mark.parametrize("before", ["control", "c" * 60])
def test_sentences_wrap(before: str) -> None:
    lines = table(("control", "~finding"), [(before, LONG)])
    assert max(map(len, lines)) <= 100
    assert " ".join(lines).split() == ["control", "finding", before, *LONG.split()]


def test_a_table_of_sentences_without_rows_is_its_heads() -> None:
    assert table(("control", "~finding"), []) == ["control  finding"]


def test_names_and_values_are_aligned_and_wrap() -> None:
    first, second, *more = pairs([("a", "1"), ("long name", LONG), ("nothing", "")])
    assert (first, second[:13]) == ("  a          1", "  long name  ")
    assert all(one.startswith(" " * 13) and len(one) <= 100 for one in more)


def test_counts_have_separators() -> None:
    assert (many(1, "fill"), many(2_000, "fill")) == ("1 fill", "2,000 fills")


@pytest.mark.parametrize(
    ("version", "rebuilding", "said"),
    [
        (6, False, "up to date"),
        (6, True, "up to date, a rebuild is under way"),
        (5, True, "up to date; of version 5, new ones of version 6 are being made"),
        (5, False, "up to date; of version 5, new ones of version 6 wait for a service, or `python -m projections`,"),
        (7, False, "up to date; of version 7, made by a newer release, and left alone"),
        (0, False, "up to date"),
    ],
)
def test_info_says_whose_tables_there_are(version: int, *, rebuilding: bool, said: str) -> None:
    tables = pb.ProjectionInfo(position=3, version=version, version_wanted=6, rebuilding=rebuilding)
    told = " ".join(" ".join(info(pb.GetLedgerInfoResponse(projections=tables))).split())
    assert f"tables at position 3, {said} " in f"{told} "


def test_a_value_that_is_wider_than_any_screen_goes_on_in_the_next_line() -> None:
    assert table(("one", "two"), [("x" * 300, "y")], indent="  ") == [
        "  one",
        "      two",
        "  " + "x" * 118,
        "      " + "x" * 114,
        "      " + "x" * 68,
        "      y",
    ]


class Terminal(io.StringIO):
    """A stdout that is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("columns", "widest"), [(80, 80), (110, 110), (300, 120), (10, 40)])
def test_no_line_is_wider_than_the_terminal(monkeypatch: pytest.MonkeyPatch, columns: int, widest: int) -> None:
    monkeypatch.setattr("sys.stdout", Terminal())
    monkeypatch.setenv("COLUMNS", str(columns))
    rows = [("a" * 30, "b" * 30, "c" * 30, "d" * 30, LONG), ("e" * 64, "f" * 3, "G" * 130, "h", LONG)]
    for heads in (("one", "two", "three", "four", "~five"), ("one", "two", "three", "four", "five")):
        lines = table(heads, rows, indent="  ")
        assert max(map(len, lines)) <= widest
        assert "".join(lines).replace(" ", "").count("G") == 130
    assert max(map(len, pairs([("name", LONG), ("id", "x" * 200)]))) <= widest
