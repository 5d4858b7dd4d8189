"""The fills of the story: a quiet market of ten accounts by a seed, and the few fills that something hangs on."""

from __future__ import annotations

from itertools import count
from random import Random
from typing import Any, Final

from ledger.v1.fill_pb2 import ChargedFee, Fill, TokenPayment
from tests.kept.narrator import DAY_NS, Narrator, stamp

ACCOUNTS: Final = ("alice", "alice-2", "bob", "carol", "dave", "erin", "frank", "gina", "ivy", "mallory")
MARKETS: Final = {  # symbol: (price, most that is traded at once)
    "XRP_USDT": ("0.4731", 9_000),
    "ETH_USDT": ("3391.27", 2),
    "DOGE_USDT": ("0.1187", 20_000),
    "XRP_ETH": ("0.00013955", 3_000),
    "PEPE_USDT": ("0.0000011931", 9_000_000),
}
_HOUR_NS: Final = DAY_NS // 24


class Trading:
    """Makes fills with ids of their own."""

    def __init__(self, narrator: Narrator) -> None:
        self._narrator = narrator
        self._random = Random(2024)
        self._ids = count(1)

    def fill(self, account_id: str, symbol: str = "XRP_USDT", *, ago_ns: int = 0, **changes: Any) -> Fill:
        """A taker's buy through the API, now unless `ago_ns` says otherwise."""
        number = next(self._ids)
        values: dict[str, Any] = {
            "account_id": account_id,
            "exec_id": f"x{number}",
            "symbol": symbol,
            "side": "SIDE_BUY",
            "liquidity": "LIQUIDITY_TAKER",
            "last_px": MARKETS.get(symbol, ("1", 0))[0],
            "last_qty": "10",
            "transact_time": stamp(self._narrator.now_ns - ago_ns),
            "channel": "CHANNEL_API",
            "trade_id": str(700_000 + number),
            "order_id": str(900_000 + number // 2),
        }
        return Fill(**{**values, **changes})

    def bulk(self, account_id: str, volume: str, **changes: Any) -> Fill:
        """Volume in USDT at a price of 1, for what a volume is worth."""
        return self.fill(account_id, last_px="1", last_qty=volume, **changes)

    def quiet_day(self, fills: int = 3) -> None:
        """Some fills of the past hours, of an engine that numbers them; and one of a desk that does not."""
        fills_of_engine = [self._any() for _ in range(fills)]
        answer = self._narrator.trade(*fills_of_engine, source="engine-1")
        assert answer.recorded == fills, answer
        desk = self.fill("carol", channel="CHANNEL_WEB", cl_ord_id="desk-7", trade_id=f"desk-{next(self._ids)}")
        assert self._narrator.trade(desk).recorded == 1

    def _any(self) -> Fill:
        random = self._random
        symbol = random.choice(tuple(MARKETS))
        account_id = random.choice(ACCOUNTS)
        changes: dict[str, Any] = {
            "side": random.choice(("SIDE_BUY", "SIDE_SELL")),
            "liquidity": random.choice(("LIQUIDITY_MAKER", "LIQUIDITY_TAKER")),
            "channel": random.choice(("CHANNEL_API", "CHANNEL_API", "CHANNEL_API", "CHANNEL_WEB", "CHANNEL_APP")),
            "last_qty": _hundredths(random.randint(1, MARKETS[symbol][1] * 100)),
        }
        if random.random() < 0.3:
            changes["token_payment"] = TokenPayment(token="BMX", price="0.2417", price_source="the order book")
        if random.random() < 0.2:
            changes["owner_id"] = changes["counterparty_owner_id"] = f"owner-{account_id}"
        if random.random() < 0.2:
            changes["charged_fee"] = ChargedFee(amount="0.0125", currency="USDT", rate="0.0025")
            changes["order_time"] = stamp(self._narrator.now_ns - 9 * _HOUR_NS)
        return self.fill(account_id, symbol, ago_ns=random.randrange(8 * _HOUR_NS), **changes)


def _hundredths(number: int) -> str:
    """A decimal with two places, made of integers alone."""
    return f"{number // 100}.{number % 100:02}"
