"""The reference fills of the benchmarks, made from a seed, so that every round and every figure sees the same.

A reference fill is what an engine of a spot exchange reports: account_id of 11 characters, exec_id of 15, order_id and
trade_id as 64-bit numbers, a counterparty owner of 10 characters, one of 50 symbols, ns times that rise, 5 % of the
fills late by up to a minute, through the API, half of them makers. They are drawn as columns, since a million of them
must not take a minute; the same fills can be had as FillColumns and as messages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Final, NamedTuple

import numpy as np

from ledger.arrays.columns import Ints, Texts
from ledger.domain.instants import SECOND_NS
from ledger.domain.money import decimal_text
from ledger.v1 import command_service_pb2, fill_pb2, fill_service_pb2

SYMBOL_COUNT: Final = 50
BLOCK: Final = 50_000  # fills drawn at once: the first ones are the same however many are wanted
ZIPF_EXPONENT: Final = 1.1
_SEED: Final = 20_261_122
START_NS: Final = 1_717_416_000 * SECOND_NS  # 2024-06-03 12:00 UTC: half a day from midnight, and long past
_STEP_NS_MAX: Final = 20_000  # 10 us between fills on average, as an engine with 100,000 fills/s
_LATE_SHARE: Final = 0.05
_LATE_NS_MAX: Final = 60 * SECOND_NS
_NUMBER_MIN, _NUMBER_MAX = 10**18, 2**63 - 1
_EXEC_DIGITS: Final = 14
_OWNER_DIGITS: Final = 9
_OWNERS: Final = 10**6


class Symbol(NamedTuple):
    """A symbol and where it trades: `price_low` is a mantissa at `price_decimals`, as are the prices drawn from it."""

    name: str
    base: str
    quote: str
    pair_class: str
    quantity_scale: int
    price_decimals: int
    price_low: int


def symbols() -> list[Symbol]:
    """Fifty symbols: classes A, B and C, quantity scales 4 to 8, prices from 0.0001 to 50,000."""
    quotes = ("USDT", "USDT", "USDT", "USDT", "BTC")
    found = []
    for number in range(SYMBOL_COUNT):
        quote = quotes[number % len(quotes)]
        decimals = 2 + number % 7  # dear coins have coarse ticks, cheap ones fine ticks
        found.append(
            Symbol(
                name=f"C{number:02}_{quote}",
                base=f"C{number:02}",
                quote=quote,
                pair_class="ABC"[number % 3],
                quantity_scale=4 + number % 5,
                price_decimals=decimals,
                price_low=5_000_000 if decimals == 2 else 10_000,
            )
        )
    return found


MARKETS: Final = symbols()
_PRICE_LOW: Final = np.array([market.price_low for market in MARKETS])
_QUANTITY_MAX: Final = np.array([100 * 10**market.quantity_scale for market in MARKETS])
_SCALES: Final = [
    fill_service_pb2.SymbolScale(
        symbol=market.name, price_scale=market.price_decimals, quantity_scale=market.quantity_scale
    )
    for market in MARKETS
]


@dataclass(frozen=True)
class Fills:
    """Reference fills as columns of int64, all of one length; prices and quantities are mantissas of their symbols."""

    number: Ints  # from 1: exec_id and trade_id are made of it
    account: Ints
    symbol: Ints  # place in MARKETS
    side: Ints
    liquidity: Ints
    price: Ints
    quantity: Ints
    transact_time_ns: Ints
    order_number: Ints
    counterparty: Ints

    def __len__(self) -> int:
        return len(self.number)

    def all(self) -> tuple[Ints, ...]:
        """The columns in order."""
        return tuple(getattr(self, each.name) for each in fields(self))

    def at(self, places: slice | Ints) -> Fills:
        """The fills at some places."""
        return Fills(*(column[places] for column in self.all()))


def reference_fills(count: int, accounts: int, *, zipf: bool = False, span_ns: int | None = None) -> Iterator[Fills]:
    """So many fills in blocks of at most BLOCK, the accounts uniform, or by Zipf's law; always the same ones.

    They trade within `span_ns`, more or less, but for those that come late.
    """
    step_ns_max = _STEP_NS_MAX if span_ns is None else max(2 * span_ns // count, 1)
    chance = np.random.default_rng(_SEED)
    account = _Accounts(chance, accounts, zipf=zipf)
    now_ns = START_NS
    for first in range(1, count + 1, BLOCK):
        block = _block(chance, account, first, now_ns + chance.integers(1, step_ns_max + 1, BLOCK).cumsum())
        now_ns = int(block.transact_time_ns.max())
        late = chance.random(BLOCK) < _LATE_SHARE
        block.transact_time_ns[late] -= chance.integers(0, _LATE_NS_MAX, BLOCK)[late]
        yield block.at(slice(count + 1 - first))


def _block(chance: np.random.Generator, account: _Accounts, first: int, times_ns: Ints) -> Fills:
    symbol = chance.integers(0, len(MARKETS), BLOCK)
    low = _PRICE_LOW[symbol]
    return Fills(
        number=np.arange(first, first + BLOCK),
        account=account.draw(BLOCK),
        symbol=symbol,
        side=chance.integers(fill_pb2.SIDE_BUY, fill_pb2.SIDE_SELL + 1, BLOCK),
        liquidity=chance.integers(fill_pb2.LIQUIDITY_MAKER, fill_pb2.LIQUIDITY_TAKER + 1, BLOCK),
        price=low + chance.integers(0, low),
        quantity=chance.integers(1, _QUANTITY_MAX[symbol] + 1),
        transact_time_ns=times_ns,
        order_number=chance.integers(_NUMBER_MIN, _NUMBER_MAX, BLOCK, endpoint=True),
        counterparty=chance.integers(0, _OWNERS, BLOCK),
    )


class _Accounts:
    """Draws accounts: all alike, or the one of rank r as often as 1 / r^1.1 says, the ranks dealt at random."""

    def __init__(self, chance: np.random.Generator, accounts: int, *, zipf: bool) -> None:
        self._chance = chance
        self._accounts = accounts
        self._at_most = None
        if zipf:
            shares = np.arange(1, accounts + 1) ** -ZIPF_EXPONENT
            self._at_most = shares.cumsum() / shares.sum()
            self._at_most[-1] = 1.0  # whatever rounding made of it: every chance below 1 has its rank
            self._of_rank = chance.permutation(accounts)

    def draw(self, count: int) -> Ints:
        if self._at_most is None:
            return self._chance.integers(0, self._accounts, count)
        return self._of_rank[np.searchsorted(self._at_most, self._chance.random(count), side="right")]


def joined(blocks: Iterable[Fills]) -> Fills:
    """Blocks as one."""
    return Fills(*map(np.concatenate, zip(*(block.all() for block in blocks), strict=True)))


# --- as they are sent


def account_id(number: int) -> str:
    """Name of an account."""
    return f"A{number:010}"


def columns_of(fills: Fills, name_of: Callable[[int], str] = account_id) -> fill_service_pb2.FillColumns:
    """Fills column by column, as an engine keeps them anyway."""
    accounts, account_index = np.unique(fills.account, return_inverse=True)
    return fill_service_pb2.FillColumns(
        account_ids=[name_of(number) for number in accounts.tolist()],
        account_index=_integers(account_index),
        symbols=_SCALES,
        symbol_index=_integers(fills.symbol),
        exec_id=_numbered("E", fills.number, _EXEC_DIGITS).tobytes(),
        side=_bytes(fills.side),
        liquidity=_bytes(fills.liquidity),
        last_px=_integers(fills.price),
        last_qty=_integers(fills.quantity),
        transact_time_ns=_integers(fills.transact_time_ns),
        channel=bytes([fill_pb2.CHANNEL_API]) * len(fills),
        trade_number=_integers(_NUMBER_MIN + fills.number),
        order_number=_integers(fills.order_number),
        counterparty_owner_id=_numbered("U", fills.counterparty, _OWNER_DIGITS).tobytes(),
    )


def messages_of(fills: Fills) -> Iterator[fill_pb2.Fill]:
    """The same fills as a message each."""
    for number, account, symbol, side, liquidity, price, quantity, time_ns, order, owner in zip(
        *(column.tolist() for column in fills.all()), strict=True
    ):
        market = MARKETS[symbol]
        fill = fill_pb2.Fill(
            account_id=account_id(account),
            exec_id=f"E{number:0{_EXEC_DIGITS}}",
            symbol=market.name,
            side=side,
            liquidity=liquidity,
            last_px=decimal_text(price, market.price_decimals),
            last_qty=decimal_text(quantity, market.quantity_scale),
            trade_id=str(_NUMBER_MIN + number),
            order_id=str(order),
            counterparty_owner_id=f"U{owner:0{_OWNER_DIGITS}}",
            channel=fill_pb2.CHANNEL_API,
        )
        fill.transact_time.seconds, fill.transact_time.nanos = divmod(time_ns, SECOND_NS)
        yield fill


def _integers(values: Ints) -> bytes:
    return values.astype("<u8").tobytes()


def _bytes(values: Ints) -> bytes:
    return values.astype(np.uint8).tobytes()


def _numbered(letter: str, numbers: Ints, digits: int) -> Texts:
    """Texts of a letter and a number with leading zeros."""
    rows = np.empty((len(numbers), 1 + digits), dtype=np.uint8)
    rows[:, 0] = ord(letter)
    rows[:, 1:] = numbers[:, None] // 10 ** np.arange(digits - 1, -1, -1) % 10 + ord("0")
    return rows.view(f"S{1 + digits}").ravel()


def register_requests() -> Iterator[command_service_pb2.RegisterSymbolRequest]:
    """Commands that make the symbols known."""
    for symbol in MARKETS:
        yield command_service_pb2.RegisterSymbolRequest(
            request_id=f"bench-{symbol.name}",
            symbol=symbol.name,
            base_currency=symbol.base,
            quote_currency=symbol.quote,
            price_scale=symbol.price_decimals,
            quantity_scale=symbol.quantity_scale,
            pair_class=symbol.pair_class,
        )
