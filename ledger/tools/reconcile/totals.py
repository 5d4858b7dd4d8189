"""Control totals of both sides: by day, currency, symbol and account, every fill of the period counted as it stands."""

from __future__ import annotations

from typing import Any, Final

from ledger.tools.reconcile.breaks import Terms
from ledger.tools.reconcile.database import Database

DIMENSIONS: Final = ("day", "currency", "symbol", "account")
_COUNTED: Final = ("fills", "volume", "fee")

_TABLE: Final = """
CREATE TABLE totals (
  dimension VARCHAR, key VARCHAR, currency VARCHAR, engine_fills BIGINT, ledger_fills BIGINT, engine_volume BIGNUM,
  ledger_volume BIGNUM, engine_fee BIGNUM, ledger_fee BIGNUM)
"""


def add_totals(database: Database, terms: Terms, symbols: dict[str, str]) -> None:
    """Make the table. `symbols` gives each symbol's quote currency.

    A row is a key in a currency: fills and volume of the symbols quoted in it, and the fees in it. Where the engine
    names no fee currency, it is the symbol's.
    """
    database.run(_TABLE)
    database.run("CREATE TABLE quotes (symbol VARCHAR, quote VARCHAR)")
    for symbol, quote in symbols.items():
        database.run("INSERT INTO quotes VALUES (?, ?)", [symbol, quote])
    inside = f"time_ns >= {terms.from_ns} AND time_ns < {terms.until_ns}"
    keys = {"day": "day_text(day)", "symbol": "coalesce(symbol, '')", "account": "account_id"}
    quote = "coalesce(quotes.quote, split_part(symbol, '_', 2), '')"
    of_engine = f"(SELECT engine.*, {quote} AS quote FROM engine LEFT JOIN quotes USING (symbol) WHERE {inside})"
    of_ledger = f"(SELECT * FROM ledger WHERE {inside})"
    for side, source in (("engine", of_engine), ("ledger", of_ledger)):
        database.run(
            f"CREATE TABLE {side}_sums AS SELECT day, coalesce(symbol, '') AS symbol, account_id, quote,"
            " coalesce(fee_currency, quote) AS fee_currency, count(*) AS fills, sum(volume) AS volume, sum(fee) AS fee"
            f" FROM {source} GROUP BY ALL"
        )
    for dimension in DIMENSIONS:
        sides = [_side(side, keys.get(dimension, "''")) for side in ("engine", "ledger")]
        key = "currency" if dimension == "currency" else "key"
        zero = "'0'::BIGNUM"
        chosen = ", ".join(
            f"coalesce({side}.{name}, {0 if name == 'fills' else zero})" for name in _COUNTED for side in ("e", "l")
        )
        database.run(
            f"INSERT INTO totals SELECT '{dimension}', {key}, currency, {chosen}"
            f" FROM ({sides[0]}) AS e FULL JOIN ({sides[1]}) AS l USING (key, currency)"
        )


def _side(side: str, key: str) -> str:
    volumes = f"SELECT {key} AS key, quote AS currency, fills, volume, NULL::BIGNUM AS fee FROM {side}_sums"
    fees = f"SELECT {key} AS key, fee_currency AS currency, 0 AS fills, NULL::BIGNUM AS volume, fee FROM {side}_sums"
    return (
        "SELECT key, currency, sum(fills)::BIGINT AS fills, sum(volume) AS volume, sum(fee) AS fee"
        f" FROM ({volumes} UNION ALL {fees}) GROUP BY key, currency"
    )


_SHOWN: Final = (
    "key, currency, engine_fills, ledger_fills, engine_fills - ledger_fills AS difference_fills,"
    " amount_text(engine_volume) AS engine_volume, amount_text(ledger_volume) AS ledger_volume,"
    " amount_text(engine_volume - ledger_volume) AS difference_volume, amount_text(engine_fee) AS engine_fee,"
    " amount_text(ledger_fee) AS ledger_fee, amount_text(engine_fee - ledger_fee) AS difference_fee"
)
DIFFERS: Final = "(engine_fills <> ledger_fills OR engine_volume <> ledger_volume OR engine_fee <> ledger_fee)"


def read_totals(
    database: Database, dimension: str, *, differing: bool = False, limit: int = -1
) -> list[dict[str, Any]]:
    """Rows of a dimension as texts, in the order of their keys; those that differ first if there is a limit."""
    where = f" AND {DIFFERS}" if differing else ""
    order = f"NOT {DIFFERS}, key, currency" if limit >= 0 else "key, currency"
    bound = f" LIMIT {limit}" if limit >= 0 else ""
    rows = database.records(
        f"SELECT {_SHOWN} FROM totals AS t WHERE dimension = ?{where} ORDER BY {order}{bound}", [dimension]
    )
    return list(rows)


def count_totals(database: Database) -> dict[str, tuple[int, int]]:
    """(rows, those that differ) of each dimension."""
    rows = database.all(f"SELECT dimension, count(*), count(*) FILTER ({DIFFERS}) FROM totals GROUP BY dimension")
    return {dimension: (count, differing) for dimension, count, differing in rows}
