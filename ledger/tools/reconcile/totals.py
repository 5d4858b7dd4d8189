"""Control totals of both sides: by day, currency, symbol and account, every fill of the period counted as it stands."""

from __future__ import annotations

from typing import Any, Final

from ledger.tools.duck.database import Database, amount_literal
from ledger.tools.reconcile.fields import tolerance_of
from ledger.tools.reconcile.kinds import DIMENSIONS
from ledger.tools.reconcile.terms import Terms

MEASURES: Final = ("fills", "volume", "fee")

_TABLE: Final = """
CREATE TABLE totals (
  dimension VARCHAR, key VARCHAR, currency VARCHAR, engine_fills BIGINT, ledger_fills BIGINT, engine_volume BIGNUM,
  ledger_volume BIGNUM, engine_fee BIGNUM, ledger_fee BIGNUM, differs BOOLEAN)
"""
_ZERO: Final = amount_literal("0")


def add_totals(database: Database, terms: Terms, symbols: dict[str, str]) -> None:
    """Make the table. `symbols` gives each symbol's quote currency.

    A row is a key in a currency: fills and volume of the symbols quoted in it, and the fees in it. Where the engine
    names no fee currency, it is the symbol's. A key that is left out is empty on both sides. A row differs where a sum
    that is compared does by more than the tolerances of its fills together.
    """
    database.run(_TABLE)
    database.run("CREATE TABLE quotes (symbol VARCHAR, quote VARCHAR)")
    for symbol, quote in symbols.items():
        database.run("INSERT INTO quotes VALUES (?, ?)", [symbol, quote])
    # LTC_USDT:USDT is a contract on LTC_USDT that settles in USDT
    quote = "coalesce(quotes.quote, split_part(split_part(symbol, '_', 2), ':', 1), '')"
    _add_sums(
        database, "engine", f"(SELECT engine.*, {quote} AS quote FROM engine LEFT JOIN quotes USING (symbol))", terms
    )
    _add_sums(database, "ledger", "ledger", terms)
    keys = {"day": "day_text(day)", "symbol": "symbol", "account": "account_id"}
    for dimension in DIMENSIONS:
        engine, ledger = (_side(side, keys.get(dimension, "''")) for side in ("engine", "ledger"))
        key = "currency" if dimension == "currency" else "key"
        chosen = ", ".join(
            f"coalesce({side}.{name}, {0 if name == 'fills' else _ZERO}) AS {side}_{name}"
            for name in (*MEASURES, "allowed_volume", "allowed_fee")
            for side in ("e", "l")
        )
        database.run(
            f"INSERT INTO totals SELECT '{dimension}', key, currency,"
            f" {', '.join(f'{side}_{name}' for name in MEASURES for side in ('e', 'l'))}, {_differs(terms)}"
            f" FROM (SELECT {key} AS key, currency, {chosen}"
            f" FROM ({engine}) AS e FULL JOIN ({ledger}) AS l USING (key, currency))"
        )


def _add_sums(database: Database, side: str, source: str, terms: Terms) -> None:
    """Make the table `<side>_sums`; `allowed` is what the tolerances of its fills come to."""
    symbol, quote = ("coalesce(symbol, '')", "quote") if terms.compares("symbol") else ("''", "''")
    fee_currency = "coalesce(fee_currency, quote)" if terms.compares("fee_currency") else "''"
    allowed = [f"sum({tolerance_of(currency, terms.tolerances)})" for currency in ("quote", "fee_currency")]
    if not terms.tolerances:
        allowed = [_ZERO, _ZERO]
    database.run(
        f"CREATE TABLE {side}_sums AS SELECT day, {symbol} AS symbol, account_id, {quote} AS quote,"
        f" {fee_currency} AS fee_currency, count(*) AS fills, sum(volume) AS volume, sum(fee) AS fee,"
        f" {allowed[0]} AS allowed_volume, {allowed[1]} AS allowed_fee"
        f" FROM {source} WHERE {terms.inside()} GROUP BY ALL"
    )


def _differs(terms: Terms) -> str:
    """Return the condition that a row differs in what is compared; the ledger's fills say what is allowed."""
    compared = {"volume": terms.compares("price", "quantity"), "fee": terms.compares("fee")}
    apart = (
        f"greatest(e_{name} - l_{name}, l_{name} - e_{name}) > l_allowed_{name}"
        for name, is_compared in compared.items()
        if is_compared
    )
    return f"({' OR '.join(['e_fills <> l_fills', *apart])})"


def _side(side: str, key: str) -> str:
    none = "NULL::BIGNUM"
    volumes = (
        f"SELECT {key} AS key, quote AS currency, fills, volume, {none} AS fee, allowed_volume, {none} AS allowed_fee"
        f" FROM {side}_sums"
    )
    fees = (
        f"SELECT {key} AS key, fee_currency AS currency, 0 AS fills, {none} AS volume, fee, {none} AS allowed_volume,"
        f" allowed_fee FROM {side}_sums"
    )
    sums = ", ".join(f"sum({name}) AS {name}" for name in ("volume", "fee", "allowed_volume", "allowed_fee"))
    return (
        f"SELECT key, currency, sum(fills)::BIGINT AS fills, {sums} FROM ({volumes} UNION ALL {fees})"
        " GROUP BY key, currency"
    )


_SHOWN: Final = (
    "key, currency, differs, engine_fills, ledger_fills, engine_fills - ledger_fills AS difference_fills,"
    " amount_text(engine_volume) AS engine_volume, amount_text(ledger_volume) AS ledger_volume,"
    " amount_text(engine_volume - ledger_volume) AS difference_volume, amount_text(engine_fee) AS engine_fee,"
    " amount_text(ledger_fee) AS ledger_fee, amount_text(engine_fee - ledger_fee) AS difference_fee"
)


def read_totals(
    database: Database, dimension: str, *, differing: bool = False, limit: int = -1
) -> list[dict[str, Any]]:
    """Rows of a dimension as texts, in the order of their keys; those that differ first if there is a limit."""
    where = " AND differs" if differing else ""
    order = "NOT differs, key, currency" if limit >= 0 else "key, currency"
    bound = f" LIMIT {limit}" if limit >= 0 else ""
    rows = database.records(
        f"SELECT {_SHOWN} FROM totals WHERE dimension = ?{where} ORDER BY {order}{bound}", [dimension]
    )
    return list(rows)


def read_sums(database: Database, dimension: str) -> list[dict[str, Any]]:
    """Sums of all rows of a dimension as texts, a row for each currency."""
    columns = ", ".join(f"sum({side}_{what}) AS {side}_{what}" for what in MEASURES for side in ("engine", "ledger"))
    chosen = f"'' AS key, currency, bool_or(differs) AS differs, {columns}"
    sums = f"SELECT {chosen} FROM totals WHERE dimension = ? GROUP BY currency"
    return list(database.records(f"SELECT {_SHOWN} FROM ({sums}) ORDER BY currency", [dimension]))


def count_totals(database: Database) -> dict[str, tuple[int, int]]:
    """(rows, those that differ) of each dimension."""
    rows = database.all("SELECT dimension, count(*), count(*) FILTER (differs) FROM totals GROUP BY dimension")
    return {dimension: (count, differing) for dimension, count, differing in rows}
