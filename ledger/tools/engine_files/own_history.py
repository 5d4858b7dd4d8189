"""A file that `fee-ledger history` wrote: its adjustments are no fills, they change what one before them costs."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ledger.cli.errors import UnusableError
from ledger.tools.duck.database import Database
from ledger.tools.engine_files.printed import Printed

_KINDS: Final = ("FILL", "ADJUSTMENT", "CREDIT", "CREDIT_WITHDRAWN")  # credits are of no fill, and left out
_OWN: Final = ("kind", "position", "line", "adjusted_position", "adjusted_line", "fee_currency_after")
_CHANGED: Final = ("fee_amount", "fee_currency", "fee_rate")
# The last adjustment of a fill says in which currency it is paid now, and at which rate; all entries add up to the fee.
_FOLDED: Final = """
SELECT {same}f.row, coalesce(a.fee, f.fee_amount) AS fee_amount, coalesce(a.currency, f.fee_currency) AS fee_currency,
  coalesce(a.rate, f.fee_rate) AS fee_rate, a.others AS other_fees
FROM (SELECT * FROM history WHERE kind = 'FILL') AS f LEFT JOIN (
  SELECT position, line, currency, any_value(last_rate) AS rate,
    any_value(total) FILTER (fee_currency = currency) AS fee,
    string_agg(total || ' ' || fee_currency, ', ' ORDER BY fee_currency)
      FILTER (fee_currency <> currency AND total <> '0') AS others
  FROM (
    SELECT position, line, currency, last_rate, fee_currency, amount_text(sum(amount(fee_amount))) AS total
    FROM (
      SELECT *, first_value(fee_currency_after) OVER newest AS currency, first_value(fee_rate) OVER newest AS last_rate
      FROM entry WINDOW newest AS (PARTITION BY position, line ORDER BY made DESC)
    ) GROUP BY ALL
  ) GROUP BY ALL
) AS a ON a.position = f.position AND a.line = f.line
"""
_ENTRIES: Final = """
CREATE OR REPLACE TABLE entry AS
WITH adjusting AS (SELECT * FROM history WHERE kind = 'ADJUSTMENT')
SELECT adjusted_position AS position, adjusted_line AS line, position::BIGINT AS made, row, fee_currency_after,
  fee_currency, fee_amount, fee_rate FROM adjusting
UNION ALL
SELECT position, line, -1, row, NULL, fee_currency, fee_amount, fee_rate FROM history
SEMI JOIN adjusting ON history.position = adjusting.adjusted_position AND history.line = adjusting.adjusted_line
WHERE kind = 'FILL'
"""


def folded(database: Database, path: Path, said: Printed) -> Printed:
    """Return the fills of a history with their fees as they are now; any other file as it is. Raises UnusableError."""
    if "kind" not in said.columns:
        return said
    own = {name: f"nullif(trim({name}), '')" if name in said.columns else "NULL" for name in (*_OWN, *_CHANGED)}
    rest = [name for name in said.columns if name not in own]
    chosen = ", ".join([*rest, *(f"({value})::VARCHAR AS {name}" for name, value in own.items())])
    database.run(f"CREATE OR REPLACE TABLE history AS SELECT {chosen}, row FROM ({said.select})")
    _check(database, path, f"kind IS NULL OR kind NOT IN {_KINDS}", f"kind is none of {', '.join(_KINDS)}")
    _check(database, path, "amount(fee_amount) IS NULL", "fee_amount is no decimal number")
    lacking = "kind = 'ADJUSTMENT' AND (TRY_CAST(position AS BIGINT) IS NULL OR fee_currency_after IS NULL)"
    _check(database, path, lacking, "an adjustment without position or fee_currency_after")
    _check(
        database,
        path,
        "kind = 'ADJUSTMENT' AND NOT EXISTS (SELECT 1 FROM history AS fill WHERE fill.kind = 'FILL'"
        " AND fill.position = history.adjusted_position AND fill.line = history.adjusted_line)",
        "adjusts a fill that the file lacks: export the whole UTC day of the fill",
    )
    database.run(_ENTRIES)
    select = _FOLDED.format(same="".join(f"f.{name}, " for name in rest))
    return said._replace(select=select, columns=[*rest, *_CHANGED, "other_fees"])


def _check(database: Database, path: Path, where: str, what: str) -> None:
    for (row,) in database.all(f"SELECT row FROM history WHERE {where} ORDER BY row LIMIT 1"):
        raise UnusableError(f"{path}:{row}: {what}")
