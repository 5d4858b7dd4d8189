"""How large and how deep a programme file may be, found by a look at its tokens before it is read as TOML.

Reading takes time and memory by the square of the depth: a key of 40,000 parts took 22 s and 6 GB. Files that are in
the log were looked at when they were published.
"""

from __future__ import annotations

import re
from typing import Final

from ledger.programmes.faults import Fault

BYTES_MAX: Final = 262_144  # of a file in UTF-8
FAULTS_MAX: Final = 200  # that are told of one file
RATES_MAX: Final = 10_000  # tiers times classes of pairs
_PARTS_MAX: Final = 8  # of a dotted key
_DEPTH_MAX: Final = 8  # of lists and tables within each other
_MARKS_MAX: Final = 50_000  # keys, tables, and entries of lists, together
_WORD_MAX: Final = 100  # characters of a word without quotation marks, a number too
_TEXT_MAX: Final = 2_000  # characters of a text

# Where TOML would find a text; what only begins as one is a fault that the reader finds, and it reads no further.
_TOKEN: Final = re.compile(
    r"""
    (?P<text> \"{3} (?:\\.|[^\\])*? \"{3,5} | '{3} .*? '{3,5} )
    | (?P<open_end> \"{3} | '{3} )
    | (?P<line> \" (?:\\.|[^"\\\n])*+ \" | '[^'\n]*+' )
    | (?P<broken> ["'] )
    | \#[^\n]*+
    | (?P<word> [^\s\[\]{}=,."'\#]++ )
    | (?P<mark> [\[\]{}=,.\n] )
    """,
    re.VERBOSE | re.DOTALL,
)


def out_of_bounds(content: str) -> Fault | None:
    """The first bound that a file goes beyond; None if it keeps to all of them."""
    if len(content) > BYTES_MAX or len(content.encode()) > BYTES_MAX:
        return Fault("FILE_TOO_LARGE", "", f"has more than {BYTES_MAX:,} bytes")
    line, marks, parts, depth = 1, 0, 1, 0
    for token in _TOKEN.finditer(content):
        kind, size = token.lastgroup, token.end() - token.start()
        if kind in ("open_end", "broken"):
            return None
        if kind == "mark":
            mark = token.group()
            line += mark == "\n"
            marks += mark in "=,[{"
            parts = parts + 1 if mark == "." else 1
            depth += (mark in "[{") - (mark in "]}")
            if parts > _PARTS_MAX:
                return _fault(line, f"has a key of more than {_PARTS_MAX} parts")
            if depth > _DEPTH_MAX:
                return _fault(line, f"has lists or tables more than {_DEPTH_MAX} deep")
            if marks > _MARKS_MAX:
                return _fault(line, f"has the last of {_MARKS_MAX:,} keys and entries that a file may have")
        elif kind == "word" and size > _WORD_MAX:
            return _fault(line, f"has a word or number of {size:,} characters, at most {_WORD_MAX}")
        elif kind in ("text", "line"):
            if size > _TEXT_MAX:
                return _fault(line, f"has a text of {size:,} characters, at most {_TEXT_MAX:,}")
            line += token.group().count("\n")
    return None


def _fault(line: int, detail: str) -> Fault:
    return Fault("FILE_TOO_DEEP", "", f"line {line} {detail}")
