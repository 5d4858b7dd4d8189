"""Check what the demo's evaluations gave against its own reckoning, and show the fees they adjusted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from ledger.domain.events import POST_TRIAL
from ledger.domain.instants import DAY_NS
from ledger.v1.fill_pb2 import CHANNEL_API
from scripts.demo.fees import Fees
from scripts.demo.play import RanEvaluation, UnexpectedError
from scripts.demo.text import columns, day_text

HEAD: Final = ("account", "window", "move", "before", "after", "excluded", "counted USDT")
UNCHANGED: Final = ("STAYED", "NONE")


@dataclass(frozen=True)
class Evaluations:
    """All that were run."""

    fees: Fees
    evaluations: list[RanEvaluation]

    def table(self) -> list[str]:
        """Accounts that moved, or could not. Raises UnexpectedError if any volume is not what the demo sent."""
        rows: list[tuple[str, ...]] = [HEAD]
        checked, shown = 0, dict[str, tuple[str, str]]()
        for evaluated in self.evaluations:
            for one in evaluated.accounts:
                checked += self._check(one, evaluated.read_position)
                tiers = (one.tier_before, one.tier_after)
                moved = one.movement not in UNCHANGED and tiers != shown.get(one.account_id)
                if moved or evaluated.again or evaluated.kind == POST_TRIAL:
                    rows.append(_row(one))
                    shown[one.account_id] = tiers
        notes = (
            "before: the tier in effect; after: what the volume gives for 30 days. What runs, runs to its end.",
            "Not shown: who stayed, or moved alike before.",
            f"{checked} volumes were evaluated, and each is what the demo reckons itself.",
        )
        return [*columns(rows, left=6), "", *notes]

    def adjustments(self) -> Iterator[str]:
        """Yield the fees that were adjusted: charged between an evaluation's instant and its run (A31)."""
        rows: list[tuple[str, ...]] = [("account", "fills", "of days", "fees before", "fees after", "difference")]
        for account_id, entries in self.fees.adjustments.items():
            lines = [line for line in entries if line.fee_currency == "USDT"]
            if not lines:
                continue
            before = sum(Decimal(line.adjustment.fee_before) for line in lines)
            after = sum(Decimal(line.adjustment.fee_after) for line in lines)
            if after - before != sum(Decimal(line.fee_amount) for line in lines):
                raise UnexpectedError(f"the adjustments of {account_id} are not the differences of its fees")
            days = len({line.transact_time.seconds // 86_400 for line in lines})
            rows.append(
                (account_id, f"{len(lines):,}", str(days), *(f"{x:,.4f}" for x in (before, after, after - before)))
            )
        yield from columns(rows, left=1) if len(rows) > 1 else ["none"]

    def _check(self, one: Any, read_position: int) -> bool:
        """Add up the volume that counts, and compare: API, no self-trade, no ban, BTC at the day's close."""
        if not one.volume:
            return False
        closes = self.fees.exchange.closes()
        from_ns, until_ns = one.window_from.ToNanoseconds(), one.window_until.ToNanoseconds()
        volume = Decimal(0)
        for line in self.fees.lines[one.account_id]:
            time_ns = line.transact_time.ToNanoseconds()
            known = line.line_ref.position <= read_position and from_ns <= time_ns < until_ns
            if known and line.channel == CHANNEL_API and not line.self_trade and not line.banned:
                price = closes[time_ns // DAY_NS] if line.quote_currency == "BTC" else 1
                volume += Decimal(line.notional) * price
        if volume != Decimal(one.volume):
            raise UnexpectedError(f"the volume of {one.account_id} is {one.volume}, but {volume} was sent")
        return True


def _row(one: Any) -> tuple[str, ...]:
    window = f"{day_text(one.window_from.ToNanoseconds())} to {day_text(one.window_until.ToNanoseconds())}"
    counted = f"{Decimal(one.volume):,.0f}" if one.volume else "no close of " + one.missing_closes[0].day
    sums: dict[str, Decimal] = {}
    for volume in one.volumes:
        if volume.reason and volume.quote_currency == "USDT":
            sums[volume.reason] = sums.get(volume.reason, Decimal(0)) + Decimal(volume.notional)
    excluded = ", ".join(f"{name.lower().replace('_', ' ')} {amount:,.0f}" for name, amount in sorted(sums.items()))
    return (one.account_id, window, one.movement, one.tier_before, one.tier_after or "?", excluded or "-", counted)
