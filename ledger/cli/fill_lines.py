"""Fills out of a file: one JSON document a line, with the field names of the contract's Fill.

{"account_id": "alice", "exec_id": "E1", "symbol": "XRP_USDT", "side": "BUY", ...}
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO, Final

from google.protobuf.json_format import ParseDict, ParseError

from ledger.cli.errors import UnusableError
from ledger.v1 import fill_pb2

LINE_BYTES_MAX: Final = 8_192  # several times what a fill takes
STDIN: Final = "-"

_ENUMS: Final[Mapping[str, str]] = {
    "side": "SIDE_", "liquidity": "LIQUIDITY_", "channel": "CHANNEL_", "product": "PRODUCT_",
}  # fmt: skip


_HALF: Final = re.compile("[\ud800-\udfff]")  # of a surrogate pair


@contextmanager
def opened(file: str) -> Iterator[BinaryIO]:
    """Open a file of fills; "-" is what is typed or piped in."""
    if file == STDIN:
        yield sys.stdin.buffer
    else:
        with open(file, "rb") as stream:
            yield stream


def fills_in(stream: BinaryIO) -> Iterator[fill_pb2.Fill]:
    """Yield the fill of each line. Raises UnusableError, with the number of the line, for what is no fill.

    Every line has a fill, so the fill with index 0 is on line 1; empty lines are allowed at the end.
    """
    name = "standard input" if stream is sys.stdin.buffer else stream.name
    number, empty = 0, 0
    while line := stream.readline(LINE_BYTES_MAX + 1):
        number += 1
        if not line.strip():
            empty = empty or number
            continue
        if empty:
            raise UnusableError(f"{name}, line {empty} is empty")
        try:
            yield _fill(line)
        except (ValueError, RecursionError) as error:
            raise UnusableError(f"{name}, line {number} is no fill: {' '.join(str(error).split())}") from error


def _fill(line: bytes) -> fill_pb2.Fill:
    """Return the fill of a line. Raises ValueError."""
    if len(line) > LINE_BYTES_MAX:
        raise ValueError(f"it is longer than {LINE_BYTES_MAX:,} bytes")
    values = json.loads(line)
    if not isinstance(values, dict):
        raise ValueError("give a JSON object, such as {...}")
    if _HALF.search(json.dumps(values, ensure_ascii=False)):  # protobuf ends with a SystemError at one in a name
        raise ValueError("half a character, such as \\ud800 alone, is no text")
    try:
        return ParseDict({field: _full(field, value) for field, value in values.items()}, fill_pb2.Fill())
    except ParseError as error:
        raise ValueError(str(error)) from error


def _full(field: str, value: Any) -> Any:
    """Return the whole name of a member of an enum: SIDE_BUY for BUY."""
    prefix = _ENUMS.get(field)
    short = prefix is not None and isinstance(value, str) and not value.startswith(prefix)
    return f"{prefix}{value}" if short else value
