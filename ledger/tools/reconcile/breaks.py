"""The differences between the tables `engine` and `ledger`, break by break, in the table `breaks`.

One cause is one break where that can be told: a fill whose account or day differs is one fill, not one that is missing
and one too many; the legs of a trade are compared as the ledger has them, and as the engine has what the ledger lacks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ledger.tools.duck.database import Database
from ledger.tools.reconcile.fields import ComparedField, break_id, differences, shown
from ledger.tools.reconcile.kinds import KINDS
from ledger.tools.reconcile.repeats import find_repeats
from ledger.tools.reconcile.terms import Terms
from ledger.tools.reconcile.trades import find_trade_breaks

KEY: Final = ("venue", "account_id", "day", "exec_id")
_SIDES: Final = (
    *("venue", "account_id", "exec_id", "day", "time_ns", "symbol", "side", "liquidity", "price", "quantity"),
    *("volume", "fee", "fee_currency", "rate", "counterparty", "order_id", "trade_id"),
)
_ENGINE: Final = ("place", "unit_ns", "notional", "other_fees", *_SIDES)
_LEDGER: Final = ("position", "line", "quote", *_SIDES)

_TABLES: Final = """
CREATE TABLE breaks (
  id VARCHAR, kind VARCHAR, venue VARCHAR, account_id VARCHAR, day INTEGER, exec_id VARCHAR, symbol VARCHAR,
  trade_id VARCHAR, currency VARCHAR, engine VARCHAR, ledger VARCHAR, difference VARCHAR, tolerance VARCHAR,
  place BIGINT, position BIGINT, line INTEGER);
"""


def find_breaks(database: Database, terms: Terms) -> None:
    """Make the table. Every row of both sides in the period is in a pair that was compared, or is told as a break."""
    database.run(_TABLES)
    find_repeats(database, terms, KEY)
    fields = differences(terms)
    _join(database, terms, fields)
    _match_leftovers(database, terms)
    for kind, found in fields.items():
        _add(database, kind, "paired", found, where=found.differs)
    missing = ComparedField("", shown("e"), "NULL")
    _add(database, "MISSING_IN_LEDGER", "engine_only", missing, where=terms.inside("e_time_ns"))
    _add(
        database,
        "MISSING_IN_ENGINE",
        "ledger_only",
        ComparedField("", "NULL", shown("l")),
        where=terms.inside("l_time_ns"),
    )
    _add_repeats(database, terms, missing)
    find_trade_breaks(database, terms)


def _either_inside(terms: Terms) -> str:
    return f"({terms.inside('e_time_ns')} OR {terms.inside('l_time_ns')})"


def _join(database: Database, terms: Terms, fields: Mapping[str, ComparedField]) -> None:
    """Pairs with a difference in `paired`, fills of one side in `engine_only` and `ledger_only`."""
    chosen = ", ".join([*(f"e.{name} AS e_{name}" for name in _ENGINE), *(f"l.{name} AS l_{name}" for name in _LEDGER)])
    on = " AND ".join(f"e.{name} = l.{name}" for name in KEY)
    first = "SELECT * FROM engine"
    if database.one("SELECT count(*) FROM repeat"):
        first += " ANTI JOIN repeat USING (place)"
    differs = " OR ".join(f"coalesce({found.differs}, false)" for found in fields.values())
    database.run(
        f"CREATE TABLE differing AS SELECT * FROM (SELECT {chosen} FROM ({first}) AS e FULL JOIN ledger AS l ON {on})"
        f" WHERE e_place IS NULL OR l_position IS NULL OR ({_either_inside(terms)} AND ({differs}))"
    )
    for name, where in (
        ("paired", "e_place IS NOT NULL AND l_position IS NOT NULL"),
        ("engine_only", "l_position IS NULL"),
        ("ledger_only", "e_place IS NULL"),
    ):
        database.run(f"CREATE TABLE {name} AS SELECT * FROM differing WHERE {where}")
    database.run("DROP TABLE differing")


def _match_leftovers(database: Database, terms: Terms) -> None:
    """A fill that is left over on both sides under the same exec_id, and is the same trade, is one fill."""
    same = [name for name in ("symbol", "price", "quantity") if terms.compares(name)]
    alone = "QUALIFY count(*) OVER (PARTITION BY {}) = 1"
    engine = alone.format(", ".join(f"e_{name}" for name in ("venue", "exec_id")))
    ledger = alone.format(", ".join(f"l_{name}" for name in ("venue", "exec_id")))
    on = "".join(f" AND coalesce(e.e_{name} = l.l_{name}, e.e_{name} IS NULL)" for name in same)
    chosen = ", ".join([*(f"e.e_{name}" for name in _ENGINE), *(f"l.l_{name}" for name in _LEDGER)])
    database.run(
        f"CREATE TABLE found AS SELECT * FROM (SELECT {chosen} FROM (SELECT * FROM engine_only {engine}) AS e"
        f" JOIN (SELECT * FROM ledger_only {ledger}) AS l"
        f" ON e.e_venue = l.l_venue AND e.e_exec_id = l.l_exec_id{on}) WHERE {_either_inside(terms)}"
    )
    database.run("INSERT INTO paired SELECT * FROM found")
    database.run("DELETE FROM engine_only WHERE e_place IN (SELECT e_place FROM found)")
    database.run("DELETE FROM ledger_only WHERE (l_position, l_line) IN (SELECT (l_position, l_line) FROM found)")


def _add_repeats(database: Database, terms: Terms, missing: ComparedField) -> None:
    """Tell of each row under a used exec_id that is another fill: the ledger lacks it. Its content is in its name."""
    database.run("CREATE TABLE engine_other AS SELECT * FROM engine_only LIMIT 0")
    database.run("ALTER TABLE engine_other ADD COLUMN content VARCHAR")
    chosen = ", ".join(f"{name} AS e_{name}" for name in _ENGINE)
    database.run(
        f"INSERT INTO engine_other BY NAME SELECT {chosen}, content FROM engine JOIN repeat USING (place)"
        " WHERE content IS NOT NULL"
    )
    _add(database, "MISSING_IN_LEDGER", "engine_other", missing, where=terms.inside("e_time_ns"), also=("content",))


def _add(
    database: Database, kind: str, table: str, found: ComparedField, *, where: str, also: tuple[str, ...] = ()
) -> None:
    """Add the rows of a table that are such a break; `also` are columns that name it, beside the fill's."""

    def of(name: str) -> str:
        return f"coalesce(l_{name}, e_{name})"

    key = [of(name) for name in KEY]
    database.run(
        f"INSERT INTO breaks SELECT {break_id(kind, *key, *also)}, '{kind}', {', '.join(key)}, {of('symbol')},"
        f" {of('trade_id')}, {found.currency}, {found.engine}, {found.ledger}, {found.difference}, {found.tolerance},"
        f" e_place, l_position, l_line FROM {table} WHERE {where}"
    )


def count_breaks(database: Database) -> dict[str, int]:
    """How many of each kind there are, in the order of reports."""
    counts: dict[str, Any] = dict(database.all("SELECT kind, count(*) FROM breaks GROUP BY kind"))
    return {kind: counts[kind] for kind in KINDS if kind in counts}
