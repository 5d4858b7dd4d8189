"""Reads a file of fills simply, without the ledger's tools: two files that both agree say the same."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from tests.tools.engine_files import Row

_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d)?)(?:\.(\d*))? ?(Z|UTC|[+-]\d\d:?\d\d)?", re.ASCII)
_NUMBERS: Final = ("last_px", "last_qty", "notional", "fee_amount", "fee_rate")
_WORDS: Final = ("side", "liquidity", "symbol")
COLUMNS: Final = (
    *("account_id", "exec_id", "transact_time", "trade_id", "order_id", "counterparty_owner_id", "fee_currency"),
    *_NUMBERS, *_WORDS,
)  # fmt: skip
FILES: Final = ("fills.csv", "fills.csv.gz", "fills.jsonl", "fills.json")  # that have these columns


def said(content: bytes) -> dict[tuple[str, str], dict[str, Any]]:
    """Return what is said of each fill, by account and exec_id; raises ValueError for what is no such file."""
    if content[:2] == b"\x1f\x8b":
        content = gzip.decompress(content)
    text = content.decode("utf-8-sig")
    rows = _json(text) if text.lstrip()[:1] in ("{", "[") else _csv(text)
    found = {}
    for row in rows:
        values = {name.strip().casefold(): value for name, value in row.items() if value not in (None, "")}
        means = {name: _meaning(name, values[name]) for name in COLUMNS if str(values.get(name, "")).strip()}
        found[means["account_id"], means["exec_id"]] = means
    return found


def _csv(text: str) -> Iterator[Row]:
    first = text.splitlines()[0]
    delimiter = max(",;\t|", key=first.count)
    yield from csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)


def _json(text: str) -> Iterator[dict[str, Any]]:
    decoder = json.JSONDecoder(parse_float=Decimal, parse_int=Decimal)
    place = len(text) - len(text.lstrip())
    while place < len(text):
        document, place = decoder.raw_decode(text, place)
        yield from _objects(document)
        place += len(text[place:]) - len(text[place:].lstrip())


def _objects(document: Any) -> Iterator[dict[str, Any]]:
    """Yield every object that is a fill, however deep it lies."""
    if isinstance(document, dict) and any(name.casefold() == "exec_id" for name in document):
        yield document
    elif isinstance(document, dict | list):
        for each in document.values() if isinstance(document, dict) else document:
            yield from _objects(each)


def _meaning(name: str, value: Any) -> Any:
    text = str(value).strip()
    if name in _NUMBERS:
        return Decimal(text)
    if name == "transact_time":
        found = _TIME.fullmatch(text)
        if not found:
            raise ValueError(f"no time: {text}")
        day, clock, decimals, zone = found.groups()
        whole = datetime.fromisoformat(f"{day}T{clock}{'+00:00' if zone in (None, 'Z', 'UTC') else zone}")
        return round(whole.timestamp()) * 10**9 + int((decimals or "").ljust(9, "0"))
    return re.sub("[^A-Z0-9]", "", text.upper()) if name in _WORDS else text


def contradictions(was: bytes, becomes: bytes, told: str) -> list[str]:
    """Return what the second file says otherwise than the first, and what it leaves out without being told so."""
    old, new = said(was), said(becomes)
    found = [f"fills {sorted(old.keys() ^ new.keys())}"] if old.keys() != new.keys() else []
    for fill in old.keys() & new.keys():
        for name, value in old[fill].items():
            if name in new[fill] and new[fill][name] != value:
                found.append(f"{name} of {fill}: {value} is {new[fill][name]}")
            elif name not in new[fill] and "not compared" not in told:
                found.append(f"{name} of {fill} is left out, and nobody is told")
    return found
