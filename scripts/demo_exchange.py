"""A small exchange of our own making: eight accounts, what the back office did with them, and every fill they traded.

All of it follows from a seed. `script` tells it as steps in the order in which the ledger hears of them; `play` sends
them over gRPC and moves the ledger's clock from one to the next, so that days pass as fast as the ledger takes them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status

from ledger.domain.instants import DAY_NS, SECOND_NS
from ledger.v1 import command_service_pb2 as pb
from ledger.v1.command_pb2 import Receipt
from ledger.v1.command_service_pb2_grpc import CommandServiceStub
from ledger.v1.fill_pb2 import CHANNEL_API, CHANNEL_WEB, LIQUIDITY_MAKER, LIQUIDITY_TAKER, SIDE_BUY, SIDE_SELL, Fill
from ledger.v1.fill_service_pb2 import RecordFillsRequest
from ledger.v1.fill_service_pb2_grpc import FillServiceStub

BEGIN_NS: Final = 20_454 * DAY_NS  # 2026-01-01 00:00:00 UTC
SCRIPT_DAYS: Final = 90  # the story is written for so many; other lengths stretch it
HOUR_NS: Final = 3_600 * SECOND_NS
SOURCE: Final = "demo-engine"
ACTOR: Final = "back-office"
APPROVER: Final = "head-of-fees"
FOUR_EYES: Final = {"ChangeTier", "LiftBan"}  # what the packaged programme leaves to no one person
CALL_S_MAX: Final = 30
ROUNDS_PER_DAY: Final = 4  # how often the engine sends what it has
BATCH_FILLS_MAX: Final = 1_000
LATE_PER_MILLE: Final = 10  # fills that arrive one to three days late
FEE_DECIMALS: Final = 4

# The fills of one account that lay on a broken gateway until a grant, backdated over them, was in the ledger.
HELD_ACCOUNT: Final = "ember"
HELD_DAYS: Final = (46, 49)
GRANT_FROM_DAY: Final = 40
GRANT_TOLD_DAY: Final = 55
HELD_UNTIL_DAY: Final = 56


@dataclass(frozen=True, slots=True)
class Account:
    """Who trades, for whom, and how much: weights are relative."""

    account_id: str
    owner_id: str
    making: int
    taking: int
    makes_in: str = "ABC"  # pair classes


ACCOUNTS: Final = (
    Account("alba", "alba", 12, 22),
    Account("alba.bot", "alba", 5, 4),
    Account("brook", "brook", 60, 0, makes_in="AB"),
    Account("cedar", "cedar", 12, 20),
    Account("dune", "dune", 22, 14),
    Account("ember", "ember", 8, 18),
    Account("fjord", "fjord", 4, 12),
    Account("grove", "grove", 16, 16),
)


@dataclass(frozen=True, slots=True)
class Pair:
    """A market. Prices are whole ticks of `10 ** -price_scale`, sizes whole hundreds of the base currency."""

    base: str
    pair_class: str
    first_ticks: int
    hundreds_max: int
    weight: int
    price_scale: int = 4

    @property
    def symbol(self) -> str:
        """As the ledger knows it."""
        return f"{self.base}_USDT"


PAIRS: Final = (Pair("XRP", "A", 23_145, 60, 6), Pair("ADA", "B", 8_210, 120, 3), Pair("GALA", "C", 412, 900, 1))


@dataclass(frozen=True, slots=True)
class Step:
    """What the ledger is told at an instant: one command, or a batch of fills."""

    at_ns: int
    call: str
    request: Any  # the message of the call
    told: str = ""  # in words, for the story


@dataclass(slots=True)
class Played:
    """What became of the steps."""

    recorded: int = 0
    story: list[tuple[int, str, str]] = field(default_factory=list)  # (instant, account, what happened)
    receipts: dict[str, Receipt] = field(default_factory=dict)  # of commands, by request_id


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

    def script(self) -> list[Step]:
        """Every step, in the order in which the ledger hears of it."""
        steps = [*self._registers(), *self._back_office(), *self._batches()]
        return sorted(steps, key=lambda step: step.at_ns)

    def _registers(self) -> Iterator[Step]:
        yield self._step(
            BEGIN_NS, "RegisterCurrency", pb.RegisterCurrencyRequest(currency="USDT", decimals=FEE_DECIMALS)
        )
        for pair in PAIRS:
            request = pb.RegisterSymbolRequest(
                symbol=pair.symbol,
                base_currency=pair.base,
                quote_currency="USDT",
                price_scale=pair.price_scale,
                quantity_scale=0,
                pair_class=pair.pair_class,
            )
            yield self._step(BEGIN_NS, "RegisterSymbol", request)
        for account in ACCOUNTS:
            account_request = pb.RegisterAccountRequest(account_id=account.account_id, owner_id=account.owner_id)
            yield self._step(BEGIN_NS, "RegisterAccount", account_request)

    def _back_office(self) -> Iterator[Step]:
        """The lives of the accounts."""
        yield self._grant("brook", "VIP4", self.day(0))
        yield self._grant("grove", "VIP1", self.day(0))
        yield self._trial("alba", self.day(2, 9))
        yield self._grant("dune", "VIP3", self.day(6), until_ns=self.day(66))
        yield self._trial("cedar", self.day(10, 14))
        yield self._trial("alba.bot", self.day(20, 11))
        yield self._grant("grove", "VIP2", self.day(30))
        yield self._grant("cedar", "VIP1", self.day(36, 10))
        yield self._revoke("dune", "g1", self.day(42, 15))
        yield self._grant("brook", "VIP5", self.day(45))
        yield self._grant("alba", "VIP2", self.day(50))
        yield self._grant("ember", "VIP1", self.day(GRANT_TOLD_DAY, 10), from_ns=self.day(GRANT_FROM_DAY))
        yield self._grant("grove", "VIP3", self.day(58), from_ns=self.day(60))
        yield self._ban("cedar", 7, "QUOTE_ONE_UP", self.day(62, 8))
        yield self._lift("cedar", self.day(62, 88))
        yield self._trial("fjord", self.day(64, 9))
        yield self._ban("dune", 5, "ORDER_SPAM", self.day(70, 16))
        yield self._revoke("brook", "g2", self.day(78, 12))

    def _step(self, at_ns: int, call: str, request: Any, told: str = "") -> Step:
        name = getattr(request, "account_id", "") or getattr(request, "symbol", "") or request.currency
        request.request_id = f"{call}.{name}.{at_ns // SECOND_NS}"
        request.authority.actor = ACTOR
        if call in FOUR_EYES:
            request.authority.approver, request.authority.reason = APPROVER, "agreed with the account's manager"
        return Step(at_ns, call, request, told)

    def _trial(self, account: str, at_ns: int) -> Step:
        return self._step(at_ns, "StartTrial", pb.StartTrialRequest(account_id=account), "starts the trial")

    def _grant(self, account: str, tier: str, at_ns: int, *, from_ns: int = 0, until_ns: int = 0) -> Step:
        request = pb.ChangeTierRequest(account_id=account, tier=tier)
        told = f"is given {tier}"
        if from_ns:
            request.valid_from.CopyFrom(instant(from_ns))
            told += f", valid from {request.valid_from.ToJsonString()[:10]} on"
        if until_ns:
            request.valid_until.CopyFrom(instant(until_ns))
            told += f", until {request.valid_until.ToJsonString()[:10]}"
        return self._step(at_ns, "ChangeTier", request, told)

    def _revoke(self, account: str, grant_id: str, at_ns: int) -> Step:
        request = pb.RevokeTierRequest(account_id=account, grant_id=grant_id)
        return self._step(at_ns, "RevokeTier", request, f"has grant {grant_id} revoked")

    def _ban(self, account: str, days: int, reason: str, at_ns: int) -> Step:
        request = pb.BanAccountRequest(account_id=account, days=days, reason_code=reason)
        return self._step(at_ns, "BanAccount", request, f"is banned for {days} days: {reason}")

    def _lift(self, account: str, at_ns: int) -> Step:
        return self._step(at_ns, "LiftBan", pb.LiftBanRequest(account_id=account), "has the ban lifted")

    def _batches(self) -> Iterator[Step]:
        """The fills as the engine sends them: in rounds, numbered without gaps in the order in which they arrive."""
        rounds: dict[int, list[Fill]] = {}
        for arrives_ns, fill in self._market():
            rounds.setdefault(arrives_ns, []).append(fill)
        sequence = 1
        for arrives_ns in sorted(rounds):
            waiting = iter(rounds[arrives_ns])
            while batch := list(islice(waiting, BATCH_FILLS_MAX)):
                request = RecordFillsRequest(source=SOURCE, first_sequence=sequence, fills=batch, actor="demo")
                yield Step(arrives_ns, "RecordFills", request)
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
                for fill in _both_sides(chance, pair, ticks[pair.symbol], time_ns):
                    fill.channel = CHANNEL_WEB if self._banned(fill.account_id, time_ns) else CHANNEL_API
                    yield self._arrival(chance, fill, time_ns), fill

    def _banned(self, account_id: str, time_ns: int) -> bool:
        """A ban is one of API trading: meanwhile the account trades on the web site."""
        bans = {
            "cedar": (self.day(62, 8), self.day(62, 88)),
            "dune": (self.day(70, 16), self.day(70, 16 + 5 * 24)),
        }
        from_ns, until_ns = bans.get(account_id, (0, 0))
        return from_ns <= time_ns < until_ns

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


def _walk(chance: random.Random, ticks: int) -> int:
    """The next price: up or down by at most 0.2 %."""
    most = max(1, ticks // 500)
    return max(10, ticks + chance.randint(-most, most))


def _both_sides(chance: random.Random, pair: Pair, ticks: int, time_ns: int) -> Iterator[Fill]:
    """The maker's fill and the taker's. One owner on both sides makes a self-trade."""
    making = [account.making * (pair.pair_class in account.makes_in) for account in ACCOUNTS]
    (maker,) = chance.choices(ACCOUNTS, making)
    (taker,) = chance.choices(ACCOUNTS, [account.taking for account in ACCOUNTS])
    trade_id = f"{pair.base}-{time_ns // 1_000}"
    price = f"{ticks // 10**pair.price_scale}.{ticks % 10**pair.price_scale:0{pair.price_scale}}"
    quantity = str(100 * chance.randint(1, pair.hundreds_max))
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


class UnexpectedError(Exception):
    """The ledger answered what the story does not know: one line."""


def play(
    steps: list[Step], channel: grpc.Channel, set_clock: Callable[[int], None], show: Callable[[int, int], None]
) -> Played:
    """Tell the ledger every step at its instant; `show` hears (instant, fills so far). Raises UnexpectedError."""
    commands, fills, played = CommandServiceStub(channel), FillServiceStub(channel), Played()
    for step in steps:
        set_clock(step.at_ns)
        if isinstance(step.request, RecordFillsRequest):
            answer = fills.RecordFills(step.request, timeout=CALL_S_MAX)
            if answer.recorded != len(step.request.fills):
                raise UnexpectedError(f"{len(answer.refusals)} fills were refused: {answer.refusals[:1]}")
            played.recorded += answer.recorded
            show(step.at_ns, played.recorded)
        else:
            told = _command(getattr(commands, step.call), step, played)
            if told:
                played.story.append((step.at_ns, step.request.account_id, told))
    return played


def _command(method: Any, step: Step, played: Played) -> str:
    """What became of a command, in words; a trial may be refused, and that is part of the story."""
    try:
        answer = method(step.request, timeout=CALL_S_MAX)
    except grpc.RpcError as error:
        status, info = rpc_status.from_call(error), ErrorInfo()
        if step.call != "StartTrial" or status is None or not status.details[0].Unpack(info):
            raise
        return f"asks for a trial and is refused: {info.reason}"
    played.receipts[step.request.request_id] = answer.receipt
    return step.told
