"""A fee history by UTC day: what counts towards a tier, what was charged and paid back, and at which rate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from ledger.domain.events import CellKey
from ledger.domain.instants import DAY_NS
from ledger.domain.rules.cumulative_trading_volume import excluded_because
from ledger.domain.rules.end_day_close import valued
from ledger.domain.state.programme import Programme
from ledger.tools.history.entries import Counted, counted, notional
from ledger.v1.fill_pb2 import LIQUIDITY_MAKER
from ledger.v1.query_service_pb2 import FeeLine

MAKER: Final = "maker"
TAKER: Final = "taker"

ByDay = dict[int, list[int]]  # UTC day since 1970: two sums
Closes = Mapping[tuple[str, int], int]  # price with 18 decimals in the volume currency, by asset and UTC day


class Kind(NamedTuple):
    """What fees rest on, without the grant."""

    tier: str
    pair_class: str
    role: str
    rate_source: str
    rate: str
    discount: str
    currency: str


class Days:
    """Sums by UTC day. Notionals have 36 decimals, fees 18; fees are as they are now."""

    def __init__(self) -> None:
        self.volumes: dict[int, dict[CellKey, int]] = {}  # notional by day and cell
        self.fees: dict[str, ByDay] = {}  # by currency [charges, rebates]
        self.rates: dict[str, dict[str, ByDay]] = {}  # by quote currency and role [notional, fee], of fees in it
        self.kinds: dict[Kind, list[int]] = {}  # [fills, notional, fee]
        self.times: tuple[int, int] | None = None  # of the first and the last fill

    def take_volume(self, line: FeeLine) -> None:
        """Add what an entry says of volume; an adjustment says nothing."""
        if line.kind != "FILL":
            return
        cells = self.volumes.setdefault(line.transact_time.ToNanoseconds() // DAY_NS, {})
        key = CellKey(line.quote_currency, line.product, line.channel, line.self_trade, line.banned, zero_fee=False)
        cells[key] = cells.get(key, 0) + notional(line)

    def take_fee(self, line: FeeLine) -> None:
        """Add what it says of fees."""
        at_ns = line.transact_time.ToNanoseconds()
        first_ns, last_ns = self.times or (at_ns, at_ns)
        self.times = min(first_ns, at_ns), max(last_ns, at_ns)
        for fee in counted(line):
            self._take_fee(line, at_ns // DAY_NS, fee)

    def _take_fee(self, line: FeeLine, day: int, fee: Counted) -> None:
        by_day = self.fees.setdefault(fee.currency, {}).setdefault(day, [0, 0])
        by_day[fee.fee < 0] += fee.sign * fee.fee
        role = MAKER if line.liquidity == LIQUIDITY_MAKER else TAKER
        if fee.currency == line.quote_currency:
            rated = self.rates.setdefault(fee.currency, {}).setdefault(role, {}).setdefault(day, [0, 0])
            rated[0] += fee.sign * notional(line)
            rated[1] += fee.sign * fee.fee
        basis, currency = fee.basis, line.quote_currency
        kind = Kind(basis.tier, basis.pair_class, role, basis.rate_source, basis.rate, basis.discount, currency)
        sums = self.kinds.setdefault(kind, [0, 0, 0])
        sums[0] += fee.sign
        sums[1] += fee.sign * notional(line)
        if fee.currency == line.quote_currency:
            sums[2] += fee.sign * fee.fee

    def counted(self, programme: Programme, closes: Closes) -> tuple[dict[int, int], set[tuple[str, int]]]:
        """(volume that counts by day, in the volume currency; closes that it lacks and is too low without)."""
        found: dict[int, int] = {}
        missing: set[tuple[str, int]] = set()
        for day, cells in self.volumes.items():
            for key, amount in cells.items():
                close = (key.quote_currency, day)
                if excluded_because(key, programme):
                    continue
                if key.quote_currency == programme.volume_currency:
                    found[day] = found.get(day, 0) + amount
                elif close in closes:
                    found[day] = found.get(day, 0) + valued(amount, closes[close])
                else:
                    missing.add(close)
        return found, missing

    def excluded(self, programme: Programme) -> dict[tuple[str, str], int]:
        """Notional that does not count, by reason and quote currency."""
        found: dict[tuple[str, str], int] = {}
        for cells in self.volumes.values():
            for key, amount in cells.items():
                if reason := excluded_because(key, programme):
                    name = (reason, key.quote_currency)
                    found[name] = found.get(name, 0) + amount
        return found


def rolling(by_day: Mapping[int, int], days: range, window_days: int) -> list[tuple[int, int]]:
    """(day, sum of the window of days that ends with it) of each day."""
    total = sum(by_day.get(day, 0) for day in range(days.start - window_days, days.start))
    found = []
    for day in days:
        total += by_day.get(day, 0) - by_day.get(day - window_days, 0)
        found.append((day, total))
    return found
