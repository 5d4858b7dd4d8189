"""The facts an explanation is made of: a line, and what the log knew when its fee was worked out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from ledger.domain.decide.facts import AccountFacts
from ledger.domain.events import (
    POSITION_MAX,
    FactReleased,
    FactWithdrawn,
    FactWithheld,
    KnownLine,
    PairClassAssigned,
    PairRatesSet,
    Recorded,
    TierChanged,
    TrialStarted,
    VolumeEvaluated,
)
from ledger.domain.pricing.plan import Standing, rate_time_ns, standing_at
from ledger.domain.rules.ban import running_ban
from ledger.domain.rules.fake_accounts import flagged_at
from ledger.domain.rules.fee_amount import charged_on_base
from ledger.domain.state.account import AccountState, Ban, Flag
from ledger.domain.state.programme import Programme
from ledger.domain.state.shared_facts import SharedFacts, evolve_shared_facts

GrantEvent = TrialStarted | TierChanged | VolumeEvaluated


@dataclass(frozen=True)
class Facts:
    """A line with its fee as it is, worked out at a position: that of the line, or of its last adjustment.

    It counts by the facts known at `known_at`, and by those released for it since, as a line of a `currency`: these are
    what `ledger.fills.adjust.PlacedLine` says of it. `decisions` are those on the account, oldest first, at least up to
    where the fee was worked out; `programme` is the version that the basis names, `of_programme` are the events of its
    stream, likewise.
    """

    account_id: str
    venue: str
    known: KnownLine
    known_at: int
    priced_at: int
    programme: Programme
    decisions: Sequence[Recorded]
    currency: str
    of_programme: Sequence[Recorded] = ()

    @property
    def rate_ns(self) -> int:
        """The instant whose rates the fill pays (A25)."""
        line = self.known.line
        return rate_time_ns(self.programme, transact_ns=line.transact_time_ns, order_ns=line.order_time_ns)

    @property
    def is_in_token(self) -> bool:
        """Return True if the fee is in the token; an adjustment leaves it there, although the discount may be gone."""
        line, terms, basis = self.known
        if not line.token_price or basis.fee_currency != line.token:
            return False
        return basis.discount_ppm > 0 or line.token not in (terms.quote_currency, terms.symbol.partition("_")[0])

    @property
    def on_base(self) -> bool:
        """Return True if the fee is taken from the quantity. The price of a token is in quote currency."""
        return not self.is_in_token and charged_on_base(self.programme, self.known.line.side)

    @property
    def flag(self) -> Flag | None:
        """The flag that ran at the instant whose rates count; None: no flag, or none that it counts by."""
        return flagged_at(self._account.flags, self.rate_ns)

    @property
    def ban(self) -> Ban | None:
        """The ban that ran when it traded; None: no ban, or none that it counts by."""
        return running_ban(self._account.bans, self.known.line.transact_time_ns)

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

    def withheld(self) -> Iterator[FactWithheld]:
        """Yield why it does not count by facts, of all that is decided: by each that would change the standing."""
        now = self._facts(POSITION_MAX)
        for position, waiting in now.withheld.items():
            mine = [one for one in waiting if self._concerns(one)]
            if position > self.known_at and mine:
                then = now.with_release(FactReleased(position, mine[0].cause, mine[0].switch))
                if self._standings(now) != self._standings(then):
                    yield mine[0]
        yield from self._shared_withheld(now)

    def _shared_withheld(self, now: AccountFacts) -> Iterator[FactWithheld]:
        """Yield why it does not count by shared facts of its pair, of which each would change its rate."""
        shared: SharedFacts = {}
        for recorded in self.of_programme:
            shared = evolve_shared_facts(shared, recorded)
        for position, fact in shared.items():
            waiting = [fact.withheld] if fact.withheld is not None else now.withheld.get(position, [])
            mine = [one for one in waiting if self._concerns(one)]
            if position > self.known_at and mine and self._would_change(fact.event):
                yield mine[0]

    def _would_change(self, event: PairClassAssigned | PairRatesSet) -> bool:
        terms, basis = self.known.terms, self.known.basis
        if event.symbol != terms.symbol or event.valid_from_ns > self.rate_ns:
            return False
        return isinstance(event, PairRatesSet) or event.pair_class != basis.pair_class

    def _concerns(self, withheld: FactWithheld) -> bool:
        programme_ids, currencies = withheld.programme_ids, withheld.currencies
        return (not programme_ids or self.known.basis.programme_id in programme_ids) and (
            not currencies or self.currency in currencies
        )

    def _standings(self, facts: AccountFacts) -> tuple[Standing, Standing]:
        """Return what the account stands for by some facts: when it traded, and at the instant whose rates count."""
        account, traded_ns = self._account_by(facts), self.known.line.transact_time_ns
        when_traded, when_rated = (standing_at(account, self.programme, at) for at in (traded_ns, self.rate_ns))
        return when_traded, when_rated

    @cached_property
    def _account(self) -> AccountState:
        """The account by which the fee was worked out."""
        return self._account_by(self._facts(self.priced_at))

    def _account_by(self, facts: AccountFacts) -> AccountState:
        return facts.account_for(self.known_at, self.known.basis.programme_id, self.currency)

    def _facts(self, position: int) -> AccountFacts:
        return AccountFacts(self.account_id, self._decisions_until(position))

    def _decisions_until(self, position: int) -> list[Recorded]:
        return [recorded for recorded in self.decisions if recorded.position <= position]
