"""A matching engine's day: trades drawn from a seed, both legs of each, and what the engine itself charged for them.

Its arithmetic is its own, in whole ticks, lots and units of 10^-8, and shares nothing with the ledger's. A chunk of
trades depends on the seed and its number only, so that any part of a market can be made again without the rest.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

CHUNK: Final = 100_000  # trades
FEE_DECIMALS: Final = 8
DAY_NS: Final = 86_400 * 10**9
START_NS: Final = 1_717_372_800 * 10**9  # 2024-06-03 00:00 UTC
MAKER, TAKER = 1, 2
BUY, SELL = 1, 2

Columns = dict[str, Any]  # arrays of equal length: a leg each, the maker's and the taker's of a trade side by side


class Symbol(NamedTuple):
    """A pair that is traded; the lowest price in ticks, the highest quantity in lots."""

    name: str
    pair_class: str
    price_scale: int
    quantity_scale: int
    price_low: int
    quantity_high: int


SYMBOLS: Final = (
    Symbol("BTC_USDT", "A", 2, 4, 6_000_000, 50_000),
    Symbol("ETH_USDT", "A", 2, 4, 300_000, 500_000),
    Symbol("DOT_USDT", "A", 5, 2, 50_000, 5_000_000),
    Symbol("DOT_BTC", "C", 8, 2, 800, 5_000_000),
    Symbol("SHIB_USDT", "C", 12, 0, 8_000_000, 99_999_999),  # a product of 15 digits, most of them after the point
)


class Market(NamedTuple):
    """Accounts, how long the market is open, and what a fill costs: `rates[tier, class, liquidity]` in ppm."""

    seed: int
    trades: int
    accounts: int
    days: int
    rates: Mapping[tuple[str, str, int], int]
    planted: bool = False  # with breaks, some of which the ledger is told too

    @property
    def name(self) -> str:
        """All that its fills depend on, for example "7-3000-1000-2": two markets never share an account or a number."""
        return f"{self.seed}-{self.trades}-{self.accounts}-{self.days}{'-planted' if self.planted else ''}"

    @property
    def source(self) -> str:
        """The engine's name, under which it numbers its fills."""
        return f"market-{self.name}"

    def account(self, number: int) -> str:
        """Its name."""
        return f"m{self.name}-{number:05}"

    def is_member(self, number: Any) -> Any:
        """Every third account is in its trial, and has the rates of VIP3."""
        return number % 3 == 0


def read_rates(path: Path) -> dict[tuple[str, str, int], int]:
    """A table tier,pair_class,maker_ppm,taker_ppm."""
    with path.open(newline="") as file:
        return {
            (row["tier"], row["pair_class"], liquidity): int(row[name])
            for row in csv.DictReader(file)
            for liquidity, name in ((MAKER, "maker_ppm"), (TAKER, "taker_ppm"))
        }


def chunks(market: Market) -> Iterator[Columns]:
    """The legs of all trades, CHUNK trades at a time, before fees."""
    for number in range(-(-market.trades // CHUNK)):
        yield _legs(market, number)


def _legs(market: Market, number: int) -> Columns:
    first = number * CHUNK
    count = min(CHUNK, market.trades - first)
    chance = np.random.default_rng([market.seed, number])
    trade = np.arange(first + 1, first + count + 1)
    symbol = chance.integers(0, len(SYMBOLS), count)
    low = np.array([each.price_low for each in SYMBOLS])[symbol]
    high = np.array([each.quantity_high for each in SYMBOLS])[symbol]
    maker = chance.integers(0, market.accounts, count)
    taker = (maker + chance.integers(1, market.accounts, count)) % market.accounts
    bought = chance.integers(0, 2, count, dtype=bool)  # the taker did
    length_ns = market.days * DAY_NS
    # Rising: each trade has its own slot of the market's time, and an instant within.
    slot_ns = length_ns // market.trades
    time_ns = START_NS + (trade - 1) * slot_ns + chance.integers(0, slot_ns, count)
    columns = {
        "trade": _both(trade, trade),
        "exec": _both(trade, trade),
        "leg": _both(np.full(count, MAKER), np.full(count, TAKER)),
        "account": _both(maker, taker),
        "counterparty": _both(taker, maker),
        "symbol": _both(symbol, symbol),
        "side": _both(np.where(bought, SELL, BUY), np.where(bought, BUY, SELL)),
        "price": _both(*[low + chance.integers(0, low, count)] * 2),
        "quantity": _both(*[chance.integers(1, high, count)] * 2),
        "time_ns": _both(time_ns, time_ns),
        "order": chance.integers(10**15, 9 * 10**15, 2 * count),
    }
    columns["liquidity"] = columns["leg"].copy()
    return columns


def _both(maker: Any, taker: Any) -> Any:
    return np.stack((maker, taker), axis=1).ravel()


def charge(market: Market, columns: Columns) -> None:
    """Add notional (at both scales together), rate in ppm, and fee in units of 10^-8, rounded half to even."""
    table = np.zeros((2, len(SYMBOLS), 3), dtype=np.int64)
    for place, symbol in enumerate(SYMBOLS):
        for member, tier in enumerate(("NONE", "VIP3")):
            for liquidity in (MAKER, TAKER):
                table[member, place, liquidity] = market.rates[tier, symbol.pair_class, liquidity]
    member = market.is_member(columns["account"]).astype(np.int64)
    columns["rate_ppm"] = table[member, columns["symbol"], columns["liquidity"]]
    columns["notional"] = columns["price"] * columns["quantity"]
    scale = np.array([each.price_scale + each.quantity_scale for each in SYMBOLS])[columns["symbol"]]
    whole, rest = np.divmod(columns["notional"] * np.abs(columns["rate_ppm"]), 10 ** (scale + 6 - FEE_DECIMALS))
    twice, unit = 2 * rest, 10 ** (scale + 6 - FEE_DECIMALS)
    up = (twice > unit) | ((twice == unit) & (whole % 2 == 1))
    columns["fee"] = np.sign(columns["rate_ppm"]) * (whole + up)
    columns["fee_currency"] = np.array([each.name.split("_")[1] for each in SYMBOLS], dtype=object)[columns["symbol"]]
