"""The kinds of breaks, and the formats that an engine's file may have. No duckdb: the help names them without it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

FORMATS: Final = ("csv", "jsonl", "json", "parquet")
KINDS: Final[Mapping[str, str]] = {  # in the order of reports
    "MISSING_IN_LEDGER": "the engine has the fill, the ledger has not",
    "MISSING_IN_ENGINE": "the ledger has the fill, the engine has not",
    "DUPLICATE": "the engine has the fill more than once",
    "REUSED_EXEC_ID": "one exec_id names fills of several accounts or days",
    "ACCOUNT": "the engine has the fill on another account",
    "SYMBOL": "the engine says another symbol",
    "SIDE": "bought here, sold there",
    "LIQUIDITY": "maker here, taker there",
    "PRICE": "the engine says another price",
    "QUANTITY": "the engine says another quantity",
    "NOTIONAL": "the engine's notional is not the ledger's price times quantity",
    "COUNTERPARTY": "the engine says another owner on the other side",
    "ORDER_ID": "the engine says another order",
    "TRADE_ID": "the engine says another trade",
    "TIMING": "the engine says another instant, perhaps of another day",
    "RATE": "the engine charged another rate",
    "FEE": "the engine charged another fee",
    "FEE_CURRENCY": "the engine charged in another currency",
    "LEG_MISSING": "a trade of which only one leg is there",
    "LEG_EXTRA": "a trade of more than two legs",
    "LEG_PRICE": "two legs of a trade, two prices",
    "LEG_QUANTITY": "two legs of a trade, two quantities",
    "LEG_SIDE": "two legs of a trade on the same side",
    "LEG_LIQUIDITY": "two legs of a trade, not one maker and one taker",
}
