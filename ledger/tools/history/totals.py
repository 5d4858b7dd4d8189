"""Control totals of a fee history: added up entry by entry, and compared with the running totals of the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ledger.cli.screens import table
from ledger.domain.money import decimal_text
from ledger.domain.state.volume_cells import FEE_SCALE, NOTIONAL_SCALE
from ledger.tools.history.entries import counted, credited, notional
from ledger.v1.query_service_pb2 import FeeLine, ListFeeHistoryResponse


class Totals:
    """Fills, adjustments, credits; volume by quote currency, and fees as they are now by currency. Exact: integers."""

    def __init__(self) -> None:
        self.fills = 0
        self.adjustments = 0
        self.credits = 0
        self.volumes: dict[str, list[int]] = {}  # by currency [notional, fills]
        self.fees: dict[str, list[int]] = {}  # by currency [charges, rebates, fills]
        self.credited: dict[str, int] = {}  # by currency, zero or negative

    def take(self, line: FeeLine) -> None:
        """Add an entry."""
        if line.kind == "FILL":
            self.fills += 1
            volume = self.volumes.setdefault(line.quote_currency, [0, 0])
            volume[0] += notional(line)
            volume[1] += 1
        elif line.HasField("credit"):
            self.credits += 1
            self.credited[line.fee_currency] = self.credited.get(line.fee_currency, 0) + credited(line)
        else:
            self.adjustments += 1
        for sign, currency, fee, _ in counted(line):
            sums = self.fees.setdefault(currency, [0, 0, 0])
            sums[0] += sign * max(fee, 0)
            sums[1] += sign * min(fee, 0)
            sums[2] += sign

    def volume_rows(self) -> list[tuple[str, str, str]]:
        """(currency, volume, fills)."""
        return [
            (currency, decimal_text(amount, NOTIONAL_SCALE), str(fills))
            for currency, (amount, fills) in sorted(self.volumes.items())
        ]

    def fee_rows(self) -> list[tuple[str, ...]]:
        """(currency, charges, rebates, credits, net, fills)."""
        rows = []
        for currency in sorted(self.fees.keys() | self.credited.keys()):
            up, down, fills = self.fees.get(currency, (0, 0, 0))
            back = self.credited.get(currency, 0)
            if fills or back:
                amounts = (decimal_text(amount, FEE_SCALE) for amount in (up, down, back, up + down + back))
                rows.append((currency, *amounts, str(fills)))
        return rows

    def differences(self, page: ListFeeHistoryResponse) -> list[str]:
        """Return a line for each total of the ledger, the same on every page, that is not as it was added up here."""
        own = {("volume", currency): rest for currency, *rest in self.volume_rows()}
        own |= {("fees", currency): [up, down, net, fills] for currency, up, down, _, net, fills in self.fee_rows()}
        own |= {("credits", currency): [back] for currency, _, _, back, *_ in self.fee_rows() if back != "0"}
        return [
            f"{what} in {currency}: {_shown(own.get((what, currency)))} were added up, but the ledger's totals say"
            f" {_shown(told.get((what, currency)))}"
            for told in [_told(page)]
            for what, currency in sorted(own.keys() | told.keys())
            if own.get((what, currency)) != told.get((what, currency))
        ]

    def table(self) -> Iterator[str]:
        """As printed."""
        if self.volumes:
            yield from table(("volume", ".amount", ">fills"), [_grouped(row) for row in self.volume_rows()])
        if rows := self.fee_rows():
            heads = ["fees", ".charges", ".rebates", ".credits", ".net", ">fills"]
            if not any(self.credited.values()):
                heads.remove(".credits")
                rows = [(*row[:3], *row[4:]) for row in rows]
            yield from table(heads, map(_grouped, rows))


def _told(page: ListFeeHistoryResponse) -> dict[tuple[str, str], list[str]]:
    told = {("volume", one.quote_currency): [one.notional, str(one.lines)] for one in page.volumes}
    for one in page.totals:
        told["fees", one.currency] = [one.charges, one.rebates, one.net, str(one.lines)]
        if one.credits:
            told["credits", one.currency] = [one.credits]
    return told


def _shown(values: list[str] | None) -> str:
    return " ".join(values) if values else "none"


def _grouped(row: Any) -> tuple[str, ...]:
    *values, fills = row
    return (*values, f"{int(fills):,}")
