"""Reckon what a ledger must hold after a trial, from what was sent, with arithmetic and rates of its own.

It knows the rules of the ledger as its contract tells them, and nothing of its code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Context, Decimal
from pathlib import Path
from typing import Any, Final

from ledger.v1 import refusal_pb2
from scripts.torture.fills import journal

TIERS: Final = {"maker": "VIP3", "taker": "VIP1"}  # by account, given by hand before a trial; the others have none
CLASSES: Final = {"TA_USDT": "A", "TB_BTC": "B", "TN_USDT": ""}  # the last one has none
RATES: Final = {  # maker, taker
    ("VIP1", "A"): (Decimal("0.0004"), Decimal("0.0005")),
    ("VIP1", "B"): (Decimal("0.001"), Decimal("0.0012")),
    ("VIP3", "A"): (Decimal("-0.00001"), Decimal("0.0003")),
    ("VIP3", "B"): (Decimal("0.0002"), Decimal("0.0006")),
}
BASE: Final = (Decimal("0.0025"), Decimal("0.0025"))
_EXACT: Final = Context(prec=90)
_UNIT: Final = Decimal("0.00000001")
_DAY_NS: Final = 86_400 * 10**9

Number = tuple[str, int]  # a source and its number


@dataclass(frozen=True)
class Line:
    """A fill that must be recorded."""

    account_id: str
    exec_id: str
    day: int  # since 1970
    symbol: str
    notional: Decimal
    fee: Decimal
    rate: Decimal
    self_trade: bool

    @property
    def quote(self) -> str:
        """Currency of notional and fee."""
        return self.symbol.rpartition("_")[2]


@dataclass
class Reckoned:
    """The lines, refusals and replays that must come of all that was sent."""

    lines: dict[Number, Line] = field(default_factory=dict)
    refused: dict[Number, int] = field(default_factory=dict)  # number of the reason
    again: set[Number] = field(default_factory=set)  # recorded before, under another number
    sent: int = 0  # fills, each time they were sent
    findings: list[str] = field(default_factory=list)


def reckon(folder: Path, sources: Mapping[str, int]) -> Reckoned:
    """Reckon from the journals of the sources, each with the last number it must have sent."""
    reckoned = Reckoned()
    for source, last in sources.items():
        fills: dict[int, dict[str, Any]] = {}
        for fill in journal(folder / f"{source}.sent"):
            reckoned.sent += 1
            if fills.setdefault(fill["number"], fill) != fill:
                reckoned.findings.append(f"{source} sent two fills under {fill['number']}")
        if sorted(fills) != list(range(1, last + 1)):
            reckoned.findings.append(f"{source} did not send all of its {last} fills")
        _reckon_source(source, fills, reckoned)
    return reckoned


def _reckon_source(source: str, fills: Mapping[int, Mapping[str, Any]], reckoned: Reckoned) -> None:
    first_sent: dict[tuple[str, int, str], dict[str, Any]] = {}
    for number, fill in sorted(fills.items()):
        day = fill["transact_time_ns"] // _DAY_NS
        content = {name: value for name, value in fill.items() if name != "number"}
        content |= {name: Decimal(fill[name]) for name in ("last_px", "last_qty")}  # 1.5000 is 1.5
        if not fill["side"]:
            reckoned.refused[source, number] = refusal_pb2.REASON_ENUM_UNSPECIFIED
        elif not Decimal(fill["last_qty"]):
            reckoned.refused[source, number] = refusal_pb2.REASON_NOT_POSITIVE
        elif fill["symbol"] not in CLASSES:
            reckoned.refused[source, number] = refusal_pb2.REASON_SYMBOL_UNKNOWN
        elif (known := first_sent.setdefault((fill["account_id"], day, fill["exec_id"]), content)) is content:
            reckoned.lines[source, number] = _line(fill, day)
        elif known == content:
            reckoned.again.add((source, number))
        else:
            reckoned.refused[source, number] = refusal_pb2.REASON_FILL_CONFLICT


def _line(fill: Mapping[str, Any], day: int) -> Line:
    tier = TIERS.get(fill["account_id"].rpartition(".")[2], "")
    rate = RATES.get((tier, CLASSES[fill["symbol"]]), BASE)[fill["liquidity"] - 1]
    self_trade = fill["counterparty_owner_id"] == fill["account_id"]
    if self_trade:
        rate = max(rate, Decimal(0))  # a self-trade earns nothing
    notional = _EXACT.multiply(Decimal(fill["last_px"]), Decimal(fill["last_qty"]))
    return Line(
        account_id=fill["account_id"],
        exec_id=fill["exec_id"],
        day=day,
        symbol=fill["symbol"],
        notional=notional,
        fee=_EXACT.multiply(notional, rate).quantize(_UNIT, ROUND_HALF_EVEN, _EXACT),
        rate=rate,
        self_trade=self_trade,
    )
