"""Breaks of fills among each other: an exec_id that names several fills, and trades whose legs do not fit.

Each fill is looked at once: as the ledger has it, or as the engine has it where the ledger lacks it.
"""

from __future__ import annotations

from typing import Final

from ledger.tools.duck.database import Database
from ledger.tools.reconcile.fields import break_id
from ledger.tools.reconcile.terms import Terms


def find_trade_breaks(database: Database, terms: Terms) -> None:
    """Add what is found in the tables `ledger` and `engine_only` to `breaks`."""
    _each_fill_once(database, terms)
    _reused(database)
    if terms.legs:
        _legs(database)


def _each_fill_once(database: Database, terms: Terms) -> None:
    columns = ("venue", "account_id", "day", "exec_id", "symbol", "trade_id", "side", "liquidity", "price", "quantity")
    plain = ", ".join(columns)
    of_engine = ", ".join(f"e_{name}" for name in columns)
    database.run(
        f"CREATE VIEW fill AS SELECT {plain}, {terms.inside()} AS inside, position, line, NULL::BIGINT AS place"
        " FROM ledger"
        f" UNION ALL SELECT {of_engine}, {terms.inside('e_time_ns')}, NULL, NULL, e_place FROM engine_only"
    )


def _reused(database: Database) -> None:
    """Both legs of a trade may share an exec_id; other fills of one venue may not."""
    use = "CASE WHEN trade_id <> '' THEN trade_id ELSE account_id || '/' || day END"
    listed = "string_agg(account_id || ' ' || day_text(day), ', ' ORDER BY day, account_id)"
    database.run("CREATE TABLE reused AS SELECT venue, exec_id FROM fill GROUP BY ALL HAVING count(*) > 1")
    database.run(
        f"INSERT INTO breaks SELECT {break_id('REUSED_EXEC_ID', 'venue', 'exec_id')}, 'REUSED_EXEC_ID', venue,"
        f" min(account_id), min(day), exec_id, any_value(symbol), NULL, NULL, NULL, {listed}, NULL, NULL,"
        " max(place), max(position), arg_max(line, position)"
        f" FROM fill SEMI JOIN reused USING (venue, exec_id) GROUP BY venue, exec_id"
        f" HAVING count(DISTINCT {use}) > 1 AND bool_or(inside)"
    )


_LEGS: Final = {
    "LEG_MISSING": "legs = 1",
    "LEG_EXTRA": "legs > 2",
    "LEG_PRICE": "legs = 2 AND prices > 1",
    "LEG_QUANTITY": "legs = 2 AND quantities > 1",
    "LEG_SIDE": "legs = 2 AND sides = 1 AND said_sides = 2",
    "LEG_LIQUIDITY": "legs = 2 AND liquidities = 1 AND said_liquidities = 2",
}


def _legs(database: Database) -> None:
    key = "venue, symbol, trade_id"
    database.run(
        f"CREATE TABLE odd_trade AS SELECT {key} FROM fill WHERE trade_id <> '' GROUP BY {key}"
        " HAVING bool_or(inside) AND (count(*) <> 2 OR min(price) <> max(price) OR min(quantity) <> max(quantity)"
        " OR min(side) = max(side) OR min(liquidity) = max(liquidity))"
    )
    leg = (
        "concat_ws(' ', account_id, exec_id, lower(liquidity), lower(side), amount_text(quantity), 'at',"
        " amount_text(price))"
    )
    database.run(
        f"CREATE TABLE trade AS SELECT {key}, count(*) AS legs, count(DISTINCT price::VARCHAR) AS prices,"
        " count(DISTINCT quantity::VARCHAR) AS quantities, count(DISTINCT side) AS sides,"
        " count(DISTINCT liquidity) AS liquidities, count(side) AS said_sides, count(liquidity) AS said_liquidities,"
        " min(account_id) AS account_id, min(day) AS day,"
        " min(exec_id) AS exec_id, max(place) AS place, max(position) AS position, arg_max(line, position) AS line,"
        f" string_agg({leg}, '; ' ORDER BY liquidity, exec_id) AS told"
        f" FROM fill SEMI JOIN odd_trade USING ({key}) GROUP BY {key}"
    )
    for kind, where in _LEGS.items():
        name = break_id(kind, "venue", "symbol", "trade_id")
        database.run(
            f"INSERT INTO breaks SELECT {name}, '{kind}', venue, account_id, day, exec_id,"
            f" symbol, trade_id, NULL, NULL, told, NULL, NULL, place, position, line FROM trade WHERE {where}"
        )
