"""A fee history by UTC day: what counts towards a tier, what was charged and paid back, and at which rate."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from ledger.domain.events import CellKey, VolumeEvaluated
from ledger.domain.instants import DAY_NS, NEVER_NS
from ledger.domain.rules.cumulative_trading_volume import event_period, excluded_because
from ledger.domain.rules.end_day_close import close_day, valued
from ledger.domain.state.programme import Programme
from ledger.tools.history.entries import Counted, counted, counted_volume, notional
from ledger.v1.fill_pb2 import LIQUIDITY_MAKER
from ledger.v1.query_service_pb2 import FeeLine

MAKER: Final = "maker"
TAKER: Final = "taker"

ByDay = dict[int, list[int]]  # UTC day since 1970: two sums
Closes = Mapping[tuple[str, int], int]  # price with 18 decimals in the volume currency, by asset and UTC day
Parts = dict[tuple[str, str], int]  # notional by quote currency and why it does not count (empty: it does)


class Kind(NamedTuple):
    """The basis of fees, without the grant; what was traded is in `quote`, the fees are in `currency`."""

    tier: str
    pair_class: str
    role: str
    rate_source: str
    rate: str
    discount: str
    quote: str
    currency: str


class Worth(NamedTuple):
    """The worth of volume that counts, in the volume currency: by day and quote; and the closes that it lacks."""

    by_day: Mapping[int, Mapping[str, int]]
    missing: set[tuple[str, int]]


class Days:
    """Sums by UTC day. Notionals have 36 decimals, fees 18; fees are as they are now."""

    def __init__(self, programme: Programme, evaluations: Iterable[VolumeEvaluated] = ()) -> None:
        self.volumes: dict[int, Parts] = {}  # of the period
        self.before: dict[int, Parts] = {}  # of fills before it, which count for windows that reach into it
        self.since: dict[int, dict[str, int]] = {}  # by evaluated instant, quote: changed after it, inside its window
        self.fees: dict[str, ByDay] = {}  # by currency [charges, rebates]
        self.credits: list[FeeLine] = []  # and what is withdrawn of them
        self.rates: dict[str, dict[str, ByDay]] = {}  # by quote currency and role [notional, fee], of fees in it
        self.kinds: dict[Kind, list[int]] = {}  # [fills, notional, fee]
        self.times: tuple[int, int] | None = None  # of the first and the last entry
        self._programme = programme
        self._reasons: dict[CellKey, str] = {}
        self._evaluations = sorted(evaluations, key=lambda one: one.window_until_ns)
        self._until = [one.window_until_ns for one in self._evaluations]
        self._event_period = event_period(programme, (0, NEVER_NS))

    def take_volume(self, line: FeeLine) -> None:
        """Add what an entry says of volume: an adjustment may move it, by a ban or as a self-trade."""
        self._take_volume(line, self.volumes)

    def take_before(self, line: FeeLine) -> None:
        """Add the volume of an entry before the period."""
        self._take_volume(line, self.before)

    def _take_volume(self, line: FeeLine, volumes: dict[int, Parts]) -> None:
        at_ns, currency = line.transact_time.ToNanoseconds(), line.quote_currency
        for sign, self_trade, banned in counted_volume(line):
            parts, amount = volumes.setdefault(at_ns // DAY_NS, {}), sign * notional(line)
            part = currency, self._excluded(line, at_ns, self_trade=self_trade, banned=banned)
            parts[part] = parts.get(part, 0) + amount
            if not parts[part]:
                del parts[part]  # it needs no close any more
            if not part[1] and self._until:
                self._take_since(line, at_ns, currency, amount)

    def _take_since(self, line: FeeLine, at_ns: int, currency: str, amount: int) -> None:
        position = line.line_ref.position
        for one in self._evaluations[bisect_right(self._until, at_ns) :]:
            if one.window_from_ns <= at_ns and one.read_position < position:
                late = self.since.setdefault(one.evaluated_time_ns, {})
                late[currency] = late.get(currency, 0) + amount
                if not late[currency]:
                    del late[currency]

    def _excluded(self, line: FeeLine, at_ns: int, *, self_trade: bool, banned: bool) -> str:
        if not self._event_period[0] <= at_ns < self._event_period[1]:
            return "OUTSIDE_PROGRAMME"
        key = CellKey(line.quote_currency, line.product, line.channel, self_trade, banned, zero_fee=False)
        reason = self._reasons.get(key)
        if reason is None:
            reason = self._reasons[key] = excluded_because(key, self._programme)
        return reason

    def take_fee(self, line: FeeLine) -> None:
        """Add what it says of fees."""
        if line.HasField("credit"):
            self.credits.append(line)
        at_ns = line.transact_time.ToNanoseconds()
        first_ns, last_ns = self.times or (at_ns, at_ns)
        self.times = min(first_ns, at_ns), max(last_ns, at_ns)
        for fee in counted(line):
            self._take_fee(line, at_ns // DAY_NS, fee)

    def _take_fee(self, line: FeeLine, day: int, fee: Counted) -> None:
        by_day = self.fees.setdefault(fee.currency, {}).setdefault(day, [0, 0])
        by_day[fee.fee < 0] += fee.sign * fee.fee
        role = MAKER if line.liquidity == LIQUIDITY_MAKER else TAKER
        amount, quote, basis = fee.sign * notional(line), line.quote_currency, fee.basis
        if fee.currency == quote:
            rated = self.rates.setdefault(quote, {}).setdefault(role, {}).setdefault(day, [0, 0])
            rated[0] += amount
            rated[1] += fee.sign * fee.fee
        rests = (basis.tier, basis.pair_class, role, basis.rate_source, basis.rate, basis.discount)
        sums = self.kinds.setdefault(Kind(*rests, quote, fee.currency), [0, 0, 0])
        sums[0] += fee.sign
        sums[1] += amount
        sums[2] += fee.sign * fee.fee

    def worth(self, volumes: Mapping[int, Parts], closes: Closes, end_ns: int) -> Worth:
        """Value what counts of `volumes` as an evaluation at `end_ns` would (R17)."""
        found: dict[int, dict[str, int]] = {}
        missing: set[tuple[str, int]] = set()
        for day, parts in volumes.items():
            for (quote, reason), amount in parts.items():
                close = (quote, close_day(self._programme, fill_day=day, evaluation_ns=end_ns))
                if reason:
                    continue
                if quote == self._programme.volume_currency:
                    found.setdefault(day, {})[quote] = amount
                elif close in closes:
                    found.setdefault(day, {})[quote] = valued(amount, closes[close])
                else:
                    missing.add(close)
        return Worth(found, missing)


def rolling(by_day: Mapping[int, int], days: range, window_days: int) -> dict[int, int]:
    """Return for each day the sum of the window of days that ends with it."""
    total = sum(by_day.get(day, 0) for day in range(days.start - window_days, days.start))
    found = {}
    for day in days:
        total += by_day.get(day, 0) - by_day.get(day - window_days, 0)
        found[day] = total
    return found
