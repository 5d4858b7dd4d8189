"""Public trade tapes, read as text: every number stays as the file prints it and never becomes a float.

A tape is a JSON list of rows `[ms, id, type, taker side, price, amount, cost]`, or CSV under a header that names at
least `time_ms`, `id`, `side`, `price` and `amount`, and `cost` where it is known; their order is free, other columns
are ignored. Either may be gzipped: its first bytes tell, not its name.

The one change: a literal with an exponent, as Python prints small floats (`1e-05`, `9.7e-7`), is written out, exactly
(`0.00001`, `0.00000097`), because the ledger takes no exponents.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from decimal import Context, Decimal, Inexact
from pathlib import Path
from typing import Any, Final, NamedTuple

from ledger.cli.errors import UnusableError
from ledger.domain.instants import EARLIEST_NS, LATEST_NS
from ledger.domain.money import is_decimal
from ledger.wire.fields import ID

_GZIP: Final = b"\x1f\x8b"
_JSON_FIELDS: Final = ("time_ms", "id", "type", "side", "price", "amount", "cost")
_CSV_FIELDS: Final = ("time_ms", "id", "side", "price", "amount")
_NUMBER: Final = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?")  # longer exponents would fill the memory
_NUMBER_CHARACTERS_MAX: Final = 100
_MILLISECOND_NS: Final = 1_000_000
_EXACT: Final = Context(prec=3_000, traps=[Inexact])  # room for any two numbers as above


class Trade(NamedTuple):
    """One row. Price, amount and cost are plain decimals, as printed."""

    place: str  # "row 7" of a JSON list, "line 8" of CSV
    time_ms: int  # since 1970, UTC
    id: str
    taker_side: str  # "buy" or "sell"
    price: str  # quote currency, greater than zero
    amount: str  # base currency, greater than zero
    cost: str  # quote currency; empty if the file has none


def read_tape(path: Path) -> tuple[bytes, list[Trade]]:
    """Return the file's decompressed bytes and its trades, in its order; at least one.

    Raises UnusableError: one line with the file, the row and what is wrong.
    """
    try:
        content = _content(path)
        text = content.decode("utf-8-sig")
        rows = _json_rows(text) if text.lstrip()[:1] in ("[", "{") else _csv_rows(text)
        trades = [_trade(place, row) for place, row in rows]
        if not trades:
            raise ValueError("it holds no trade")
    except OSError as error:
        raise UnusableError(f"{path}: {error.strerror or error}") from error
    except ValueError as error:
        raise UnusableError(f"{path}: {error}") from error
    return content, trades


def cost_difference(trade: Trade) -> Decimal:
    """Return the file's cost - price x amount, exactly; zero if the file has no cost."""
    if not trade.cost:
        return Decimal(0)
    return _EXACT.subtract(Decimal(trade.cost), _EXACT.multiply(Decimal(trade.price), Decimal(trade.amount)))


def decimals(text: str) -> int:
    """Return how many digits stand after the point."""
    return len(text.partition(".")[2])


def _content(path: Path) -> bytes:
    content = path.read_bytes()
    if not content.startswith(_GZIP):
        return content
    try:
        return gzip.decompress(content)
    except EOFError:
        raise ValueError("the gzip file is truncated") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"the gzip file is damaged: {error}") from None


def _json_rows(text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the place and the fields of each row; every number is the text that stands in the file."""
    try:
        rows = json.loads(text, parse_float=str, parse_int=str, parse_constant=str)
    except RecursionError:
        raise ValueError("not a JSON list of rows: it is nested too deep") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error}") from None
    if not isinstance(rows, list):
        raise ValueError("not a JSON list of rows")
    for number, row in enumerate(rows, 1):
        if not isinstance(row, list) or len(row) != len(_JSON_FIELDS):
            raise ValueError(f"row {number}: not a list [{', '.join(_JSON_FIELDS)}]")
        yield f"row {number}", dict(zip(_JSON_FIELDS, row, strict=True))


def _csv_rows(text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        reader.fieldnames = [name.strip() for name in reader.fieldnames or ()]
        if missing := [name for name in _CSV_FIELDS if name not in reader.fieldnames]:
            wanted = ",".join(_CSV_FIELDS)
            raise ValueError(f"neither a JSON list nor CSV under a header {wanted}[,cost]: no {', '.join(missing)}")
        for row in reader:
            yield f"line {reader.line_num}", {name: row[name] and row[name].strip() for name in row if name}
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num}: not CSV: {error}") from None


def _trade(place: str, row: Mapping[str, Any]) -> Trade:
    """Return the trade of a row, checked field by field. Raises ValueError with the place and what is wrong."""
    try:
        time_ms, trade_id, side = (_text(row, name) for name in ("time_ms", "id", "side"))
        if not re.fullmatch("[0-9]{1,15}", time_ms) or not EARLIEST_NS <= int(time_ms) * _MILLISECOND_NS < LATEST_NS:
            raise ValueError(f"time_ms {_shown(time_ms)} is not in milliseconds since 1970, from 2009 until 2200")
        if not ID.fullmatch(trade_id):
            raise ValueError(f"id {_shown(trade_id)} does not match {ID.pattern}")
        if side not in ("buy", "sell"):
            raise ValueError(f"side {_shown(side)} is neither buy nor sell")
        cost = _plain(row, "cost") if row.get("cost") not in (None, "") else ""
        return Trade(place, int(time_ms), trade_id, side, _positive(row, "price"), _positive(row, "amount"), cost)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from None


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} is missing" if value in (None, "") else f"{name} is not a number or text")
    return value


def _plain(row: Mapping[str, Any], name: str) -> str:
    """Return a number as printed, or written out if it has an exponent."""
    literal = _text(row, name)
    if len(literal) > _NUMBER_CHARACTERS_MAX or not _NUMBER.fullmatch(literal):
        raise ValueError(f"{name} {_shown(literal)} is not a number")
    return format(Decimal(literal), "f") if "e" in literal.lower() else literal


def _positive(row: Mapping[str, Any], name: str) -> str:
    """Return a number that is greater than zero and that the ledger can hold."""
    plain = _plain(row, name)
    if plain.startswith("-") or not plain.strip("0."):
        raise ValueError(f"{name} {_shown(row[name])} is not greater than zero")
    if not is_decimal(plain):
        raise ValueError(f"{name} {_shown(row[name])} has more than 20 digits before or 18 after the point")
    return plain


def _shown(text: str) -> str:
    return ascii(text if len(text) <= 40 else text[:40] + "...")
