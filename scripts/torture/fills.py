"""The fills that torture's clients send: the same for the same number whenever it is asked for.

Most fills are plain. Some are late by days, some are self-trades, some come a second time under another number, with
the same content or with other content, and some cannot be recorded.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from ledger import private
from ledger.v1.fill_pb2 import Fill

ACCOUNTS: Final = ("plain", "other", "maker", "taker")  # each trial has its own, with its name before
SYMBOLS: Final = ("TA_USDT", "TB_BTC", "TN_USDT")
UNKNOWN_SYMBOL: Final = "TX_USDT"
ANCHOR_S: Final = 1_717_416_000  # 2024-06-03 12:00 UTC
_STEP_S: Final = 37  # a day is over after 2,300 fills
_DAY_S: Final = 86_400
_AGAIN_WITHIN: Final = 50  # a fill that comes again was sent so few numbers before
_KINDS: Final = {
    "plain": 80,
    "late": 7,
    "self": 5,
    "again": 3,
    "changed": 2,
    "unknown symbol": 1,
    "no quantity": 1,
    "no side": 1,
}

Content = dict[str, Any]  # a fill by the names of its fields


def content(seed: int, trial: str, source: str, number: int) -> Content:
    """The fill of a number, as it goes into a journal: amounts as text, times in nanoseconds."""
    chance = random.Random(f"{seed}:{source}:{number}")  # noqa: S311 - a load, not a secret
    kind = chance.choices(list(_KINDS), list(_KINDS.values()))[0]
    if kind in ("again", "changed") and number > _AGAIN_WITHIN:
        again = content(seed, trial, source, number - chance.randint(1, _AGAIN_WITHIN))
        return {**again, "last_px": "1.5"} if kind == "changed" else again
    fill = _plain(chance, trial, source, number)
    if kind == "late":
        fill["transact_time_ns"] -= chance.randint(1, 3) * _DAY_S * 10**9
    elif kind == "self":
        fill["counterparty_owner_id"] = fill["account_id"]
    elif kind == "unknown symbol":
        fill["symbol"] = UNKNOWN_SYMBOL
    elif kind == "no quantity":
        fill["last_qty"] = "0"
    elif kind == "no side":
        fill["side"] = 0
    return fill


def _plain(chance: random.Random, trial: str, source: str, number: int) -> Content:
    whole = 10 ** chance.randint(0, 9)  # up to what no int64 holds when it is multiplied
    return {
        "account_id": f"{trial}.{chance.choice(ACCOUNTS)}",
        "exec_id": f"{source}-{number}",
        "symbol": chance.choice(SYMBOLS),
        "side": chance.randint(1, 2),
        "liquidity": chance.randint(1, 2),
        "last_px": f"{chance.randint(1, whole)}.{chance.randint(1, 9999):04}",
        "last_qty": f"{chance.randint(0, whole)}.{chance.randint(1, 999):03}",
        "transact_time_ns": (ANCHOR_S + number * _STEP_S) * 10**9 + chance.randrange(10**9),
        "counterparty_owner_id": f"{trial}.nobody",
    }


def message(fill: Mapping[str, Any]) -> Fill:
    """As it is sent."""
    values = {name: value for name, value in fill.items() if name not in ("transact_time_ns", "number")}
    made = Fill(**values)
    made.transact_time.FromNanoseconds(fill["transact_time_ns"])
    return made


def journal(path: Path) -> Iterator[dict[str, Any]]:
    """Entries of a file of JSON lines; one that its writer died over was never sent, nor acknowledged."""
    if path.exists():
        for line in path.read_bytes().split(b"\n"):
            if line.startswith(b"{") and line.endswith(b"}"):
                yield json.loads(line)


class Journal:
    """Appends JSON lines that outlive their writer."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with private.open_file(path, "ab") as file:
            file.write(b"\n")  # whoever wrote before may have died in the middle of a line

    def write(self, *entries: Mapping[str, Any]) -> None:
        """All in one write."""
        with private.open_file(self._path, "ab", buffering=0) as file:
            file.write(b"".join(json.dumps(entry).encode() + b"\n" for entry in entries))
