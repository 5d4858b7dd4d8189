"""What differs between the tables `engine` and `ledger`, break by break, in the table `breaks`.

One cause is one break where that can be told: a fill whose account or day differs is one fill, not one that is missing
and one too many; the legs of a trade are compared as the ledger has them, and as the engine has what the ledger lacks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from ledger.tools.reconcile.database import Database, amount_literal
from ledger.tools.reconcile.kinds import KINDS


@dataclass(frozen=True, slots=True)
class Terms:
    """What is compared: [from_ns, until_ns), tolerances of fees and notionals by currency, and whether trades have two
    legs here."""

    from_ns: int
    until_ns: int
    tolerances: Mapping[str, str] = field(default_factory=dict)
    legs: bool = True


class _Field(NamedTuple):
    """How one kind of difference is found in a pair, and shown."""

    differs: str
    engine: str
    ledger: str
    difference: str = "NULL"
    currency: str = "NULL"
    tolerance: str = "NULL"


_KEY: Final = ("venue", "account_id", "day", "exec_id")
_SIDES: Final = (
    *("venue", "account_id", "exec_id", "day", "time_ns", "symbol", "side", "liquidity", "price", "quantity"),
    *("volume", "fee", "fee_currency", "rate", "counterparty", "order_id", "trade_id"),
)
_ENGINE: Final = ("place", "unit_ns", "notional", *_SIDES)
_LEDGER: Final = ("position", "line", "quote", *_SIDES)

_TABLES: Final = """
CREATE TABLE breaks (
  id VARCHAR, kind VARCHAR, venue VARCHAR, account_id VARCHAR, day INTEGER, exec_id VARCHAR, symbol VARCHAR,
  trade_id VARCHAR, currency VARCHAR, engine VARCHAR, ledger VARCHAR, difference VARCHAR, tolerance VARCHAR,
  place BIGINT, position BIGINT, line INTEGER);
"""


def find_breaks(database: Database, terms: Terms) -> None:
    """Make the table. Of duplicates in the engine's files the first is compared."""
    database.run(_TABLES)
    _duplicates(database, terms)
    fields = _fields(terms)
    _join(database, terms, fields)
    _match_leftovers(database)
    for kind, found in fields.items():
        _add(database, kind, "paired", found, where=found.differs)
    one_sided = {
        "MISSING_IN_LEDGER": _Field("", _shown("e"), "NULL"),
        "MISSING_IN_ENGINE": _Field("", "NULL", _shown("l")),
    }
    _add(database, "MISSING_IN_LEDGER", "engine_only", one_sided["MISSING_IN_LEDGER"], where=_inside("e", terms))
    _add(database, "MISSING_IN_ENGINE", "ledger_only", one_sided["MISSING_IN_ENGINE"], where=_inside("l", terms))
    _each_fill_once(database, terms)
    _reused(database)
    if terms.legs:
        _legs(database)


def _inside(side: str, terms: Terms) -> str:
    return f"({side}_time_ns >= {terms.from_ns} AND {side}_time_ns < {terms.until_ns})"


def _id(kind: str, *key: str) -> str:
    """The expression of a stable name: the same break has the same one in every run."""
    parts = " || chr(31) || ".join(f"coalesce({part}::VARCHAR, '')" for part in key)
    return f"'{kind}-' || left(sha256('{kind}' || chr(31) || {parts}), 16)"


def _duplicates(database: Database, terms: Terms) -> None:
    key = ", ".join(_KEY)
    inside = f"time_ns >= {terms.from_ns} AND time_ns < {terms.until_ns}"
    database.run(
        f"CREATE TABLE duplicate AS SELECT {key}, min(place) AS first, count(*) AS times FROM engine"
        f" GROUP BY {key} HAVING count(*) > 1"
    )
    places = "list(place ORDER BY place)[2]"
    database.run(
        f"INSERT INTO breaks SELECT {_id('DUPLICATE', *_KEY)}, 'DUPLICATE', {key}, any_value(symbol),"
        f" any_value(trade_id), NULL, count(*)::VARCHAR || ' times'"
        f" || CASE WHEN count(DISTINCT (symbol, side, price, quantity, fee)) > 1 THEN ', not the same' ELSE '' END,"
        f" NULL, NULL, NULL, {places}, NULL, NULL"
        f" FROM engine SEMI JOIN duplicate USING ({key}) WHERE {inside} GROUP BY {key}"
    )


def _join(database: Database, terms: Terms, fields: Mapping[str, _Field]) -> None:
    """Pairs with a difference in `paired`, fills of one side in `engine_only` and `ledger_only`."""
    chosen = ", ".join([*(f"e.{name} AS e_{name}" for name in _ENGINE), *(f"l.{name} AS l_{name}" for name in _LEDGER)])
    on = " AND ".join(f"e.{name} = l.{name}" for name in _KEY)
    first = "SELECT engine.* FROM engine"
    if database.one("SELECT count(*) FROM duplicate"):
        first += f" LEFT JOIN duplicate USING ({', '.join(_KEY)}) WHERE first IS NULL OR place = first"
    either = f"({_inside('e', terms)} OR {_inside('l', terms)})"
    differs = " OR ".join(f"coalesce({found.differs}, false)" for found in fields.values())
    database.run(
        f"CREATE TABLE differing AS SELECT * FROM (SELECT {chosen} FROM ({first}) AS e FULL JOIN ledger AS l ON {on})"
        f" WHERE e_place IS NULL OR l_position IS NULL OR ({either} AND ({differs}))"
    )
    for name, where in (
        ("paired", "e_place IS NOT NULL AND l_position IS NOT NULL"),
        ("engine_only", "l_position IS NULL"),
        ("ledger_only", "e_place IS NULL"),
    ):
        database.run(f"CREATE TABLE {name} AS SELECT * FROM differing WHERE {where}")
    database.run("DROP TABLE differing")


def _match_leftovers(database: Database) -> None:
    """A fill that is left over on both sides under the same exec_id, and is the same trade, is one fill."""
    same = ("venue", "exec_id", "symbol", "price", "quantity")
    alone = "QUALIFY count(*) OVER (PARTITION BY {}) = 1"
    engine = alone.format(", ".join(f"e_{name}" for name in ("venue", "exec_id")))
    ledger = alone.format(", ".join(f"l_{name}" for name in ("venue", "exec_id")))
    on = " AND ".join(f"coalesce(e.e_{name} = l.l_{name}, e.e_{name} IS NULL)" for name in same[2:])
    chosen = ", ".join([*(f"e.e_{name}" for name in _ENGINE), *(f"l.l_{name}" for name in _LEDGER)])
    database.run(
        f"CREATE TABLE found AS SELECT {chosen} FROM (SELECT * FROM engine_only {engine}) AS e"
        f" JOIN (SELECT * FROM ledger_only {ledger}) AS l"
        f" ON e.e_venue = l.l_venue AND e.e_exec_id = l.l_exec_id AND {on}"
    )
    database.run("INSERT INTO paired SELECT * FROM found")
    database.run("DELETE FROM engine_only WHERE e_place IN (SELECT e_place FROM found)")
    database.run("DELETE FROM ledger_only WHERE (l_position, l_line) IN (SELECT (l_position, l_line) FROM found)")


def _add(database: Database, kind: str, table: str, found: _Field, *, where: str) -> None:
    def of(name: str) -> str:
        return f"coalesce(l_{name}, e_{name})"

    key = [of(name) for name in _KEY]
    database.run(
        f"INSERT INTO breaks SELECT {_id(kind, *key)}, '{kind}', {', '.join(key)}, {of('symbol')}, {of('trade_id')},"
        f" {found.currency}, {found.engine}, {found.ledger}, {found.difference}, {found.tolerance}, e_place,"
        f" l_position, l_line FROM {table} WHERE {where}"
    )


def _shown(side: str) -> str:
    """A fill in one line."""
    return (
        f"concat_ws(' ', lower({side}_side), amount_text({side}_quantity), {side}_symbol, 'at ' ||"
        f" amount_text({side}_price), 'for ' || amount_text({side}_fee), {side}_fee_currency)"
    )


def _fields(terms: Terms) -> dict[str, _Field]:
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
    found = {kind: _Field(f"e_{name} <> l_{name}", f"e_{name}", f"l_{name}") for kind, name in texts.items()}
    for kind, name in {"PRICE": "price", "QUANTITY": "quantity", "RATE": "rate"}.items():
        found[kind] = _amount(f"e_{name}", f"l_{name}", "NULL", {})
    found["NOTIONAL"] = _amount("e_notional", "l_volume", "l_quote", terms.tolerances)
    fee = _amount("e_fee", "l_fee", "l_fee_currency", terms.tolerances)
    found["FEE"] = fee._replace(differs=f"coalesce(e_fee_currency = l_fee_currency, true) AND {fee.differs}")
    # An instant is compared in the unit the engine's file has.
    found["TIMING"] = _Field(
        "e_time_ns - e_time_ns % e_unit_ns <> l_time_ns - l_time_ns % e_unit_ns",
        "instant_text(e_time_ns)",
        "instant_text(l_time_ns)",
        "seconds_text(e_time_ns - l_time_ns) || ' s'",
    )
    return {kind: found[kind] for kind in KINDS if kind in found}


def _amount(engine: str, ledger: str, currency: str, tolerances: Mapping[str, str]) -> _Field:
    differs, shown = f"{engine} <> {ledger}", "NULL"
    if tolerances:
        cases, texts = (
            " ".join(f"WHEN '{name}' THEN {of(value)}" for name, value in tolerances.items())
            for of in (amount_literal, "'{}'".format)
        )
        tolerance = f"CASE {currency} {cases} ELSE {amount_literal('0')} END"
        differs += f" AND greatest({engine} - {ledger}, {ledger} - {engine}) > {tolerance}"
        shown = f"CASE {currency} {texts} ELSE '0' END"
    return _Field(
        f"({differs})",
        f"amount_text({engine})",
        f"amount_text({ledger})",
        f"amount_text({engine} - {ledger})",
        currency,
        shown,
    )


# --- fills as a whole: each once, as the ledger has it, or the engine where the ledger has not


def _each_fill_once(database: Database, terms: Terms) -> None:
    columns = ("venue", "account_id", "day", "exec_id", "symbol", "trade_id", "side", "liquidity", "price", "quantity")
    plain = ", ".join(columns)
    inside = f"time_ns >= {terms.from_ns} AND time_ns < {terms.until_ns}"
    of_engine = ", ".join(f"e_{name}" for name in columns)
    database.run(
        f"CREATE VIEW fill AS SELECT {plain}, ({inside}) AS inside, position, line, NULL::BIGINT AS place FROM ledger"
        f" UNION ALL SELECT {of_engine}, {_inside('e', terms)}, NULL, NULL, e_place FROM engine_only"
    )


def _reused(database: Database) -> None:
    """Both legs of a trade may share an exec_id; other fills of one venue may not."""
    use = "CASE WHEN trade_id <> '' THEN trade_id ELSE account_id || '/' || day END"
    listed = "string_agg(account_id || ' ' || day_text(day), ', ' ORDER BY day, account_id)"
    database.run("CREATE TABLE reused AS SELECT venue, exec_id FROM fill GROUP BY ALL HAVING count(*) > 1")
    database.run(
        f"INSERT INTO breaks SELECT {_id('REUSED_EXEC_ID', 'venue', 'exec_id')}, 'REUSED_EXEC_ID', venue,"
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
    "LEG_SIDE": "legs = 2 AND sides = 1",
    "LEG_LIQUIDITY": "legs = 2 AND liquidities = 1",
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
        " count(DISTINCT liquidity) AS liquidities, min(account_id) AS account_id, min(day) AS day,"
        " min(exec_id) AS exec_id, max(place) AS place, max(position) AS position, arg_max(line, position) AS line,"
        f" string_agg({leg}, '; ' ORDER BY liquidity, exec_id) AS told"
        f" FROM fill SEMI JOIN odd_trade USING ({key}) GROUP BY {key}"
    )
    for kind, where in _LEGS.items():
        database.run(
            f"INSERT INTO breaks SELECT {_id(kind, 'venue', 'symbol', 'trade_id')}, '{kind}', venue, account_id, day,"
            f" exec_id, symbol, trade_id, NULL, NULL, told, NULL, NULL, place, position, line FROM trade WHERE {where}"
        )


def count_breaks(database: Database) -> dict[str, int]:
    """How many of each kind there are, in the order of reports."""
    counts: dict[str, Any] = dict(database.all("SELECT kind, count(*) FROM breaks GROUP BY kind"))
    return {kind: counts[kind] for kind in KINDS if kind in counts}
