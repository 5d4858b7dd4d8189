"""How fast the ledger answers from memory, beside an empty method of the same server under the same client."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from functools import partial
from itertools import cycle
from typing import Final

import grpc

from ledger import programmes
from ledger.config import Config
from ledger.domain.money import decimal_text
from ledger.domain.state.programme import NO_TIER, Programme
from ledger.v1 import command_pb2, command_service_pb2, command_service_pb2_grpc, fill_pb2
from ledger.v1 import query_service_pb2 as pb
from scripts.bench.calls import Answers, Asked, Call, many_at_once, one_by_one
from scripts.bench.echo import COMMAND, ECHO
from scripts.bench.fills import MARKETS
from scripts.bench.paths import QUOTE, STATE
from scripts.bench.service import CALL_SECONDS_MAX, ledger, register, serving
from scripts.bench.store import Failed, Store, check

ACCOUNTS: Final = 200  # every second one with a tier
CALLERS: Final = 8  # of 1, 2, 4 .. 32 the number with the most calls/s, of the echo and of quotes
_CHECK_EACH: Final = 97  # of the answers, one in so many is read and compared; a prime, so that all kinds come up
_SEED: Final = 20_261_123
_PPM: Final = Decimal(1_000_000)
_CENT: Final = Decimal("1e-8")  # fees in a currency that nobody registered have 8 decimals


class Reads:
    """Short slices that take turns: echo, quotes, echo one by one, states one by one; ratios within each turn."""

    def __init__(self, seconds: float, turns: int) -> None:
        self._seconds = seconds
        self._turns = turns
        programme = programmes.parse(programmes.packaged())
        self._tiers = _tiers(programme)
        self._quotes = quote_requests(programme, self._tiers)
        self._states = state_requests(self._tiers)
        self.settings: Mapping[str, object] = {
            "quoted_accounts": ACCOUNTS,
            "quoted_symbols": len(MARKETS),
            "callers": CALLERS,
            "turns_per_round": turns,
            "slice_seconds": seconds,
            "read_threads": Config().read_threads,
            "client": "one sync Python process on the same cores, the same for both: it may be the limit of both",
        }

    def run(self, store: Store, schema: str) -> dict[str, list[float]]:
        """All turns on one service; every figure has a value per turn."""
        found: dict[str, list[float]] = {}
        with ledger(store, schema) as served, serving(COMMAND) as empty:
            set_up(served.channel, self._tiers)
            echo, quote, state = (
                empty.channel.unary_unary(ECHO),
                served.channel.unary_unary(QUOTE),
                served.channel.unary_unary(STATE),
            )
            for asked, call in ((self._quotes, quote), (self._states, state)):
                _alone(call, asked, self._seconds / 4)  # warm: connected, accounts in memory
            for turn in range(self._turns):
                for name, value in self._turn(echo, quote, state, echo_first=turn % 2 == 0).items():
                    found.setdefault(name, []).append(value)
        return found

    def _turn(self, echo: Call, quote: Call, state: Call, *, echo_first: bool) -> dict[str, float]:
        """One slice of each kind; who goes first alternates, so that a drift of the machine favours nobody."""
        nothing = [Asked(b"")]
        slices: dict[str, Callable[[], Answers]] = {
            "echo_rps": lambda: _together(echo, nothing, self._seconds),
            "quote_rps": lambda: _together(quote, self._quotes, self._seconds),
            "echo_ms": lambda: _alone(echo, nothing, self._seconds / 2),
            "state_ms": lambda: _alone(state, self._states, self._seconds / 2),
        }
        done = {name: slices[name]() for name in (slices if echo_first else reversed(slices))}
        verify_quotes(done["quote_rps"].kept)
        verify_states(done["state_ms"].kept)
        echo_rps, quote_rps = done["echo_rps"].rps, done["quote_rps"].rps
        echo_ms, state_ms = done["echo_ms"].p50_ms, done["state_ms"].p50_ms
        return {
            "limit.echo_rps": echo_rps,
            "limit.echo_ms_p50": echo_ms,
            "quote.rps": quote_rps,
            "state.now_ms_p50": state_ms,
            "ratio.quote_rps_to_echo_rps": quote_rps / echo_rps,
            "ratio.state_now_ms_to_echo_ms": state_ms / echo_ms,
        }


def _together(call: Call, asked: Sequence[Asked], seconds: float) -> Answers:
    """CALLERS ask, each from another place on, over and over again."""
    places = [number * len(asked) // CALLERS for number in range(CALLERS)]
    feeds = [cycle([*asked[place:], *asked[:place]]) for place in places]
    return many_at_once(call, feeds, seconds, keep_each=_CHECK_EACH)


def _alone(call: Call, asked: Sequence[Asked], seconds: float) -> Answers:
    return one_by_one(partial(call, timeout=CALL_SECONDS_MAX), cycle(asked), seconds, keep_each=_CHECK_EACH)


# --- what is asked


def _tiers(programme: Programme) -> dict[str, str]:
    """Accounts and their tiers: every second one has one, each tier comes up."""
    return {
        f"A{number:010}": programme.tiers[number // 2 % len(programme.tiers)] if number % 2 else NO_TIER
        for number in range(ACCOUNTS)
    }


def quote_requests(programme: Programme, tiers: Mapping[str, str]) -> list[Asked]:
    """Every account on every symbol, shuffled, with the fee by the programme's rates, computed here in Decimal."""
    chance = random.Random(_SEED)  # noqa: S311 - a load, not a secret
    found = []
    for account_id, tier in tiers.items():
        for symbol in MARKETS:
            price = decimal_text(symbol.price_low + chance.randrange(symbol.price_low), symbol.price_decimals)
            quantity = decimal_text(chance.randint(1, 100 * 10**symbol.quantity_scale), symbol.quantity_scale)
            is_maker = chance.random() < 1 / 2
            rates = (
                programme.public_rates(symbol.pair_class)
                if tier == NO_TIER
                else programme.rates[tier, symbol.pair_class]
            )
            rate = Decimal(rates[0] if is_maker else rates[1]) / _PPM
            request = pb.QuoteFeeRequest(
                account_id=account_id,
                symbol=symbol.name,
                side=chance.choice((fill_pb2.SIDE_BUY, fill_pb2.SIDE_SELL)),
                liquidity=fill_pb2.LIQUIDITY_MAKER if is_maker else fill_pb2.LIQUIDITY_TAKER,
                last_px=price,
                last_qty=quantity,
                channel=fill_pb2.CHANNEL_API,
            )
            fee = (Decimal(price) * Decimal(quantity) * rate).quantize(_CENT, ROUND_HALF_EVEN)
            found.append(Asked(request.SerializeToString(), fee))
    chance.shuffle(found)
    return found


def state_requests(tiers: Mapping[str, str]) -> list[Asked]:
    """The state of every account, now."""
    return [Asked(pb.GetVipStateRequest(account_id=name).SerializeToString(), tier) for name, tier in tiers.items()]


def set_up(channel: grpc.Channel, tiers: Mapping[str, str]) -> None:
    """Register symbols and accounts, and grant the tiers."""
    commands = command_service_pb2_grpc.CommandServiceStub(channel)
    authority = command_pb2.Authority(actor="bench", approver="bench-2", reason="measuring")
    try:
        register(channel)
        for account_id, tier in tiers.items():
            named = {"request_id": f"bench-{account_id}", "authority": authority, "account_id": account_id}
            commands.RegisterAccount(command_service_pb2.RegisterAccountRequest(**named), timeout=CALL_SECONDS_MAX)
            if tier != NO_TIER:
                named["request_id"] = f"bench-tier-{account_id}"
                commands.ChangeTier(command_service_pb2.ChangeTierRequest(**named, tier=tier), timeout=CALL_SECONDS_MAX)
    except grpc.RpcError as error:
        raise Failed(f"a command ended with {error.code().name}: {error.details()}") from error


# --- what was measured is what was meant


def verify_quotes(kept: Iterable[tuple[Asked, bytes]]) -> None:
    """Each fee is the one computed here."""
    for asked, answer in kept:
        found, request = pb.QuoteFeeResponse.FromString(answer), pb.QuoteFeeRequest.FromString(asked.message)
        what = f"{request.account_id} on {request.symbol}, {request.last_px} x {request.last_qty}"
        right = Decimal(found.fee_amount) == asked.expected
        check(right, f"a quote for {what} says {found.fee_amount}, not {asked.expected}")


def verify_states(kept: Iterable[tuple[Asked, bytes]]) -> None:
    """Each tier is the one granted."""
    for asked, answer in kept:
        found = pb.GetVipStateResponse.FromString(answer)
        check(found.tier == asked.expected, f"{found.account_id} is {found.tier}, not {asked.expected}")
