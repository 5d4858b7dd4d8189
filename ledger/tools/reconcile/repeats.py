"""Rows of the engine's files under an exec_id that another row has already.

Of the rows of one fill the one most like the ledger's is compared (the first one, if several are). A row that says the
same as that one is a DUPLICATE and nothing else; one that says anything else is another fill, which the ledger lacks.
"""

from __future__ import annotations

from collections.abc import Sequence

from ledger.tools.duck.database import Database
from ledger.tools.reconcile.fields import break_id
from ledger.tools.reconcile.kinds import FIELDS, REQUIRED
from ledger.tools.reconcile.terms import Terms


def find_repeats(database: Database, terms: Terms, key: Sequence[str]) -> None:
    """Make the table `repeat` (place, content) of the rows that are not compared, and add DUPLICATE breaks.

    `content` is NULL where another row says the same. What is left out makes no row another one.
    """
    names = ", ".join(key)
    database.run(f"CREATE TABLE duplicate AS SELECT {names} FROM engine GROUP BY {names} HAVING count(*) > 1")
    compared = [FIELDS[name].column for name in FIELDS if terms.compares(name)]
    said = [*compared, *(["other_fees"] if terms.compares("fee") else [])]
    content = " || chr(31) || ".join(["''", *(f"coalesce(e.{name}::VARCHAR, '')" for name in said)])
    both = [FIELDS[name].column for name in REQUIRED if terms.compares(name)]
    alike = " + ".join(["0", *(f"coalesce((e.{name} = l.{name})::INTEGER, 0)" for name in both)])
    database.run(
        f"CREATE TABLE repeated AS SELECT e.*, {content} AS content,"
        f" first_value(content) OVER (PARTITION BY {names} ORDER BY {alike} DESC, place) AS compared,"
        f" row_number() OVER (PARTITION BY {names} ORDER BY {alike} DESC, place) AS rank"
        f" FROM (SELECT * FROM engine SEMI JOIN duplicate USING ({names})) AS e LEFT JOIN ledger AS l USING ({names})"
    )
    database.run(
        "CREATE TABLE repeat AS SELECT place, CASE WHEN content <> compared AND row_number() OVER"
        f" (PARTITION BY {names}, content ORDER BY place) = 1 THEN content END AS content FROM repeated WHERE rank > 1"
    )
    database.run(
        f"INSERT INTO breaks SELECT {break_id('DUPLICATE', *key)}, 'DUPLICATE', {names}, any_value(symbol),"
        " any_value(trade_id), NULL, count(*)::VARCHAR || ' times'"
        " || CASE WHEN count(DISTINCT content) > 1 THEN ', not the same' ELSE '' END,"
        " NULL, NULL, NULL, list(place ORDER BY place)[2], NULL, NULL"
        f" FROM repeated GROUP BY {names} HAVING bool_or({terms.inside()})"
    )
