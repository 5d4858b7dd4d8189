"""The fees of the demo: the histories of all accounts, their table, and one fee that needs explaining."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from textwrap import wrap
from typing import Final

from ledger.client import Client
from ledger.domain.instants import DAY_NS
from ledger.v1.fill_pb2 import LIQUIDITY_MAKER, SIDE_BUY
from ledger.v1.query_service_pb2 import FeeLine
from scripts.demo.exchange import ACCOUNTS, GRANT_TOLD_DAY, HELD_ACCOUNT, HELD_UNTIL_DAY, Exchange
from scripts.demo.play import Played, UnexpectedError
from scripts.demo.text import WIDTH, columns, day_text, minute, percent, second

PAGE: Final = 5_000
ZERO: Final = Decimal(0)
MAIN: Final = "USDT"  # currency of the table


@dataclass(slots=True)
class FeeTableSums:
    """The sums of one row of the fee table, in one currency."""

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

    def add(self, other: FeeTableSums) -> None:
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
            f"{self.volume:,.4f}",
            f"{self.charges:,.4f}",
            f"{self.rebates:,.4f}",
            f"{net:,.4f}",
            f"{bps:.2f}",
        )


@dataclass
class Fees:
    """Every fee, as it is now, and the adjustments that made it so. Raises UnexpectedError if they do not add up."""

    exchange: Exchange
    played: Played
    ledger: Client
    lines: dict[str, list[FeeLine]] = field(default_factory=dict)
    adjustments: dict[str, list[FeeLine]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for account in ACCOUNTS:
            self._take(account.account_id)
        found = sum(map(len, self.lines.values()))
        if found != self.played.recorded:
            raise UnexpectedError(f"{self.played.recorded} fills were recorded, but {found} are in the fee histories")

    def _take(self, account_id: str) -> None:
        """The history of an account: its fills at their last fee, whose sums must be the totals stated."""
        pages = list(self.ledger.fee_history_pages(account_id, page_size=PAGE))
        entries = [line for page in pages for line in page.lines]
        fills = {line.fill_ref.exec_id: line for line in entries if line.kind == "FILL"}
        self.adjustments[account_id] = [line for line in entries if line.kind == "ADJUSTMENT"]
        for line in self.adjustments[account_id]:
            fill = fills[line.fill_ref.exec_id]
            fill.fee_amount = line.adjustment.fee_after
            fill.basis.CopyFrom(line.basis)
        self.lines[account_id] = list(fills.values())
        stated = {total.currency: Decimal(total.charges) + Decimal(total.rebates) for total in pages[-1].totals}
        own = {currency: _sums(fills.values(), currency) for currency in stated}
        if stated != {currency: sums.charges + sums.rebates for currency, sums in own.items()}:
            raise UnexpectedError(f"the totals of {account_id} are not the sums of its lines: {stated} {own}")

    def table(self) -> list[str]:
        """By account and tier, and what is worth a remark."""
        rows: list[tuple[str, ...]] = [("account", "tier", "fills", "volume", "charges", "rebates", "net", "bps")]
        everything = FeeTableSums()
        for account_id, lines in self.lines.items():
            tiers = sorted({line.basis.tier for line in lines if line.fee_currency == MAIN})
            for place, tier in enumerate(tiers):
                sums = _sums([line for line in lines if line.basis.tier == tier])
                rows.append((account_id if place == 0 else "", tier, *sums.cells()))
            own = _sums(lines)
            if len(tiers) > 1:
                rows.append(("", "all", *own.cells()))
            everything.add(own)
        rows.append(("total", "", *everything.cells()))
        return [*columns(rows), "", *self._remarks()]

    def _remarks(self) -> Iterator[str]:
        lines = [line for each in self.lines.values() for line in each]
        own = [line for line in lines if line.self_trade]
        unpaid = sum(line.basis.rate_source == "REBATE_SUPPRESSED" for line in own)
        late = sum(line.recorded_time.ToNanoseconds() - line.transact_time.ToNanoseconds() > DAY_NS for line in lines)
        banned = sum(line.banned for line in lines)
        other = _sums(lines, "BTC")
        yield (
            f"{other.fills:,} more fills are of ETH_BTC, in BTC: {other.volume:,.2f} traded, {other.charges} charged,"
            f" {other.rebates} paid back."
        )
        yield f"{len(own):,} fills are self-trades: {unpaid:,} of them would have earned a rebate, and got none."
        yield f"{late:,} fills came more than a day late: each was priced by the rules in force when it traded."
        yield f"{banned:,} fills were traded during a ban: they pay as always, but will not count towards a tier."

    def explained(self) -> Iterator[tuple[str, list[str]]]:
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
        yield "One fee, explained", self._sentences(line)
        yield "The same question, asked earlier", self._asked_twice(line, told_ns)

    def _sentences(self, line: FeeLine) -> list[str]:
        basis, (base, quote) = line.basis, line.symbol.split("_")
        side = "bought" if line.side == SIDE_BUY else "sold"
        role = "maker" if line.liquidity == LIQUIDITY_MAKER else "taker"
        state = self.ledger.get_vip_state(HELD_ACCOUNT, as_of=line.transact_time.ToNanoseconds())
        told = self.played.answers[HELD_ACCOUNT].receipt
        sentences = (
            (
                f"On {second(line.transact_time)} {HELD_ACCOUNT} {side} {Decimal(line.last_qty):,} {base} at"
                f" {line.last_px} {quote} as the {role}: {Decimal(line.notional):,} {quote} traded."
            ),
            (
                f"The fee is {line.fee_amount} {line.fee_currency}: {percent(basis.rate)}, the {role}'s rate of"
                f" {basis.tier} in pair class {basis.pair_class} of {basis.programme_id} {basis.programme_version}."
            ),
            (
                f"The tier rests on grant {basis.grant_id} ({basis.grant_source}), valid from"
                f" {second(state.grant.valid_from)[:10]} on; it was given on"
                f" {minute(told.recorded_time.ToNanoseconds())} (position {told.position})."
            ),
            (
                f"The fill came late, on {minute(line.recorded_time.ToNanoseconds())}"
                f" (position {line.line_ref.position}): the grant was known by then, so it counts."
            ),
            "Fills of that time that came before the grant keep the base rate: a grant by hand adjusts no fee.",
        )
        return [row for each in sentences for row in wrap(each, WIDTH, subsequent_indent="  ")]

    def _asked_twice(self, line: FeeLine, told_ns: int) -> list[str]:
        """The tier, the fee and the fees of the day, as known before the grant and now."""
        time_ns = line.transact_time.ToNanoseconds()
        rows: list[tuple[str, ...]] = [("", f"known on {minute(told_ns)}", "known at the end")]
        answers = [self._answers(line, time_ns, known_at_ns) for known_at_ns in (told_ns, 0)]
        rows += [(name, *(answer[name] for answer in answers)) for name in answers[0]]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        question = f"What did {HELD_ACCOUNT} pay on {day_text(time_ns)}, and why?"
        table = [
            "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
        ]
        moral = "Both answers are right, and asked again at their positions, neither will ever change."
        return [question, "", *table, "", moral]

    def _answers(self, line: FeeLine, time_ns: int, known_at_ns: int) -> dict[str, str]:
        day_ns = time_ns // DAY_NS * DAY_NS
        pages = self.ledger.fee_history_pages(
            HELD_ACCOUNT,
            from_time=day_ns,
            until_time=day_ns + DAY_NS,
            page_size=PAGE,
            known_at_time=known_at_ns or None,
        )
        (found,) = pages
        state = self.ledger.get_vip_state(HELD_ACCOUNT, as_of=time_ns, known_at_time=known_at_ns or None)
        fee = next((each for each in found.lines if each.fill_ref == line.fill_ref), None)
        sums = _sums(found.lines)
        return {
            "tier when it traded": f"{state.tier} ({state.grant.grant_id})" if state.HasField("grant") else state.tier,
            "this fee": f"{fee.fee_amount} {fee.fee_currency}" if fee else "not there yet",
            "fills of that day": f"{sums.fills:,}",
            "fees of that day": f"{sums.charges + sums.rebates:,.4f} USDT",
            "read at position": f"{found.basis.known_at_position}",
        }


def _sums(lines: Iterable[FeeLine], currency: str = MAIN) -> FeeTableSums:
    sums = FeeTableSums()
    for line in lines:
        if line.fee_currency == currency:
            sums.take(line)
    return sums
