"""Trades whose two legs together cost less than nothing: what the guard against a money pump must never let happen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from ledger.domain.events import KnownLine
from ledger.domain.money import SCALE_MAX, decimal_text
from ledger.domain.state.volume_cells import FEE_SCALE, exact
from projections.controls.scope import Control, Finding, Scope, instant_text

_SCALE: Final = 2 * SCALE_MAX  # a fee of 18 decimals times a price of 18


class _Leg(NamedTuple):
    """One side of a trade; `value` is its fee in quote currency, at _SCALE."""

    account_id: str
    value: int
    time_ns: int


def _find(scope: Scope) -> Iterator[Finding]:
    """Find them by keeping one leg until the other comes: both are mostly in one commit, so few are kept."""
    waiting: dict[tuple[str, str, str], _Leg] = {}
    for account_id, venue, known in scope.fills():
        line = known.line
        if not line.trade_id or known.basis.programme_id != scope.programme.programme_id:
            continue
        trade = (venue, known.terms.symbol, line.trade_id)
        leg = _Leg(account_id, _in_quote(known), line.transact_time_ns)
        other = waiting.pop(trade, None)
        if other is None:
            waiting[trade] = leg
        elif leg.value + other.value < 0:
            yield _finding(trade, known.terms.quote_currency, leg, other)


def _in_quote(known: KnownLine) -> int:
    """Return the fee of a line in quote currency, at the prices of the line itself."""
    line, terms, basis = known
    fee: int = line.fee * 10 ** (SCALE_MAX - basis.fee_decimals)
    if basis.fee_currency == terms.quote_currency:
        return fee * 10**SCALE_MAX
    if basis.fee_currency == line.token and line.token_price:
        return fee * exact(line.token_price, FEE_SCALE)
    price: int = line.price * 10 ** (SCALE_MAX - terms.price_scale)
    return fee * price


def _finding(trade: tuple[str, str, str], currency: str, leg: _Leg, other: _Leg) -> Finding:
    rebated, paying = sorted((leg, other), key=lambda one: one.value)
    net = decimal_text(leg.value + other.value, _SCALE)
    venue, symbol, trade_id = trade
    return Finding(
        subject="/".join(trade),
        message=f"trade {trade_id} of {symbol} at {instant_text(leg.time_ns)} nets {net} {currency}:"
        f" {rebated.account_id} against {paying.account_id}",
        account_id=rebated.account_id,
        time_ns=leg.time_ns,
        details={
            "venue": venue,
            "symbol": symbol,
            "trade_id": trade_id,
            "net": net,
            "currency": currency,
            "counterparty_account_id": paying.account_id,
        },
    )


CONTROL: Final = Control(
    "trades-below-zero", "trades whose two legs together cost less than nothing, from the log; looks back", _find
)
