"""Public trade tapes, read as text: every number stays as the file prints it and never becomes a float.

A tape is a JSON list of rows `[ms, id, type, taker side, price, amount, cost]`, or CSV under a header that names at
least `time_ms`, `id`, `side`, `price` and `amount`, and `cost` where it is known; their order is free, other columns
are ignored. Either may be gzipped: its first bytes tell, not its name.

The one change: a literal with an exponent, as Python prints small floats (`1e-05`, `9.7e-7`), is written out, exactly
(`0.00001`, `0.00000097`), because the ledger takes no exponents.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any, Final

from ledger.cli.errors import UnusableError
from ledger.domain.instants import EARLIEST_NS, LATEST_NS
from ledger.domain.money import is_decimal
from ledger.tools.engine_files.columns import place_of
from ledger.tools.engine_files.csv_header import lines_of, read_header
from ledger.tools.engine_files.json_rows import JsonRows
from ledger.tools.engine_files.limits import CHUNK_BYTES
from ledger.tools.engine_files.source import opened
from ledger.tools.import_trades.trade import TRADES_MAX, Trade
from ledger.wire.fields import ID

_JSON_FIELDS: Final = ("time_ms", "id", "type", "side", "price", "amount", "cost")
_CSV_FIELDS: Final = ("time_ms", "id", "side", "price", "amount")
_NUMBER: Final = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?")  # longer exponents would fill the memory
_NUMBER_CHARACTERS_MAX: Final = 100
_MILLISECOND_NS: Final = 1_000_000


def read_tape(path: Path) -> list[Trade]:
    """Return the trades of a file in its order; at least one, at most TRADES_MAX.

    Raises UnusableError: one line with the file, the row and what is wrong.
    """
    rows = _json_rows(path) if _is_json(path) else _csv_rows(path)
    try:
        trades = [_trade(place, row) for place, row in islice(rows, TRADES_MAX + 1)]
        if not trades:
            raise ValueError("it holds no trade")
        if len(trades) > TRADES_MAX:
            raise ValueError(f"it holds more than {TRADES_MAX:,} trades: split it")
    except ValueError as error:
        raise UnusableError(f"{path}: {error}") from error
    return trades


def content_digest(path: Path, before: bytes) -> str:
    """Return the SHA-256 of `before` and the file's unpacked content, in hex. Raises UnusableError."""
    digest = sha256(before)
    with opened(path) as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _is_json(path: Path) -> bool:
    with opened(path) as file:
        return file.read(CHUNK_BYTES).lstrip()[:1] in (b"[", b"{")


def _json_rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the place and the fields of each row of all lists in the file; every number is text."""
    for number, row in JsonRows(path):
        if not isinstance(row, list) or len(row) != len(_JSON_FIELDS):
            raise ValueError(f"row {number}: not a list [{', '.join(_JSON_FIELDS)}]")
        yield f"row {number}", dict(zip(_JSON_FIELDS, map(_printed, row), strict=True))


def _printed(value: Any) -> Any:
    return str(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else value


def _csv_rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    header = read_header(path)
    if missing := [name for name in _CSV_FIELDS if name not in header.names]:
        wanted = ",".join(_CSV_FIELDS)
        raise ValueError(f"neither a JSON list nor CSV under a header {wanted}[,cost]: no {', '.join(missing)}")
    fields = [name for name in (*_CSV_FIELDS, "cost") if name in header.names]
    places = {name: place_of(name, str(path), header.names) for name in fields}
    with opened(path) as file:
        reader = csv.reader(lines_of(path, file), delimiter=header.delimiter, strict=True)
        try:
            next(reader)
            for row in filter(None, reader):
                if len(row) != len(header.names):
                    raise ValueError(f"line {reader.line_num}: {len(row)} cells, the header has {len(header.names)}")
                yield f"line {reader.line_num}", {name: row[place].strip() for name, place in places.items()}
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
