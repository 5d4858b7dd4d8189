"""Kinds of breaks, fields that are compared, control totals. No duckdb: the help names them without it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple


class Field(NamedTuple):
    """A field of a fill: its column in the tables of both sides, and the kinds of breaks that tell of it."""

    column: str
    kinds: tuple[str, ...]


DIMENSIONS: Final = ("day", "currency", "symbol", "account")  # of the control totals
KINDS: Final[Mapping[str, str]] = {  # in the order of reports
    "MISSING_IN_LEDGER": "the engine has the fill, the ledger has not",
    "MISSING_IN_ENGINE": "the ledger has the fill, the engine has not",
    "NOT_COMPARED": "the engine does not say all that it must of the fill",
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
    "OTHER_FEES": "the engine charged in further currencies too",
    "LEG_MISSING": "a trade of which only one leg is there",
    "LEG_EXTRA": "a trade of more than two legs",
    "LEG_PRICE": "two legs of a trade, two prices",
    "LEG_QUANTITY": "two legs of a trade, two quantities",
    "LEG_SIDE": "two legs of a trade on the same side",
    "LEG_LIQUIDITY": "two legs of a trade, not one maker and one taker",
}

# The engine must say the required fields of every fill; the others are compared where it says something. exec_id and
# account_id say which fill it is: no fill is without them.
REQUIRED: Final = ("symbol", "side", "price", "quantity", "time", "fee", "fee_currency")
_SAME: Final = (*REQUIRED, "liquidity", "notional", "rate", "counterparty", "order_id", "trade_id")
FIELDS: Final[Mapping[str, Field]] = {
    **{name: Field(name, (name.upper(),)) for name in _SAME},
    "time": Field("time_ns", ("TIMING",)),
    "fee": Field("fee", ("FEE", "OTHER_FEES")),
}
