"""Ask the ledger at the end of the demo, and print the answers. Nothing here knows what was sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from ledger.client import Client
from ledger.domain.grant_sources import EVALUATION, MANUAL, MATCH, TRIAL
from ledger.domain.instants import DAY_NS
from scripts.demo.evaluated import Evaluations
from scripts.demo.exchange import ACCOUNTS, BEGIN_NS, GRANT_TOLD_DAY, HELD_ACCOUNT, Exchange
from scripts.demo.fees import Fees
from scripts.demo.play import Played
from scripts.demo.text import LABEL, day_text, minute, utc

SOURCES: Final = {TRIAL: "t", EVALUATION: "e", MATCH: "m", MANUAL: "h"}
LEGEND: Final = (
    "1-5 VIP1 to VIP5, and below why: t trial, e evaluated volume, m match, h by hand",
    ". no tier   x banned (the tier stays)   f flagged: no grant counts",
)


@dataclass
class Report:
    """The questions, and the printed answers."""

    exchange: Exchange
    played: Played
    ledger: Client

    def text(self) -> str:
        """All of it. Raises UnexpectedError where the ledger's sums are not those of the demo."""
        days, fills = self.exchange.days, self.played.recorded
        span = f"{day_text(BEGIN_NS)} to {day_text(self.exchange.end_ns - DAY_NS)}"
        title = f"A small exchange: {days} days, {span}, {len(ACCOUNTS)} accounts, {fills:,} fills"
        fees = Fees(self.exchange, self.played, self.ledger)
        evaluations = Evaluations(fees, self.played.evaluations)
        parts = (
            (title, [f"Everything below was asked of the ledger over gRPC. Seed {self.exchange.seed}."]),
            ("What happened", self._story()),
            ("Who was what, day by day (at noon)", self._timeline()),
            ("Evaluations that moved an account", evaluations.table()),
            ("Fees adjusted: charged between an evaluation's instant and its run", list(evaluations.adjustments())),
            ("Fees in USDT: positive is charged, negative is paid back", fees.table()),
            *fees.explained(),
            ("What the controls find at the end", list(self._controls())),
        )
        return "\n\n".join(f"{head}\n{'-' * len(head)}\n" + "\n".join(body) for head, body in parts)

    def _story(self) -> list[str]:
        return [f"{minute(time_ns)}  {account:<{LABEL}}{told}" for time_ns, account, told in self.played.story]

    def _timeline(self) -> list[str]:
        rows = {account.account_id: self._rows(account.account_id) for account in ACCOUNTS}
        told_ns = self.exchange.day(GRANT_TOLD_DAY)
        rows[HELD_ACCOUNT] += self._rows(HELD_ACCOUNT, known_at_ns=told_ns)[:1]
        note = (
            f"{' *':<{LABEL}}{HELD_ACCOUNT} as the ledger knew it on {day_text(told_ns)}, before a grant was backdated"
        )
        legend = [f"{'':{LABEL}}{line}" for line in LEGEND]
        return [*_ruler(self.exchange.days), *(row for each in rows.values() for row in each), "", *legend, note]

    def _rows(self, account_id: str, known_at_ns: int = 0) -> list[str]:
        """The tier of each day, and below where it comes from."""
        noons = (BEGIN_NS + day * DAY_NS + DAY_NS // 2 for day in range(self.exchange.days))
        known = known_at_ns or None
        states = [self.ledger.get_vip_state(account_id, as_of=at_ns, known_at_time=known) for at_ns in noons]
        label = " *" if known_at_ns else account_id
        tiers, sources = "".join(map(_sign, states)), "".join(map(_source, states))
        return [f"{label:<{LABEL}}{tiers}", *([f"{'':{LABEL}}{sources}".rstrip()] if sources.strip() else [])]

    def _controls(self) -> Iterator[str]:
        found = list(self.ledger.list_findings(as_of=self.exchange.end_ns))
        counts = Counter(finding.control for finding in found)
        width = max(len(control.name) for control in self.ledger.list_controls())
        for control in self.ledger.list_controls():
            first = next((finding.message for finding in found if finding.control == control.name), "")
            more = f"{first}{' ...' if counts[control.name] > 1 else ''}"
            yield f"{control.name:<{width}}  {counts[control.name]:>5,}  {more}".rstrip()


def _sign(state: Any) -> str:
    """One day of the timeline."""
    if state.flagged:
        return "f"
    if state.banned:
        return "x"
    return str(state.tier[-1]) if state.HasField("grant") else "."


def _source(state: Any) -> str:
    """Why the tier is what it is."""
    return SOURCES[state.grant.source] if state.HasField("grant") else " "


def _ruler(days: int) -> list[str]:
    """Months above, days of the month below."""
    months, numbers = [" "] * (days + 8), [" "] * (days + 8)
    for column in range(days):
        date = utc(BEGIN_NS + column * DAY_NS)
        if date.day == 1:
            months[column : column + 8] = f"{date:%b %Y}"
        if date.day in (1, 10, 20):
            numbers[column : column + 2] = f"{date.day:<2}"
    return [f"{'':{LABEL}}{''.join(row).rstrip()}" for row in (months, numbers)]
