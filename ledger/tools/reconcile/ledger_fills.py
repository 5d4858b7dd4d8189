"""The ledger's side: lines of the log in the table `ledger`, fees as they were known, adjustments included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from ledger.domain.events import FeeAdjusted
from ledger.domain.instants import DAY_NS
from ledger.domain.money import decimal_text
from ledger.fills.adjusted_lines import AdjustedLines
from ledger.store.log import Log
from ledger.tools.duck.database import Database
from projections.answers.fill_columns import FillChunk, FillSpan, fill_chunks

_LINES_PER_INSERT: Final = 10_000
_TABLE: Final = """
CREATE TABLE ledger (
  position BIGINT, line INTEGER, venue VARCHAR, account_id VARCHAR, exec_id VARCHAR, day INTEGER, time_ns BIGINT,
  symbol VARCHAR, quote VARCHAR, side VARCHAR, liquidity VARCHAR, price BIGNUM, quantity BIGNUM, volume BIGNUM,
  fee BIGNUM, fee_currency VARCHAR, rate BIGNUM, counterparty VARCHAR, order_id VARCHAR, trade_id VARCHAR);
CREATE TABLE adjusted (position BIGINT, line INTEGER, cause BIGINT, fee BIGNUM, fee_currency VARCHAR, rate BIGNUM);
"""
_FROM_CHUNK: Final = """
INSERT INTO ledger SELECT
  position, line, venue, account_id, exec_id, time_ns // 86400000000000, time_ns, symbol, quote_currency,
  CASE side WHEN 1 THEN 'BUY' ELSE 'SELL' END, CASE liquidity WHEN 1 THEN 'MAKER' ELSE 'TAKER' END,
  scaled(price::VARCHAR, price_scale), scaled(quantity::VARCHAR, quantity_scale),
  scaled(NOTIONAL::VARCHAR, price_scale + quantity_scale), scaled(fee::VARCHAR, fee_decimals), fee_currency,
  scaled(rate_ppm::VARCHAR, 6), counterparty_owner_id, order_id, trade_id
FROM columns
"""
_PRODUCT: Final = "(price::HUGEINT * quantity::HUGEINT)"  # of two int64, which 127 bits hold
# The last adjustment of a line says what it costs.
_ADJUST: Final = """
UPDATE ledger SET fee = last.fee, fee_currency = last.fee_currency, rate = last.rate
FROM (SELECT * FROM adjusted QUALIFY row_number() OVER (PARTITION BY position, line ORDER BY cause DESC) = 1) AS last
WHERE ledger.position = last.position AND ledger.line = last.line
"""


def load_ledger(database: Database, log: Log, span: FillSpan, tell: Callable[[int, int], None]) -> None:
    """Make the table; `tell` hears (days read, days to read)."""
    database.run(_TABLE)
    before, last = span.from_ns // DAY_NS, (span.until_ns - 1) // DAY_NS
    for chunk in fill_chunks(log, span):
        _insert(database, chunk)
        tell(chunk.day - before, last - before)
    if span.from_ns < span.until_ns:
        for recorded in log.adjustments(from_ns=span.from_ns, as_of_ns=span.until_ns - 1, until=span.known):
            assert isinstance(recorded.event, FeeAdjusted), recorded
            _insert_adjusted(database, recorded.position, recorded.event)
    if database.one("SELECT count(*) FROM adjusted"):
        database.run(_ADJUST)


def _insert(database: Database, chunk: FillChunk) -> None:
    notional = "notional" if chunk.wide else _PRODUCT
    database.insert(_FROM_CHUNK.replace("NOTIONAL", notional), chunk.columns)


def _insert_adjusted(database: Database, by: int, event: FeeAdjusted) -> None:
    columns_of_lines = AdjustedLines.of(event.lines)
    for first in range(0, len(event.lines), _LINES_PER_INSERT):
        lines = list(columns_of_lines.at(slice(first, first + _LINES_PER_INSERT)))
        bases = [event.bases[line.after.basis_index] for line in lines]
        fees = [decimal_text(line.after.fee, basis.fee_decimals) for line, basis in zip(lines, bases, strict=True)]
        columns: dict[str, Any] = {
            "position": np.array([line.position for line in lines]),
            "line": np.array([line.line for line in lines]),
            "fee": np.array(fees, dtype=object),
            "fee_currency": np.array([basis.fee_currency for basis in bases], dtype=object),
            "rate_ppm": np.array([basis.rate_ppm for basis in bases]),
        }
        database.insert(
            f"INSERT INTO adjusted SELECT position, line, {by}, amount(fee), fee_currency, scaled(rate_ppm::VARCHAR, 6)"
            " FROM columns",
            columns,
        )
