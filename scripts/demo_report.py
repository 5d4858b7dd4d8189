"""What the demo asks the ledger at the end, and how it prints the answers. Nothing here knows what was sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from textwrap import wrap
from typing import Any, Final

import grpc
from demo_exchange import (
    ACCOUNTS,
    BEGIN_NS,
    CALL_S_MAX,
    GRANT_TOLD_DAY,
    HELD_ACCOUNT,
    HELD_UNTIL_DAY,
    Exchange,
    Played,
    UnexpectedError,
    instant,
)

from ledger.domain.instants import DAY_NS
from ledger.v1.fill_pb2 import LIQUIDITY_MAKER, SIDE_BUY
from ledger.v1.query_service_pb2 import FeeLine, GetVipStateRequest, GetVipStateResponse, ListFeeHistoryRequest
from ledger.v1.query_service_pb2_grpc import QueryServiceStub
from ledger.v1.read_pb2 import ReadAt

LABEL: Final = 10  # columns before the timeline
WIDTH: Final = 100  # of sentences
PAGE: Final = 5_000
ZERO: Final = Decimal(0)
LEGEND: Final = "T trial   1-5 VIP1 to VIP5, given by hand   . no tier   x banned (the tier stays)"


@dataclass(slots=True)
class Sums:
    """What one row of the fee table adds up, in USDT."""

    fills: int = 0
    volume: Decimal = ZERO
    charges: Decimal = ZERO
    rebates: Decimal = ZERO

    def take(self, line: FeeLine) -> None:
        """Add one fee."""
        fee = Decimal(line.fee_amount)
        self.fills += 1
        self.volume += Decimal(line.notional)
        self.charges += max(fee, ZERO)
        self.rebates += min(fee, ZERO)

    def add(self, other: Sums) -> None:
        """Add another row."""
        self.fills += other.fills
        self.volume += other.volume
        self.charges += other.charges
        self.rebates += other.rebates

    def cells(self) -> tuple[str, ...]:
        """As printed: fills, volume, charges, rebates, net, and the net in basis points of the volume."""
        net = self.charges + self.rebates
        bps = (net / self.volume * 10_000).quantize(Decimal("0.01")) if self.volume else ZERO
        return (
            f"{self.fills:,}",
            f"{self.volume:,.2f}",
            f"{self.charges:,.4f}",
            f"{self.rebates:,.4f}",
            f"{net:,.4f}",
            f"{bps:.2f}",
        )


@dataclass
class Report:
    """The questions, and the printed answers."""

    exchange: Exchange
    played: Played
    channel: grpc.Channel
    lines: dict[str, list[FeeLine]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._queries = QueryServiceStub(self.channel)
        self.lines = {account.account_id: self._history(account.account_id) for account in ACCOUNTS}
        found = sum(map(len, self.lines.values()))
        if found != self.played.recorded:
            raise UnexpectedError(f"{self.played.recorded} fills were recorded, but {found} are in the fee histories")

    def text(self) -> str:
        """All of it."""
        days, fills = self.exchange.days, self.played.recorded
        until = _day_text(self.exchange.end_ns - DAY_NS)
        span = f"{_day_text(BEGIN_NS)} to {until}"
        title = f"A small exchange: {days} days, {span}, {len(ACCOUNTS)} accounts, {fills:,} fills"
        parts = (
            (title, [f"Everything below was asked of the ledger over gRPC. Seed {self.exchange.seed}."]),
            ("What the back office did", self._story()),
            ("Who was what, day by day (at noon)", self._timeline()),
            ("Fees in USDT: positive is charged, negative is paid back", self._table()),
            *self._one_fee(),
        )
        return "\n\n".join(f"{head}\n{'-' * len(head)}\n" + "\n".join(body) for head, body in parts)

    def _history(self, account_id: str) -> list[FeeLine]:
        """Every fee of an account. Raises UnexpectedError if the totals the ledger states are not their sums."""
        request = ListFeeHistoryRequest(account_id=account_id, page_size=PAGE)
        lines: list[FeeLine] = []
        while True:
            page = self._queries.ListFeeHistory(request, timeout=CALL_S_MAX)
            lines += page.lines
            request.page_token = page.next_page_token
            if not page.next_page_token:
                break
        sums = _sums(lines)
        stated = [(total.lines, Decimal(total.charges), Decimal(total.rebates)) for total in page.totals]
        if lines and stated != [(sums.fills, sums.charges, sums.rebates)]:
            raise UnexpectedError(f"the totals of {account_id} are not the sums of its lines")
        return lines

    def _state(self, account_id: str, as_of_ns: int, known_at_ns: int = 0) -> GetVipStateResponse:
        at = ReadAt(as_of=instant(as_of_ns))
        if known_at_ns:
            at.known_at_time.CopyFrom(instant(known_at_ns))
        return self._queries.GetVipState(GetVipStateRequest(account_id=account_id, at=at), timeout=CALL_S_MAX)

    def _story(self) -> list[str]:
        return [f"{_minute(time_ns)}  {account:<{LABEL}}{told}" for time_ns, account, told in self.played.story]

    def _timeline(self) -> list[str]:
        rows = [self._row(account.account_id) for account in ACCOUNTS]
        told_ns = self.exchange.day(GRANT_TOLD_DAY)
        place = next(n for n, account in enumerate(ACCOUNTS, start=1) if account.account_id == HELD_ACCOUNT)
        rows.insert(place, self._row(HELD_ACCOUNT, known_at_ns=told_ns))
        note = (
            f"{' *':<{LABEL}}{HELD_ACCOUNT} as the ledger knew it on {_day_text(told_ns)}, before a grant was backdated"
        )
        return [*_ruler(self.exchange.days), *rows, "", f"{'':{LABEL}}{LEGEND}", note]

    def _row(self, account_id: str, known_at_ns: int = 0) -> str:
        noons = (BEGIN_NS + day * DAY_NS + DAY_NS // 2 for day in range(self.exchange.days))
        signs = (_sign(self._state(account_id, noon_ns, known_at_ns)) for noon_ns in noons)
        return f"{' *' if known_at_ns else account_id:<{LABEL}}{''.join(signs)}"

    def _table(self) -> list[str]:
        rows: list[tuple[str, ...]] = [("account", "tier", "fills", "volume", "charges", "rebates", "net", "bps")]
        everything = Sums()
        for account_id, lines in self.lines.items():
            tiers = sorted({line.basis.tier for line in lines})
            for place, tier in enumerate(tiers):
                sums = _sums([line for line in lines if line.basis.tier == tier])
                rows.append((account_id if place == 0 else "", tier, *sums.cells()))
            own = _sums(lines)
            if len(tiers) > 1:
                rows.append(("", "all", *own.cells()))
            everything.add(own)
        rows.append(("total", "", *everything.cells()))
        return [*_columns(rows), "", *self._remarks()]

    def _remarks(self) -> Iterator[str]:
        lines = [line for each in self.lines.values() for line in each]
        own = [line for line in lines if line.self_trade]
        unpaid = sum(line.basis.rate_source == "REBATE_SUPPRESSED" for line in own)
        late = sum(line.recorded_time.ToNanoseconds() - line.transact_time.ToNanoseconds() > DAY_NS for line in lines)
        banned = sum(line.banned for line in lines)
        yield f"{len(own):,} fills are self-trades: {unpaid:,} of them would have earned a rebate, and got none."
        yield f"{late:,} fills came more than a day late: each was priced by the rules in force when it traded."
        yield f"{banned:,} fills were traded during a ban: they pay as always, but will not count towards a tier."

    def _one_fee(self) -> Iterator[tuple[str, list[str]]]:
        """A fee that needs explaining, and what the ledger would have said before."""
        held_ns = self.exchange.day(HELD_UNTIL_DAY)
        told_ns = self.exchange.day(GRANT_TOLD_DAY)
        late = [
            line
            for line in self.lines[HELD_ACCOUNT]
            if line.recorded_time.ToNanoseconds() >= held_ns and line.transact_time.ToNanoseconds() < told_ns
            if line.basis.tier != "NONE"
        ]
        if not late:
            none = f"No fill of {HELD_ACCOUNT} was held back in so small a market: try more --fills."
            yield "One fee, explained", [none]
            return
        line = max(late, key=lambda each: Decimal(each.notional))
        yield "One fee, explained", self._explained(line)
        yield "The same question, asked earlier", self._asked_twice(line, told_ns)

    def _explained(self, line: FeeLine) -> list[str]:
        basis, (base, quote) = line.basis, line.symbol.split("_")
        side = "bought" if line.side == SIDE_BUY else "sold"
        role = "maker" if line.liquidity == LIQUIDITY_MAKER else "taker"
        state = self._state(HELD_ACCOUNT, line.transact_time.ToNanoseconds())
        told = next(receipt for name, receipt in self.played.receipts.items() if name.startswith("ChangeTier.ember."))
        sentences = (
            (
                f"On {_second(line.transact_time)} {HELD_ACCOUNT} {side} {Decimal(line.last_qty):,} {base} at"
                f" {line.last_px} {quote} as the {role}: {Decimal(line.notional):,} {quote} traded."
            ),
            (
                f"The fee is {line.fee_amount} {line.fee_currency}: {_percent(basis.rate)}, the {role}'s rate of"
                f" {basis.tier} in pair class {basis.pair_class} of {basis.programme_id} {basis.programme_version}."
            ),
            (
                f"The tier rests on grant {basis.grant_id} ({basis.grant_source}), valid from"
                f" {_second(state.grant.valid_from)[:10]} on; it was given on"
                f" {_minute(told.recorded_time.ToNanoseconds())} (position {told.position:,})."
            ),
            (
                f"The fill came late, on {_minute(line.recorded_time.ToNanoseconds())}"
                f" (position {line.line_ref.position:,}): the grant was known by then, so it counts."
            ),
            "Fills of that time that came before the grant paid the base rate, and keep it: no fee is rewritten.",
        )
        return [row for each in sentences for row in wrap(each, WIDTH, subsequent_indent="  ")]

    def _asked_twice(self, line: FeeLine, told_ns: int) -> list[str]:
        """The tier, the fee and the fees of the day, as known before the grant and now."""
        time_ns = line.transact_time.ToNanoseconds()
        rows: list[tuple[str, ...]] = [("", f"known on {_minute(told_ns)}", "known at the end")]
        answers = [self._answers(line, time_ns, known_at_ns) for known_at_ns in (told_ns, 0)]
        rows += [(name, *(answer[name] for answer in answers)) for name in answers[0]]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        question = f"What did {HELD_ACCOUNT} pay on {_day_text(time_ns)}, and why?"
        table = [
            "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
        ]
        moral = "Both answers are right, and asked again at their positions, neither will ever change."
        return [question, "", *table, "", moral]

    def _answers(self, line: FeeLine, time_ns: int, known_at_ns: int) -> dict[str, str]:
        day_ns = time_ns // DAY_NS * DAY_NS
        at = ReadAt(known_at_time=instant(known_at_ns)) if known_at_ns else ReadAt()
        request = ListFeeHistoryRequest(
            account_id=HELD_ACCOUNT,
            at=at,
            from_time=instant(day_ns),
            until_time=instant(day_ns + DAY_NS),
            page_size=PAGE,
        )
        found = self._queries.ListFeeHistory(request, timeout=CALL_S_MAX)
        state = self._state(HELD_ACCOUNT, time_ns, known_at_ns)
        fee = next((each for each in found.lines if each.fill_ref == line.fill_ref), None)
        sums = _sums(found.lines)
        return {
            "tier when it traded": f"{state.tier} ({state.grant.grant_id})" if state.HasField("grant") else state.tier,
            "this fee": f"{fee.fee_amount} {fee.fee_currency}" if fee else "not there yet",
            "fills of that day": f"{sums.fills:,}",
            "fees of that day": f"{sums.charges + sums.rebates:,.4f} USDT",
            "read at position": f"{found.basis.known_at_position:,}",
        }


def _sums(lines: Sequence[FeeLine]) -> Sums:
    sums = Sums()
    for line in lines:
        sums.take(line)
    return sums


def _sign(state: Any) -> str:
    """One day of the timeline."""
    if state.banned:
        return "x"
    if not state.HasField("grant"):
        return "."
    return "T" if state.grant.source == "TRIAL" else str(state.tier[-1])


def _ruler(days: int) -> list[str]:
    """Months above, days of the month below."""
    months, numbers = [" "] * (days + 8), [" "] * (days + 8)
    for column in range(days):
        date = _utc(BEGIN_NS + column * DAY_NS)
        if date.day == 1:
            months[column : column + 8] = f"{date:%b %Y}"
        if date.day in (1, 10, 20):
            numbers[column : column + 2] = f"{date.day:<2}"
    return [f"{'':{LABEL}}{''.join(row).rstrip()}" for row in (months, numbers)]


def _columns(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        left = [cell.ljust(width) for cell, width in zip(row[:2], widths, strict=False)]
        right = [cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True)]
        yield "  ".join(left + right)


def _utc(time_ns: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time_ns // 1_000)


def _day_text(time_ns: int) -> str:
    return f"{_utc(time_ns):%Y-%m-%d}"


def _minute(time_ns: int) -> str:
    return f"{_utc(time_ns):%Y-%m-%d %H:%M}"


def _second(time: Any) -> str:
    return f"{_utc(time.ToNanoseconds()):%Y-%m-%d %H:%M:%S}"


def _percent(rate: str) -> str:
    return f"{(Decimal(rate) * 100).normalize():f} %"
