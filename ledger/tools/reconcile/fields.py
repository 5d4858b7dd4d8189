"""How each kind of difference between a fill of the engine and the ledger's is found in SQL, and shown.

Columns of the engine's side begin with `e_`, those of the ledger's with `l_`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ledger.tools.duck.database import amount_literal
from ledger.tools.reconcile.kinds import FIELDS, KINDS
from ledger.tools.reconcile.terms import Terms


class ComparedField(NamedTuple):
    """How one kind of difference is found, and shown; all are expressions."""

    differs: str
    engine: str
    ledger: str
    difference: str = "NULL"
    currency: str = "NULL"
    tolerance: str = "NULL"


def differences(terms: Terms) -> dict[str, ComparedField]:
    """Return the kinds of differences that are looked for in a pair, by kind, in the order of reports."""
    texts = {
        "ACCOUNT": "account_id",
        "SYMBOL": "symbol",
        "SIDE": "side",
        "LIQUIDITY": "liquidity",
        "COUNTERPARTY": "counterparty",
        "ORDER_ID": "order_id",
        "TRADE_ID": "trade_id",
        "FEE_CURRENCY": "fee_currency",
    }
    found = {kind: ComparedField(f"e_{name} <> l_{name}", f"e_{name}", f"l_{name}") for kind, name in texts.items()}
    for kind, name in {"PRICE": "price", "QUANTITY": "quantity", "RATE": "rate"}.items():
        found[kind] = _amount(f"e_{name}", f"l_{name}", "NULL", {})
    found["NOTIONAL"] = _amount("e_notional", "l_volume", "l_quote", terms.tolerances)
    found["FEE"] = _fee(terms)
    found["OTHER_FEES"] = ComparedField("e_other_fees IS NOT NULL", "e_other_fees", "NULL")
    found["TIMING"] = _timing(terms)
    found["NOT_COMPARED"] = _not_compared(terms)
    looked_for = {*terms.looked_for(), "TIMING", "NOT_COMPARED"}
    return {kind: found[kind] for kind in KINDS if kind in found and kind in looked_for}


def break_id(kind: str, *key: str) -> str:
    """Return the expression of a stable name: the same break has the same one in every run."""
    parts = " || chr(31) || ".join(f"coalesce({part}::VARCHAR, '')" for part in key)
    return f"'{kind}-' || left(sha256('{kind}' || chr(31) || {parts}), 16)"


def shown(side: str) -> str:
    """Return the expression that shows a fill in one line."""
    return (
        f"concat_ws(' ', lower({side}_side), amount_text({side}_quantity), {side}_symbol, 'at ' ||"
        f" amount_text({side}_price), 'for ' || amount_text({side}_fee), {side}_fee_currency)"
    )


def _not_compared(terms: Terms) -> ComparedField:
    """Find a pair of which the engine's side does not say what it must."""
    required = {name: f"e_{FIELDS[name].column} IS NULL" for name in terms.required()}
    lacks = ", ".join(f"CASE WHEN {is_null} THEN 'no {name}' END" for name, is_null in required.items())
    return ComparedField(" OR ".join(required.values()) or "false", f"concat_ws(', ', {lacks or 'NULL'})", shown("l"))


def _fee(terms: Terms) -> ComparedField:
    """Find another fee in the same currency: another currency is told as such, unless it is left out."""
    fee = _amount("e_fee", "l_fee", "l_fee_currency", terms.tolerances)
    if not terms.compares("fee_currency"):
        return fee
    return fee._replace(differs=f"coalesce(e_fee_currency = l_fee_currency, true) AND {fee.differs}")


def _timing(terms: Terms) -> ComparedField:
    """Compare instants in the unit that the engine's file has, and days always: they say which fill it is."""
    instants = "e_time_ns - e_time_ns % e_unit_ns <> l_time_ns - l_time_ns % e_unit_ns"
    return ComparedField(
        instants if terms.compares("time") else "e_day <> l_day",
        "instant_text(e_time_ns)",
        "instant_text(l_time_ns)",
        "seconds_text(e_time_ns - l_time_ns) || ' s'",
    )


def _amount(engine: str, ledger: str, currency: str, tolerances: Mapping[str, str]) -> ComparedField:
    differs, allowed = f"{engine} <> {ledger}", "NULL"
    if tolerances:
        differs += f" AND greatest({engine} - {ledger}, {ledger} - {engine}) > {tolerance_of(currency, tolerances)}"
        texts = " ".join(f"WHEN '{name}' THEN '{value}'" for name, value in tolerances.items())
        allowed = f"CASE {currency} {texts} ELSE '0' END"
    return ComparedField(
        f"({differs})",
        f"amount_text({engine})",
        f"amount_text({ledger})",
        f"amount_text({engine} - {ledger})",
        currency,
        allowed,
    )


def tolerance_of(currency: str, tolerances: Mapping[str, str]) -> str:
    """Return the expression of the tolerance in a currency, which is an expression too."""
    cases = " ".join(f"WHEN '{name}' THEN {amount_literal(value)}" for name, value in tolerances.items())
    zero = amount_literal("0")
    return f"CASE {currency} {cases} ELSE {zero} END" if cases else zero
