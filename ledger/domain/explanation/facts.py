"""The facts an explanation is made of: a line, and what the log knew when its fee was worked out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from ledger.domain.events import FactWithdrawn, KnownLine, Recorded, TierChanged, TrialStarted, VolumeEvaluated
from ledger.domain.pricing.plan import Standing, rate_time_ns, standing_at
from ledger.domain.rules.ban import running_ban
from ledger.domain.rules.fake_accounts import flagged_at
from ledger.domain.state.account import AccountState, Ban, Flag, fold_account
from ledger.domain.state.programme import Programme

GrantEvent = TrialStarted | TierChanged | VolumeEvaluated


@dataclass(frozen=True)
class Facts:
    """A line with its fee as it is, recorded at one position; the fee was worked out there, or at a later one.

    `decisions` are those on the account, oldest first, at least up to that later position; `programme` is the version
    that the basis names.
    """

    account_id: str
    venue: str
    known: KnownLine
    recorded_at: int
    priced_at: int
    programme: Programme
    decisions: Sequence[Recorded]

    @property
    def rate_ns(self) -> int:
        """The instant whose rates the fill pays (A25)."""
        line = self.known.line
        return rate_time_ns(self.programme, transact_ns=line.transact_time_ns, order_ns=line.order_time_ns)

    @property
    def standing(self) -> Standing:
        """The standing of the account by which the fee was worked out."""
        return standing_at(self._account(self.priced_at), self.programme, self.rate_ns)

    @property
    def flag(self) -> Flag | None:
        """The flag that ran at the instant whose rates count; None: no flag."""
        return flagged_at(self._account(self.priced_at).flags, self.rate_ns)

    @property
    def ban(self) -> Ban | None:
        """The ban that ran when it traded, as it was known when the fill was recorded."""
        return running_ban(self._account(self.recorded_at).bans, self.known.line.transact_time_ns)

    @cached_property
    def grant(self) -> Recorded | None:
        """The event that gave the tier; None: the fee rests on no grant, or the log has no such event."""
        for recorded in self._decisions_until(self.priced_at):
            event = recorded.event
            if isinstance(event, GrantEvent) and event.grant_id and event.grant_id == self.known.basis.grant_id:
                return recorded
        return None

    @property
    def withdrawn(self) -> dict[int, int]:
        """The positions of facts that were withdrawn, by that of the withdrawal."""
        return {
            recorded.position: recorded.event.fact_position
            for recorded in self.decisions
            if isinstance(recorded.event, FactWithdrawn)
        }

    def _account(self, position: int) -> AccountState:
        return fold_account(self.account_id, self._decisions_until(position))

    def _decisions_until(self, position: int) -> list[Recorded]:
        return [recorded for recorded in self.decisions if recorded.position <= position]
