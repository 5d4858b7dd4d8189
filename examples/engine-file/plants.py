"""Breaks on purpose: one of each kind, each in a trade of its own, and a list of what was planted where."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
from market import BUY, CHUNK, DAY_NS, MAKER, Columns, Market

# What both the engine and the ledger have, and should not: before anything is charged.
TRUE: Final = ("REUSED_EXEC_ID", "LEG_MISSING", "LEG_EXTRA", "LEG_PRICE", "LEG_QUANTITY", "LEG_SIDE", "LEG_LIQUIDITY")
# What the engine's file alone has, or lacks.
WRITTEN: Final = (
    *("MISSING_IN_LEDGER", "MISSING_IN_ENGINE", "DUPLICATE", "ACCOUNT", "SYMBOL", "SIDE", "LIQUIDITY", "PRICE"),
    *("QUANTITY", "NOTIONAL", "COUNTERPARTY", "ORDER_ID", "TRADE_ID", "TIMING", "TIMING_DAY", "RATE", "FEE"),
    "FEE_CURRENCY",
)


class Plant(NamedTuple):
    """A kind of break in the leg at a place of the first chunk."""

    kind: str
    place: int


def choose(market: Market, columns: Columns) -> list[Plant]:
    """A trade for each kind out of the first chunk, spread over its first day. Raises ValueError for too few."""
    kinds = (*TRUE, *WRITTEN)
    found: list[Plant] = []
    step = min(market.trades // market.days, CHUNK) // (len(kinds) + 1)
    if step < 20:
        raise ValueError("too few trades to plant in: at least 1,000 a day")
    for number, kind in enumerate(kinds):
        trade = next(
            trade
            for trade in range(step * (number + 1), step * (number + 2))
            if _suits(kind, market, columns, 2 * trade)
        )
        found.append(Plant(kind, 2 * trade))
    return found


def _suits(kind: str, market: Market, columns: Columns, place: int) -> bool:
    if kind == "REUSED_EXEC_ID":
        return bool(columns["account"][place] != columns["account"][place - 2])
    if kind == "SYMBOL":
        return bool(columns["symbol"][place] == 0)  # the next one has the same scales
    if kind == "LEG_LIQUIDITY":
        return not market.is_member(columns["account"][place + 1])
    return True


def plant_true(columns: Columns, plants: list[Plant]) -> Columns:
    """The legs with what both sides have."""
    at = dict(plants)
    columns = {name: column.copy() for name, column in columns.items()}
    columns["exec"][at["REUSED_EXEC_ID"]] = columns["exec"][at["REUSED_EXEC_ID"] - 2]
    columns["price"][at["LEG_PRICE"]] += 1
    columns["quantity"][at["LEG_QUANTITY"]] += 1
    columns["side"][at["LEG_SIDE"] : at["LEG_SIDE"] + 2] = BUY
    columns["liquidity"][at["LEG_LIQUIDITY"] + 1] = MAKER
    third = at["LEG_EXTRA"]
    columns = {name: np.append(column, column[third]) for name, column in columns.items()}
    columns["exec"][-1] += 900_000_000_000
    return {name: np.delete(column, at["LEG_MISSING"]) for name, column in columns.items()}


def plant_written(market: Market, told: Columns, plants: list[tuple[str, int]]) -> tuple[Columns, Columns]:
    """(what the ledger is told, what the file says) of charged legs; `plants` are places in them."""
    at = dict(plants)
    written = {name: column.copy() for name, column in told.items()}
    changes: dict[str, tuple[str, Callable[[Any], Any]]] = {
        "ACCOUNT": ("account", lambda account: (account + 3) % market.accounts),
        "SYMBOL": ("symbol", lambda symbol: symbol + 1),
        "SIDE": ("side", lambda side: 3 - side),
        "LIQUIDITY": ("liquidity", lambda liquidity: 3 - liquidity),
        "PRICE": ("price", lambda price: price + 1),
        "QUANTITY": ("quantity", lambda quantity: quantity + 1),
        "NOTIONAL": ("notional", lambda notional: notional + 1),
        "COUNTERPARTY": ("counterparty", lambda account: (account + 1) % market.accounts),
        "ORDER_ID": ("order", lambda order: order + 1),
        "TRADE_ID": ("trade", lambda trade: trade + 900_000_000_000),
        "TIMING": ("time_ns", lambda time_ns: time_ns + 1),
        "TIMING_DAY": ("time_ns", lambda time_ns: time_ns + DAY_NS),
        "RATE": ("rate_ppm", lambda rate: rate + 1),
        "FEE": ("fee", lambda fee: fee + 1),
        "FEE_CURRENCY": ("fee_currency", lambda currency: currency[:-1] + "X"),
    }
    for kind, (name, change) in changes.items():
        written[name][at[kind]] = change(written[name][at[kind]])
    twice = at["DUPLICATE"]
    written = {name: np.append(column, column[twice]) for name, column in written.items()}
    return (
        {name: np.delete(column, at["MISSING_IN_LEDGER"]) for name, column in told.items()},
        {name: np.delete(column, at["MISSING_IN_ENGINE"]) for name, column in written.items()},
    )
