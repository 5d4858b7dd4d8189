"""The lines of a CSV file; the first one has the names of its columns, and tells what stands between them."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from ledger.cli.errors import UnusableError
from ledger.tools.engine_files.limits import LINE_BYTES_MAX
from ledger.tools.engine_files.source import opened

_DELIMITERS: Final = ",;\t|"


class Header(NamedTuple):
    """The names as they are printed, outer spaces aside."""

    names: list[str]
    delimiter: str


def read_header(path: Path) -> Header:
    """Return the header of a file. Raises UnusableError."""
    with opened(path) as file:
        printed = next(lines_of(path, file), "").rstrip("\r\n")
    if not printed.strip():
        raise UnusableError(f"{path}:1: no header: the first line names the columns")
    delimiter = max(_DELIMITERS, key=printed.count)
    try:
        (names,) = csv.reader([printed], delimiter=delimiter, strict=True)
    except csv.Error as error:
        raise UnusableError(f"{path}:1: no header: {error}") from error
    return Header([name.strip() for name in names], delimiter)


def lines_of(path: Path, file: BinaryIO) -> Iterator[str]:
    """Yield the lines of a file with their ends. Raises UnusableError for one that is too long."""
    number = 0
    while line := file.readline(LINE_BYTES_MAX + 1):
        number += 1
        if len(line) > LINE_BYTES_MAX:
            raise UnusableError(f"{path}:{number}: the line has more than {LINE_BYTES_MAX >> 20} MiB")
        yield line.decode("utf-8")


def check_lines(path: Path, copy: Path | None) -> None:
    """Raise UnusableError for a line that is too long or has a NUL; write what is unpacked into `copy`, if it is given.

    duckdb, which reads the lines next, leaves a line out that is longer than what it holds at once.
    """
    number, length = 1, 0
    with opened(path) as file, copy.open("wb") if copy else nullcontext() as out:
        while chunk := file.read(LINE_BYTES_MAX):
            first, last, nul = chunk.find(b"\n"), chunk.rfind(b"\n"), chunk.find(0)
            if nul >= 0:
                raise UnusableError(f"{path}:{number + chunk.count(10, 0, nul)}: has a NUL, so it is no text")
            if length + (first if first >= 0 else len(chunk)) > LINE_BYTES_MAX:
                raise UnusableError(f"{path}:{number}: the line has more than {LINE_BYTES_MAX >> 20} MiB")
            length = len(chunk) - last - 1 if last >= 0 else length + len(chunk)
            number += chunk.count(10)
            if out:
                out.write(chunk)


def line_of(path: Path, header: Header, row: int) -> int:
    """Return the line in which a row ends, as an editor counts; row 2 is the first below the header."""
    with opened(path) as file:
        reader = csv.reader(lines_of(path, file), delimiter=header.delimiter)
        with suppress(csv.Error):
            for _ in islice(filter(None, reader), row):
                pass
        return reader.line_num
