"""A few accounts that live up to a year: the product itself decides every event of theirs, by a clock that is set.

Account `number` trades on every fourth day, the first time on day `number % 4` of its life, one fill a day. Its volume
is that of one of three levels, which keep a tier, a better one, or change it half a year before the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import grpc

from ledger import programmes
from ledger.client import Client
from ledger.clock import WallClock
from ledger.composition import running
from ledger.config import Config
from ledger.domain.instants import DAY_NS, SECOND_NS
from ledger.domain.rules.evaluation_days import next_evaluation_ns
from ledger.v1 import fill_pb2
from ledger.wire.status import timestamp
from scripts.bench.fills import MARKETS, account_id
from scripts.bench.service import register
from scripts.bench.store import Store, check
from scripts.bench.tables import wait_for_tables

END_DAY: Final = 19_871  # 2024-05-28, which is a day of evaluation
YEAR: Final = 365  # days, in which volume is evaluated 36 times
TRADES_EACH: Final = 4  # days
KINDS: Final = 12  # of accounts: a day on which they trade first, by a level
_LEVELS: Final = KINDS // TRADES_EACH
_HALF_YEAR: Final = 182
_LOW, _HIGH = "0.4", "2"  # quantities: 20,000 and 100,000 USDT
_PRICE: Final = "50000"
_AFTER_NS: Final = 60 * SECOND_NS  # an evaluation is asked for a minute after it is due


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self, now_ns: int) -> None:
        self.now_ns = now_ns

    def __call__(self) -> int:
        """Return the instant."""
        return self.now_ns


def live(store: Store, schema: str, days: int) -> int:
    """Let KINDS accounts live in a ledger for so many days, up to END_DAY; return how often they were evaluated."""
    programme = programmes.parse(programmes.packaged())
    begin_ns, evaluations = (END_DAY - days) * DAY_NS, 0
    clock = Clock(begin_ns)
    config = Config(schema=schema, listen="127.0.0.1:0", drain_ms=0)
    watched = WallClock(clock, clock)  # no clock beside it: it moves as the life does
    with running(config, store.dsn, clock=watched) as service, grpc.insecure_channel(service.address) as channel:
        register(channel)
        client = Client(actor="bench", channel=channel)
        from_day, at_ns = END_DAY - days, begin_ns
        while (at_ns := next_evaluation_ns(programme, at_ns)) <= END_DAY * DAY_NS:
            clock.now_ns = at_ns + _AFTER_NS
            fills = list(_fills(range(from_day, at_ns // DAY_NS), END_DAY - days))
            if fills:
                check(client.record_fills(fills).recorded == len(fills), "a fill of a life was refused")
            *_, last = client.run_evaluation(instant=at_ns, approver="bench-2")
            check(last.HasField("counts"), f"the evaluation at {at_ns} did not end")
            from_day, evaluations = at_ns // DAY_NS, evaluations + 1
        wait_for_tables(store, schema)
    return evaluations


def _fills(days: range, first_day: int) -> Iterator[Any]:
    """Yield the fills of some days, of accounts whose life began with `first_day`."""
    market = MARKETS[0]
    for day in days:
        for number in range(KINDS):
            if (day - first_day) % TRADES_EACH != number % TRADES_EACH:
                continue
            level = number // TRADES_EACH
            high = level == 1 or (level == _LEVELS - 1 and END_DAY - day <= _HALF_YEAR)
            fill = fill_pb2.Fill(
                account_id=account_id(number),
                exec_id=f"E{day:05}{number:09}",
                symbol=market.name,
                side=fill_pb2.SIDE_BUY,
                liquidity=fill_pb2.LIQUIDITY_TAKER,
                last_px=_PRICE,
                last_qty=_HIGH if high else _LOW,
                channel=fill_pb2.CHANNEL_API,
                trade_id=str(10**18 + day),
                order_id=str(10**18 + day * KINDS + number),
                counterparty_owner_id=f"U{day:09}",
            )
            fill.transact_time.CopyFrom(timestamp(day * DAY_NS + DAY_NS // 2 + number * SECOND_NS))
            yield fill
