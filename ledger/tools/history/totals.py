"""Control totals of a fee history: added up entry by entry, and compared with the running totals of the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ledger.cli.screens import table
from ledger.domain.money import decimal_text
from ledger.domain.state.volume_cells import FEE_SCALE, NOTIONAL_SCALE
from ledger.tools.history.entries import counted, notional
from ledger.v1.query_service_pb2 import FeeLine, ListFeeHistoryResponse


class Totals:
    """Fills and adjustments; volume by quote currency, and fees as they are now by currency. Exact: integers."""

    def __init__(self) -> None:
        self.fills = 0
        self.adjustments = 0
        self.volumes: dict[str, list[int]] = {}  # by currency [notional, fills]
        self.fees: dict[str, list[int]] = {}  # by currency [charges, rebates, fills]

    def take(self, line: FeeLine) -> None:
        """Add an entry."""
        if line.kind == "FILL":
            self.fills += 1
            volume = self.volumes.setdefault(line.quote_currency, [0, 0])
            volume[0] += notional(line)
            volume[1] += 1
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
        """(currency, charges, rebates, net, fills)."""
        return [
            (currency, *(decimal_text(amount, FEE_SCALE) for amount in (up, down, up + down)), str(fills))
            for currency, (up, down, fills) in sorted(self.fees.items())
            if fills
        ]

    def differences(self, page: ListFeeHistoryResponse) -> list[str]:
        """Return a line for each total of the ledger, the same on every page, that is not as it was added up here."""
        own = {("volume", currency): rest for currency, *rest in self.volume_rows()}
        own |= {("fees", currency): rest for currency, *rest in self.fee_rows()}
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
        if self.fee_rows():
            yield from table(("fees", ".charges", ".rebates", ".net", ">fills"), map(_grouped, self.fee_rows()))


def _told(page: ListFeeHistoryResponse) -> dict[tuple[str, str], list[str]]:
    told = {("volume", one.quote_currency): [one.notional, str(one.lines)] for one in page.volumes}
    return told | {("fees", one.currency): [one.charges, one.rebates, one.net, str(one.lines)] for one in page.totals}


def _shown(values: list[str] | None) -> str:
    return " ".join(values) if values else "none"


def _grouped(row: Any) -> tuple[str, ...]:
    *values, fills = row
    return (*values, f"{int(fills):,}")
