"""Names of columns: ours, those of engines, and which is which."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ledger.cli.errors import UnusableError

TIMES: Final[Mapping[str, int]] = {  # ns in one unit of the column
    "transact_time": 1,  # ISO 8601, to the nanosecond
    "transact_time_ns": 1,
    "transact_time_us": 1_000,
    "transact_time_ms": 1_000_000,
    "transact_time_s": 1_000_000_000,
}
AMOUNTS: Final = ("last_px", "last_qty", "notional", "fee_amount", "fee_rate")
TEXTS: Final = ("symbol", "side", "liquidity", "fee_currency", "counterparty_owner_id", "order_id", "trade_id")
NAMES: Final = ("venue", "account_id", "exec_id", *TIMES, *AMOUNTS, *TEXTS)
OPTIONAL: Final = (*AMOUNTS, *TEXTS)  # compared where the file says something

# Preset by name: our column -> column of the file. `ledger` is what ListFeeHistory calls them.
PRESETS: Final[Mapping[str, Mapping[str, str]]] = {
    "ledger": {name: name for name in NAMES},
    "ccxt": {
        "exec_id": "id",
        "transact_time_ms": "timestamp",
        "symbol": "symbol",
        "side": "side",
        "liquidity": "takerOrMaker",
        "last_px": "price",
        "last_qty": "amount",
        "notional": "cost",
        "order_id": "order",
        "fee_amount": "fee.cost",
        "fee_currency": "fee.currency",
        "fee_rate": "fee.rate",
        "account_id": "account_id",
        "venue": "venue",
        "trade_id": "trade_id",
    },
}


class Mapped:
    """Which column of a file each of ours is: those of a preset if the file has them, and those that were named."""

    def __init__(self, text: str) -> None:
        """Of the option --columns, for example `ccxt,account_id=info.uid,notional=`. Raises UnusableError."""
        parts = [part.strip() for part in text.split(",") if part.strip()]
        presets = [part for part in parts if "=" not in part]
        for name in presets:
            if name not in PRESETS:
                raise UnusableError(f"--columns: no preset {name!a}: there are {', '.join(PRESETS)}")
        self._preset: dict[str, str] = {}
        for name in presets or ["ledger"]:
            self._preset |= PRESETS[name]
        self._named = dict(part.split("=", 1) for part in parts if "=" in part)
        for name in self._named:
            if name not in NAMES:
                raise UnusableError(f"--columns: {name!a} is none of our columns: they are {', '.join(NAMES)}")

    def names(self) -> dict[str, str]:
        """Every column a file may have: ours -> its own."""
        return {name: theirs for name, theirs in (self._preset | self._named).items() if theirs}

    def found(self, file: str, has: list[str], constants: Mapping[str, str]) -> dict[str, str]:
        """The same for a file with these columns. Raises UnusableError for one that cannot be compared."""
        for name, theirs in self._named.items():
            if theirs and theirs not in has:
                raise UnusableError(f"{file}: no column {theirs} for {name}: it has {_listed(has)}")
        found = {name: theirs for name, theirs in self.names().items() if theirs in has and name not in constants}
        times = [name for name in found if name in TIMES]
        for name in ("exec_id", "account_id"):
            if name not in found and name not in constants:
                raise UnusableError(
                    f"{file}: no column {self.names().get(name, name)}, and without {name} no fill is known: it has"
                    f" {_listed(has)}; say which with --columns {name}=NAME"
                    + (" or give --account" if name == "account_id" else "")
                )
        if len(times) != 1:
            fault = f"{' and '.join(times)} are both there" if times else "no column transact_time"
            raise UnusableError(f"{file}: {fault}: say which with --columns transact_time=NAME (or _ns, _us, _ms, _s)")
        return found


def _listed(has: list[str]) -> str:
    return ", ".join(has[:40]) or "no columns"
