"""How answers look to people: no wider than the terminal, and of 100 columns in a pipe. Times are UTC.

What others wrote, such as reasons and names in files, is made visible: its escape sequences do nothing.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from textwrap import wrap
from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp

from ledger.v1 import read_pb2
from ledger.visible import visible

NONE: Final = "-"
WIDTH: Final = 100  # of text in a pipe, in columns
_VALUE_WIDTH_MAX: Final = 120  # of a single value in a pipe, which stays whole up to there
_TERMINAL_WIDTHS: Final = (40, 120)  # narrower and wider ones are taken for these
_INDENT: Final = "    "  # of what goes on from the line before
_BREAKS: Final = str.maketrans(dict.fromkeys("\t\n\v\f\r", " "))  # of lines, within a text that wraps
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - every time is UTC, and is printed without a zone


def screen_width() -> int:
    """Return how many columns a line of text has."""
    if not sys.stdout.isatty():
        return WIDTH
    least, most = _TERMINAL_WIDTHS
    return min(max(shutil.get_terminal_size((WIDTH, 0)).columns, least), most)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, indent: str = "") -> list[str]:
    """Return a table: columns two spaces apart, their heads first.

    A head with ">" before it is flush right, one with "." is aligned on the decimal point. Where the columns are wider
    than the screen, each row goes on in further lines, indented. "~" marks sentences, in the last column: they wrap.
    Every line begins with `indent`.
    """
    width = screen_width() - len(indent)
    columns = list(zip(heads, *rows, strict=True))
    sentences = columns.pop() if heads[-1].startswith("~") else None
    cells = [_column(column) for column in columns]
    bands = _bands([len(column[0]) for column in cells], width)
    lines = [_row(row, bands) for row in zip(*cells, strict=True)]
    if sentences is not None:
        lines = [_with_sentence(row, text.removeprefix("~"), width) for row, text in zip(lines, sentences, strict=True)]
    widest = width if sys.stdout.isatty() else _VALUE_WIDTH_MAX - len(indent)
    return [f"{indent}{part}".rstrip() for row in lines for line in row for part in _broken(line.rstrip(), widest)]


def _broken(line: str, widest: int) -> list[str]:
    """Return a line in parts that fit: only a single value that is wider than the screen has several."""
    first, rest, step = line[:widest], line[widest:], widest - len(_INDENT)
    return [first, *(f"{_INDENT}{rest[start : start + step]}" for start in range(0, len(rest), step))]


def _bands(widths: Sequence[int], screen: int) -> list[slice]:
    """Return which columns fit side by side, line for line."""
    bands, first, used = [], 0, 0
    for index, width in enumerate(widths):
        if index > first and used + width > screen + 1:  # a column ends in a blank, the last one needs none
            bands.append(slice(first, index))
            first, used = index, len(_INDENT)
        used += width + 1
    return [*bands, slice(first, len(widths))]


def _row(cells: Sequence[str], bands: Sequence[slice]) -> list[str]:
    first, *more = (" ".join(cells[band]) for band in bands)
    return [first, *(f"{_INDENT}{line}" for line in more if not line.isspace())]


def _with_sentence(row: Sequence[str], sentence: str, width: int) -> list[str]:
    """Return a row with a sentence after its last cell, wrapped within what is left of the screen."""
    before = f"{row[-1]} "
    if len(before) > width // 2:
        return [*row, *paragraph(sentence, _INDENT, width)]
    first, *more = paragraph(sentence, " " * len(before), width) or [""]
    return [*row[:-1], f"{before}{first.lstrip()}", *more]


def paragraph(text: str, indent: str, width: int | None = None) -> list[str]:
    """Return a text as indented lines of a screen's width; ids and days stay whole where one line can hold them."""
    return wrap(
        visible(text.translate(_BREAKS)),
        width or screen_width(),
        initial_indent=indent,
        subsequent_indent=indent,
        break_on_hyphens=False,
    )


def _column(cells: Sequence[str]) -> list[str]:
    head, *values = map(visible, cells)
    kind, head = (head[0], head[1:]) if head.startswith((">", ".")) else ("<", head)
    if kind == ".":
        places = max((len(value.partition(".")[2]) for value in values), default=0)
        values = [_padded(value, places) for value in values]
    width = max(map(len, [head, *values]))
    align = "<" if kind == "<" else ">"
    return [f"{cell:{align}{width}} " for cell in (head, *values)]


def _padded(value: str, places: int) -> str:
    fraction = value.partition(".")[2]
    missing = places - len(fraction) + (1 if places and not fraction else 0)
    return value + " " * missing


def pairs(rows: Iterable[tuple[str, str]]) -> list[str]:
    """Return names and values, a line each, without those that say nothing; long values wrap."""
    said = [(visible(key), value) for key, value in rows if value]
    width = max((len(key) for key, _ in said), default=0)
    lines = []
    for key, value in said:
        first, *more = paragraph(value, " " * (width + 4))
        lines += [f"  {key:<{width}}  {first.lstrip()}", *more]
    return lines


def instant(time: Timestamp) -> str:
    """A time with as many decimals as it needs: none, 3, 6 or 9."""
    if not time.seconds and not time.nanos:
        return "beginning"
    decimals = f"{time.nanos:09}"
    while decimals.endswith("000"):
        decimals = decimals[:-3]
    return f"{_EPOCH + timedelta(seconds=time.seconds)}{'.' if decimals else ''}{decimals}"


def given(message: Any, field: str) -> str:
    """A time that may be unset."""
    return instant(getattr(message, field)) if message.HasField(field) else NONE


def percent(rate: str) -> str:
    """A decimal fraction as percent, exactly."""
    return format((Decimal(rate or "0") * 100).normalize(), "f")


def name(enum: Any, number: int) -> str:
    """Return a member of an enum in words; a number this release does not know, as it is."""
    prefix = enum.Name(0).removesuffix("UNSPECIFIED")
    return enum.Name(number).removeprefix(prefix).lower() if number in enum.values() else str(number)


def headline(subject: str, basis: read_pb2.ReadBasis, *, as_of: bool = True) -> list[str]:
    """Return two lines: the subject and ledger of an answer, and the clocks it rests on."""
    effective = f"as of {instant(basis.as_of)} UTC, " if as_of else ""
    if basis.known_at_open:
        known = f"as known now (position {basis.known_at_position})"
    else:
        recorded = f" ({instant(basis.known_at_time)} UTC)" if basis.HasField("known_at_time") else ""
        known = f"known at position {basis.known_at_position}{recorded}"
    return [f"{subject}, in {basis.ledger_id}", f"{effective}{known}"]


def many(number: int, one: str, more: str = "") -> str:
    """Return a count: 1 fill, 2,000 fills, 0 bans or flags. Amounts and positions never have thousands separators."""
    return f"{number:,} {one if number == 1 else more or f'{one}s'}"


def verdict(eligible: object, refused_because: str) -> str:
    """Return whether something is allowed: yes, or no and the reason of the rule."""
    return "eligible" if eligible else f"not eligible, {refused_because}"
