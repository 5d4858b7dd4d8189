"""A small exchange of our own making: eight accounts, four markets, and every fill they traded, out of a seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from ledger.domain.instants import DAY_NS, SECOND_NS
from ledger.v1.fill_pb2 import (
    CHANNEL_API,
    CHANNEL_WEB,
    LIQUIDITY_MAKER,
    LIQUIDITY_TAKER,
    SIDE_BUY,
    SIDE_SELL,
    Channel,
    Fill,
)

BEGIN_NS: Final = 20_454 * DAY_NS  # 2026-01-01 00:00:00 UTC
SCRIPT_DAYS: Final = 90  # the story is written for so many; other lengths stretch it
SCRIPT_FILLS: Final = 30_000  # with fewer a fill is larger: an account trades the same volume a day
HOUR_NS: Final = 3_600 * SECOND_NS
ROUNDS_PER_DAY: Final = 4  # how often the engine sends what it has
BATCH_FILLS_MAX: Final = 1_000
LATE_PER_MILLE: Final = 10  # fills that arrive one to three days late
RESTING_IN: Final = 4  # one in so many fills during a ban is of an order that rested in the book
FIRST_CLOSE: Final = 93_000  # USDT for one BTC

# The fills of one account that lay on a broken gateway until a grant, backdated over them, was in the ledger.
HELD_ACCOUNT: Final = "ember"
HELD_DAYS: Final = (46, 49)
GRANT_FROM_DAY: Final = 40
GRANT_TOLD_DAY: Final = 55
HELD_UNTIL_DAY: Final = 56

BANS: Final = {"cedar": ((62, 8), (62, 88)), "dune": ((70, 16), (70, 16 + 5 * 24))}  # (day, hours) each


@dataclass(frozen=True, slots=True)
class Account:
    """Who trades, for whom, how often as the maker and the taker, and how much at a time: all relative."""

    account_id: str
    owner_id: str
    making: int
    taking: int
    sizes: tuple[tuple[int, int], ...]  # (from this day on, per mille of a pair's largest quantity)
    makes_in: str = "ABC"  # pair classes

    def size(self, day: int) -> int:
        """On a day of the story."""
        return next(size for first, size in reversed(self.sizes) if first <= day)


ACCOUNTS: Final = (
    Account("alba", "alba", 12, 22, ((0, 1_000), (45, 60))),
    Account("alba.bot", "alba", 5, 4, ((0, 120),)),
    Account("brook", "brook", 60, 0, ((0, 2_000),), makes_in="AB"),
    Account("cedar", "cedar", 12, 20, ((0, 45), (10, 180), (60, 90))),
    Account("dune", "dune", 22, 14, ((0, 2_500), (30, 3))),
    Account("ember", "ember", 8, 18, ((0, 7),)),
    Account("fjord", "fjord", 4, 12, ((0, 5), (34, 200))),
    Account("grove", "grove", 16, 16, ((0, 25), (25, 300), (50, 1_500))),
)


@dataclass(frozen=True, slots=True)
class Pair:
    """A market. Prices are whole ticks of `10 ** -price_scale`, quantities so many steps."""

    base: str
    quote: str
    pair_class: str
    price_scale: int
    first_ticks: int
    step: str
    steps_max: int
    weight: int
    only: tuple[str, str] = ("", "")  # maker and taker, where there are but two

    @property
    def symbol(self) -> str:
        """As the ledger knows it."""
        return f"{self.base}_{self.quote}"

    @property
    def quantity_scale(self) -> int:
        """Decimals of a quantity."""
        return len(self.step.partition(".")[2])


PAIRS: Final = (
    Pair("XRP", "USDT", "A", 4, 23_145, "10", 600, 24),
    Pair("ADA", "USDT", "B", 4, 8_210, "10", 1_200, 12),
    Pair("GALA", "USDT", "C", 4, 412, "10", 9_000, 4),
    Pair("ETH", "BTC", "A", 5, 3_450, "0.1", 6, 2, only=("brook", "grove")),
)


def instant(time_ns: int) -> Timestamp:
    """An instant on the wire."""
    return Timestamp(seconds=time_ns // SECOND_NS, nanos=time_ns % SECOND_NS)


@dataclass(frozen=True)
class Exchange:
    """The whole exchange, out of a seed."""

    days: int
    fills: int
    seed: int

    @property
    def end_ns(self) -> int:
        """The first instant after it."""
        return BEGIN_NS + self.days * DAY_NS

    def day(self, day: int, hours: int = 0) -> int:
        """An instant of the story, which is written for 90 days."""
        return BEGIN_NS + day * self.days // SCRIPT_DAYS * DAY_NS + hours * HOUR_NS

    def closes(self) -> dict[int, Decimal]:
        """Return the price of one BTC in USDT at the end of each UTC day, by days since 1970."""
        chance, ticks, closes = random.Random(self.seed), FIRST_CLOSE * 100, {}  # noqa: S311 - a story, not a secret
        for day in range(self.days):
            ticks += chance.randint(-ticks // 50, ticks // 50)
            closes[BEGIN_NS // DAY_NS + day] = Decimal(ticks) / 100
        return closes

    def batches(self) -> Iterator[tuple[int, int, list[Fill]]]:
        """(instant, first number, fills) as the engine sends them: in rounds, numbered in the order of arrival."""
        rounds: dict[int, list[Fill]] = {}
        for arrives_ns, fill in self._market():
            rounds.setdefault(arrives_ns, []).append(fill)
        sequence = 1
        for arrives_ns in sorted(rounds):
            waiting = iter(rounds[arrives_ns])
            while batch := list(islice(waiting, BATCH_FILLS_MAX)):
                yield arrives_ns, sequence, batch
                sequence += len(batch)

    def _market(self) -> Iterator[tuple[int, Fill]]:
        """(when it reaches the ledger, fill): both sides of every trade, in the order of the trades."""
        chance = random.Random(self.seed)  # noqa: S311 - a story, not a secret
        ticks = {pair.symbol: pair.first_ticks for pair in PAIRS}
        trades = self.fills // 2
        for day in range(self.days):
            count = trades * (day + 1) // self.days - trades * day // self.days
            for offset_ns in sorted(chance.sample(range(0, DAY_NS, 1_000), count)):
                (pair,) = chance.choices(PAIRS, [pair.weight for pair in PAIRS])
                ticks[pair.symbol] = _walk(chance, ticks[pair.symbol])
                time_ns = BEGIN_NS + day * DAY_NS + offset_ns
                for fill in self._both_sides(chance, pair, ticks[pair.symbol], time_ns):
                    fill.channel = self._channel(chance, fill.account_id, time_ns)
                    yield self._arrival(chance, fill, time_ns), fill

    def _channel(self, chance: random.Random, account_id: str, time_ns: int) -> Channel.ValueType:
        """A ban is one of API trading: meanwhile the account trades on the web site, but for what rests in the book."""
        if account_id not in BANS:
            return CHANNEL_API
        (from_ns, until_ns) = (self.day(*at) for at in BANS[account_id])
        banned = from_ns <= time_ns < until_ns
        return CHANNEL_WEB if banned and chance.randrange(RESTING_IN) else CHANNEL_API

    def _arrival(self, chance: random.Random, fill: Fill, time_ns: int) -> int:
        """The end of the round in which a fill is sent: that of its trade, or one some days later."""
        first, last = (self.day(day) for day in HELD_DAYS)
        sent_ns = time_ns
        if (
            fill.account_id == HELD_ACCOUNT
            and first <= time_ns < max(last, first + DAY_NS)
            and chance.randrange(3) == 0
        ):
            sent_ns = self.day(HELD_UNTIL_DAY, 12)
        elif chance.randrange(1_000) < LATE_PER_MILLE:
            sent_ns += chance.randint(1, 3) * DAY_NS
        round_ns = DAY_NS // ROUNDS_PER_DAY
        return min(self.end_ns, (sent_ns // round_ns + 1) * round_ns)

    def _both_sides(self, chance: random.Random, pair: Pair, ticks: int, time_ns: int) -> Iterator[Fill]:
        """The maker's fill and the taker's. One owner on both sides makes a self-trade."""
        maker, taker = _parties(chance, pair)
        trade_id = f"{pair.base}-{time_ns // 1_000}"
        price = f"{ticks // 10**pair.price_scale}.{ticks % 10**pair.price_scale:0{pair.price_scale}}"
        quantity = self._quantity(chance, pair, (maker, taker), time_ns)
        maker_side, taker_side = chance.choice([(SIDE_BUY, SIDE_SELL), (SIDE_SELL, SIDE_BUY)])
        for account, other, side, liquidity in (
            (maker, taker, maker_side, LIQUIDITY_MAKER),
            (taker, maker, taker_side, LIQUIDITY_TAKER),
        ):
            yield Fill(
                account_id=account.account_id,
                exec_id=f"{trade_id}-{'M' if liquidity == LIQUIDITY_MAKER else 'T'}",
                symbol=pair.symbol,
                side=side,
                liquidity=liquidity,
                last_px=price,
                last_qty=quantity,
                transact_time=instant(time_ns),
                trade_id=trade_id,
                owner_id=account.owner_id,
                counterparty_owner_id=other.owner_id,
            )

    def _quantity(self, chance: random.Random, pair: Pair, parties: tuple[Account, Account], time_ns: int) -> str:
        """As much as the smaller of the two trades at a time; the fewer the fills, the larger."""
        day = (time_ns - BEGIN_NS) // DAY_NS * SCRIPT_DAYS // self.days
        size = 1_000 if any(pair.only) else min(party.size(day) for party in parties)
        most = pair.steps_max * size * SCRIPT_FILLS * self.days // (1_000 * self.fills * SCRIPT_DAYS)
        return str(chance.randint(1, max(1, most)) * Decimal(pair.step))


def _parties(chance: random.Random, pair: Pair) -> tuple[Account, Account]:
    """Maker and taker."""
    if any(pair.only):
        maker, taker = (next(one for one in ACCOUNTS if one.account_id == name) for name in pair.only)
        return maker, taker
    (maker,) = chance.choices(ACCOUNTS, [one.making * (pair.pair_class in one.makes_in) for one in ACCOUNTS])
    (taker,) = chance.choices(ACCOUNTS, [one.taking for one in ACCOUNTS])
    return maker, taker


def _walk(chance: random.Random, ticks: int) -> int:
    """The next price: up or down by at most 0.2 %."""
    most = max(1, ticks // 500)
    return max(10, ticks + chance.randint(-most, most))
