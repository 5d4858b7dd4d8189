"""Entries of a fee history as a table for people: the trade, the fee, and what it rests on."""

from __future__ import annotations

from collections.abc import Iterable

from ledger.cli.screens import NONE, instant, name, percent, table
from ledger.cli.screens.fills import credit_word
from ledger.v1.fill_pb2 import Liquidity, Side
from ledger.v1.query_service_pb2 import FeeLine

_HEADS = (
    *("time (UTC)", "exec_id", "symbol", "trade", ".qty", ".price", ".fee", "in"),
    *(".rate %", "which is", "tier", "grant", "class"),
)


def fee_table(lines: Iterable[FeeLine]) -> list[str]:
    """Return a row per entry; of an adjustment with the difference as fee, of a credit with who gave it, and why."""
    return table(_HEADS, map(_row, lines))


def _row(line: FeeLine) -> tuple[str, ...]:
    if line.HasField("credit"):
        return _credit_row(line)
    basis = line.basis
    trade = f"{name(Side, line.side)} {name(Liquidity, line.liquidity)}"
    less = "" if basis.discount in {"", "0"} else f" less {percent(basis.discount)} %"
    return (
        instant(line.transact_time),
        line.fill_ref.exec_id,
        line.symbol,
        trade if line.kind == "FILL" else "adjusted",
        line.last_qty,
        line.last_px,
        line.fee_amount,
        line.fee_currency,
        percent(basis.rate),
        basis.rate_source + less,
        basis.tier,
        f"{basis.grant_id} {basis.grant_source}".strip() or NONE,
        basis.pair_class or NONE,
    )


def _credit_row(line: FeeLine) -> tuple[str, ...]:
    why = line.credit
    which = f"{why.reason_code} by {why.asked_by} and {why.approved_by}"
    return (
        instant(line.transact_time),
        *(NONE, NONE, credit_word(line), NONE, NONE, line.fee_amount, line.fee_currency, NONE, which, NONE, NONE, NONE),
    )
