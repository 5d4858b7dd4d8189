"""CSV as the tools write it (RFC 4180), and how its cells are made harmless to a spreadsheet."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final, TextIO

from ledger.cli import Options, argument
from ledger.cli.errors import UnusableError, tell
from ledger.cli.screens import many

# What a spreadsheet takes a cell for a formula by, or skips before one: = + - @ in both widths, tab, CR, LF.
_RUN: Final = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
_NUMBER: Final = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")

SPREADSHEET: Final = argument(
    "--spreadsheet", action="store_true",
    help="in CSV, put an apostrophe before what a spreadsheet would run, such as =cmd or @SUM; numbers stay"
    " (default: cells are written as they are)",
)  # fmt: skip


def check_spreadsheet(options: Options, *, csv: object, remedy: str) -> None:
    """Raise UnusableError for --spreadsheet in a run that writes no CSV."""
    if options.spreadsheet and not csv:
        raise UnusableError(f"--spreadsheet is for CSV, and this run writes none: give {remedy} too")


def defused(cell: str) -> str:
    """Return a cell as a spreadsheet shows it and does not run it: '=1+1 for =1+1, but -0.25 for -0.25."""
    return f"'{cell}" if cell.startswith(_RUN) and not _NUMBER.fullmatch(cell) else cell


class CsvRows:
    """Writes rows of texts; with `spreadsheet` it defuses their cells, and counts those that it changed."""

    def __init__(self, file: TextIO, *, spreadsheet: bool, line_end: str = "\r\n") -> None:
        self._write = csv.writer(file, lineterminator=line_end).writerow
        self._spreadsheet = spreadsheet
        self.changed = 0

    def write(self, cells: Iterable[str]) -> None:
        """Write a row."""
        if self._spreadsheet:
            cells = list(cells)
            harmless = [defused(cell) for cell in cells]
            self.changed += sum(old != new for old, new in zip(cells, harmless, strict=True))
            cells = harmless
        self._write(cells)


@contextmanager
def csv_rows(file: TextIO, name: str, *, spreadsheet: bool, line_end: str = "\r\n") -> Iterator[CsvRows]:
    """Yield what writes to a file; with `spreadsheet` it says at the end, on stderr, how many cells it changed."""
    rows = CsvRows(file, spreadsheet=spreadsheet, line_end=line_end)
    yield rows
    if spreadsheet:
        cells = many(rows.changed, "cell has", "cells have")
        tell(0, f"fee-ledger: {name}: {cells} an apostrophe in front that is not the ledger's")
