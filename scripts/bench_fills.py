"""The load of the benchmarks: reference fills, made from a seed, so that every round and every figure sees the same.

A reference fill is what an engine of a spot exchange reports: account_id of 11 characters, exec_id of 15, order_id and
trade_id as 64-bit numbers, a counterparty owner of 10 characters, one of 50 symbols, ns times that rise, 5 % of the
fills late by up to a minute, through the API, half of them makers.
"""

from __future__ import annotations

import random
import struct
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, NamedTuple

from ledger.domain.instants import SECOND_NS
from ledger.domain.money import decimal_text, mantissa
from ledger.v1 import command_service_pb2, fill_pb2, fill_service_pb2

SYMBOL_COUNT: Final = 50
NOTIONAL_SCALE: Final = 16  # the finest price times the finest quantity used here
_SEED: Final = 20_261_122
_START_NS: Final = 1_717_416_000 * SECOND_NS  # 2024-06-03 12:00 UTC: half a day from midnight, and long past
_STEP_NS_MAX: Final = 20_000  # 10 us between fills on average, as an engine with 100,000 fills/s
_LATE_SHARE: Final = 0.05
_LATE_NS_MAX: Final = 60 * SECOND_NS
_NUMBER_MIN, _NUMBER_MAX = 10**18, 2**63 - 1


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


class Trade(NamedTuple):
    """A reference fill and its notional at NOTIONAL_SCALE."""

    fill: fill_pb2.Fill
    quote: str
    notional: int


def reference_trades(count: int, accounts: int) -> Iterator[Trade]:
    """So many fills, the accounts uniform; always the same ones."""
    chance = random.Random(_SEED)  # noqa: S311 - a load, not a secret
    markets = symbols()
    now_ns = _START_NS
    for number in range(1, count + 1):
        now_ns += chance.randint(1, _STEP_NS_MAX)
        at_ns = now_ns - chance.randrange(_LATE_NS_MAX) if chance.random() < _LATE_SHARE else now_ns
        market = chance.choice(markets)
        price = market.price_low + chance.randrange(market.price_low)
        quantity = chance.randint(1, 100 * 10**market.quantity_scale)
        fill = fill_pb2.Fill(
            account_id=f"A{chance.randrange(accounts):010}",
            exec_id=f"E{number:014}",
            symbol=market.name,
            side=chance.choice((fill_pb2.SIDE_BUY, fill_pb2.SIDE_SELL)),
            liquidity=chance.choice((fill_pb2.LIQUIDITY_MAKER, fill_pb2.LIQUIDITY_TAKER)),
            last_px=decimal_text(price, market.price_decimals),
            last_qty=decimal_text(quantity, market.quantity_scale),
            trade_id=str(_NUMBER_MIN + number),
            order_id=str(chance.randint(_NUMBER_MIN, _NUMBER_MAX)),
            counterparty_owner_id=f"U{chance.randrange(10**6):09}",
            channel=fill_pb2.CHANNEL_API,
        )
        fill.transact_time.seconds, fill.transact_time.nanos = divmod(at_ns, SECOND_NS)
        up = 10 ** (NOTIONAL_SCALE - market.price_decimals - market.quantity_scale)
        yield Trade(fill, market.quote, price * quantity * up)


@dataclass
class Volume:
    """Lines and notional by quote currency, the latter at NOTIONAL_SCALE: what was sent, or what the ledger holds."""

    lines: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    notional: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, quote: str, lines: int, notional: int) -> None:
        """Add a sum of one quote currency."""
        self.lines[quote] += lines
        self.notional[quote] += notional


@dataclass(frozen=True)
class Lane:
    """One source with its messages, each a serialised RecordFillsRequest, in the order of its numbers."""

    source: str
    messages: list[bytes] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)

    @property
    def last_sequence(self) -> int:
        """Number of the last fill."""
        return sum(self.sizes)

    def add(self, fills: Sequence[fill_pb2.Fill], *, columns: bool) -> None:
        """Append a message with the next numbers: fill by fill, or column by column."""
        request = fill_service_pb2.RecordFillsRequest(source=self.source, first_sequence=self.last_sequence + 1)
        if columns:
            request.columns.CopyFrom(columns_of(fills))
        else:
            request.fills.extend(fills)
        self.messages.append(request.SerializeToString())
        self.sizes.append(len(fills))


@dataclass(frozen=True)
class Load:
    """What is sent, dealt to the lanes message by message, and what it adds up to."""

    lanes: list[Lane]
    volume: Volume


def make_load(count: int, *, accounts: int, fills_per_message: int, lanes: int, columns: bool) -> Load:
    """Reference fills as messages, ready to be sent; no lane is left without one."""
    messages = -(-count // fills_per_message)
    load = Load([Lane(f"engine-{number}") for number in range(min(lanes, messages))], Volume())
    trades = reference_trades(count, accounts)
    for number in range(messages):
        batch = list(islice(trades, fills_per_message))
        load.lanes[number % len(load.lanes)].add([trade.fill for trade in batch], columns=columns)
        for trade in batch:
            load.volume.add(trade.quote, 1, trade.notional)
    return load


def columns_of(fills: Sequence[fill_pb2.Fill]) -> fill_service_pb2.FillColumns:
    """The same fills column by column, as an engine keeps them anyway."""
    accounts = {name: place for place, name in enumerate(dict.fromkeys(fill.account_id for fill in fills))}
    scales = {symbol.name: (symbol.price_decimals, symbol.quantity_scale) for symbol in symbols()}
    places = {name: place for place, name in enumerate(scales)}
    times = [fill.transact_time for fill in fills]
    return fill_service_pb2.FillColumns(
        account_ids=list(accounts),
        account_index=_integers([accounts[fill.account_id] for fill in fills]),
        symbols=[
            fill_service_pb2.SymbolScale(symbol=name, price_scale=price, quantity_scale=quantity)
            for name, (price, quantity) in scales.items()
        ],
        symbol_index=_integers([places[fill.symbol] for fill in fills]),
        exec_id=_texts([fill.exec_id for fill in fills]),
        side=bytes(fill.side for fill in fills),
        liquidity=bytes(fill.liquidity for fill in fills),
        last_px=_integers([_mantissa(fill.last_px, scales[fill.symbol][0]) for fill in fills]),
        last_qty=_integers([_mantissa(fill.last_qty, scales[fill.symbol][1]) for fill in fills]),
        transact_time_ns=_integers([time.seconds * SECOND_NS + time.nanos for time in times]),
        channel=bytes(fill.channel for fill in fills),
        trade_number=_integers([int(fill.trade_id) for fill in fills]),
        order_number=_integers([int(fill.order_id) for fill in fills]),
        counterparty_owner_id=_texts([fill.counterparty_owner_id for fill in fills]),
    )


def _integers(values: Sequence[int]) -> bytes:
    return struct.pack(f"<{len(values)}Q", *values)


def _texts(values: Sequence[str]) -> bytes:
    width = max(map(len, values))
    return b"".join(value.encode().ljust(width, b"\0") for value in values)


def _mantissa(text: str, scale: int) -> int:
    value = mantissa(text, scale)
    assert value is not None, (text, scale)
    return value


def register_requests() -> Iterator[command_service_pb2.RegisterSymbolRequest]:
    """Commands that make the symbols known."""
    for symbol in symbols():
        yield command_service_pb2.RegisterSymbolRequest(
            request_id=f"bench-{symbol.name}",
            symbol=symbol.name,
            base_currency=symbol.base,
            quote_currency=symbol.quote,
            price_scale=symbol.price_decimals,
            quantity_scale=symbol.quantity_scale,
            pair_class=symbol.pair_class,
        )
