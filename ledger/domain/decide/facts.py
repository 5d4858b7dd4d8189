"""The facts that price the lines of an account, and which of them a line recorded before them counts by.

A line counts by the facts at positions before its own, and by those after it that are released for it. So what it costs
depends on the set of released facts alone, not on the order in which they came.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from ledger.domain.decide.evaluation import changes_from_ns
from ledger.domain.events import (
    AccountBanned,
    AccountFlagged,
    AccountRegistered,
    AccountUnflagged,
    BanLifted,
    Envelope,
    FactDeclined,
    FactReleased,
    FactWithdrawn,
    FactWithheld,
    Recorded,
    TierChanged,
    TierRevoked,
    TrialStarted,
    VolumeEvaluated,
)
from ledger.domain.instants import NEVER_NS
from ledger.domain.state.account import AccountState, fold_account
from ledger.domain.state.shared_facts import SHARED_CAUSES
from ledger.domain.streams import account_stream

GRANT: Final = "LATE_GRANT"
REVOCATION: Final = "REVOCATION"
FLAG: Final = "FLAG"
UNFLAG: Final = "UNFLAG"
BAN: Final = "BAN"
BAN_LIFT: Final = "BAN_LIFT"
OWNER: Final = "OWNER"

# Why a fact is withheld.
BY_SWITCH: Final = "SWITCH"
BY_DEBIT: Final = "DEBIT"
BY_FLAG: Final = "FLAG"
BY_SIZE: Final = "SIZE"

_ACCOUNTS_MAX: Final = 256  # in memory, of one account: one has as many entries as it has grants and bans


class Fact(NamedTuple):
    """A fact that may change what lines are from an instant on, of a programme; without one, of every programme.

    That another fact is withdrawn is a fact, too, of the same cause and from the same instant on.
    """

    position: int
    cause: str
    from_ns: int
    programme_id: str = ""
    withdrawn_position: int = 0  # of the fact that it withdraws; 0: it withdraws none
    is_shared: bool = False  # it is one of many accounts, and no event of this one

    @property
    def is_grant(self) -> bool:
        """Return True if it gives a tier."""
        return self.cause == GRANT and not self.withdrawn_position

    @property
    def ends_flag(self) -> bool:
        """Return True if a flag may run no longer by it."""
        return self.cause == (FLAG if self.withdrawn_position else UNFLAG)


def fact_of(recorded: Recorded, events: Iterable[Recorded]) -> Fact | None:
    """Return the fact that an event of an account is; None: it prices nothing. `events` are those of the account."""
    position, event = recorded.position, recorded.event
    match event:
        case TrialStarted() | TierChanged():
            return Fact(position, GRANT, event.valid_from_ns, event.programme_id)
        case VolumeEvaluated():
            from_ns = changes_from_ns(event)
            return Fact(position, GRANT, from_ns, event.programme_id) if from_ns != NEVER_NS else None
        case TierRevoked():
            return Fact(position, REVOCATION, event.revoked_time_ns, _programme_of(event.grant_id, events))
        case AccountFlagged():
            return Fact(position, FLAG, event.flagged_time_ns)
        case AccountUnflagged():
            return Fact(position, UNFLAG, event.unflagged_time_ns)
        case AccountBanned():
            return Fact(position, BAN, event.start_time_ns)
        case BanLifted():
            return Fact(position, BAN_LIFT, event.lifted_time_ns)
        case AccountRegistered() if event.owner_id != event.account_id:  # until then it was its own
            return Fact(position, OWNER, 0)  # prices ask for the owner, and not since when
        case FactWithdrawn(cause=cause) if cause:
            return Fact(position, cause, event.from_ns, event.programme_id, event.fact_position)
    return None


def _programme_of(grant_id: str, events: Iterable[Recorded]) -> str:
    """Return the programme of a grant."""
    given = (TrialStarted, TierChanged, VolumeEvaluated)
    grants = (recorded.event for recorded in events if isinstance(recorded.event, given))
    return next((event.programme_id for event in grants if event.grant_id == grant_id), "")


def waits_beside_another(withheld: FactWithheld) -> bool:
    """Return True if a fact waits by an event still when a later one withholds it, too; else that one takes its place.

    What the end of a flag does not release is withheld for a reason of its own.
    """
    return withheld.reason != BY_FLAG


class AccountFacts:
    """The events of one account, in order, with what was released and what is withheld after them."""

    def __init__(self, account_id: str, events: Sequence[Recorded]) -> None:
        self.account_id = account_id
        self.events = events
        self.facts: dict[int, Fact] = {}  # by position, ascending
        self.shared: dict[int, Fact] = {}  # by position: those of many accounts that were brought to it
        self.withheld: dict[int, list[FactWithheld]] = {}  # by position of the fact: what waits to be released
        self.declined: set[int] = set()
        self.withdrawn: set[int] = set()
        self._released: dict[int, list[FactReleased]] = {}
        self._of_lines: dict[tuple[int, str, str], AccountState] = {}
        # By how many facts were known, and by the positions of those released since.
        self._accounts: dict[tuple[int, frozenset[int]], AccountState] = {}
        for recorded in events:
            self._take(recorded)
        self._positions = list(self.facts)

    def _take(self, recorded: Recorded) -> None:
        event = recorded.event
        if isinstance(event, FactReleased | FactWithheld) and event.cause in SHARED_CAUSES:
            programme_id = event.programme_ids[0] if event.programme_ids else ""
            fact = Fact(event.fact_position, event.cause, event.from_ns, programme_id, is_shared=True)
            self.shared.setdefault(event.fact_position, fact)
        if isinstance(event, FactReleased):
            self._released.setdefault(event.fact_position, []).append(event)
            self.withheld.pop(event.fact_position, None)
        elif isinstance(event, FactWithheld):
            waiting = (one for one in self.withheld.get(event.fact_position, ()) if waits_beside_another(one))
            self.withheld[event.fact_position] = [*waiting, event]
        elif isinstance(event, FactDeclined):
            self.withheld.pop(event.fact_position, None)
            self.declined.add(event.fact_position)
        elif (own := fact_of(recorded, self.events)) is not None:
            self.facts[own.position] = own
        if isinstance(event, FactWithdrawn):
            self.withheld.pop(event.fact_position, None)
            self.withdrawn.add(event.fact_position)

    def with_release(self, released: FactReleased) -> AccountFacts:
        """Return the facts as they would be after one more release."""
        last = self.events[-1].position if self.events else released.fact_position
        release = Recorded(last + 1, account_stream(self.account_id), 0, Envelope(0, 0, 0), released)
        return AccountFacts(self.account_id, [*self.events, release])

    def fact(self, position: int) -> Fact | None:
        """Return the fact at a position, one of the account or one of many that was brought to it."""
        return self.facts.get(position) or self.shared.get(position)

    def is_released(self, position: int) -> bool:
        """Return True if a fact is released for any line."""
        return position in self._released

    def known_up_to(self, position: int) -> int:
        """Return how many facts lie at positions up to one: lines count by the same where that is the same."""
        return bisect_right(self._positions, position)

    def account_for(self, known_at: int, programme_id: str, currency: str) -> AccountState:
        """Return the account by which a line counts, recorded at a position, of a programme and in a currency."""
        of_line = (known_at, programme_id, currency)
        if of_line not in self._of_lines:
            self._of_lines[of_line] = self._account(known_at, programme_id, currency)
        return self._of_lines[of_line]

    def shared_since(self, known_at: int, programme_id: str, currency: str) -> tuple[int, ...]:
        """Return the positions of the shared facts, ascending, that are released for a line recorded at a position."""
        return tuple(
            position
            for position in sorted(self.shared)
            if position > known_at and self._counts(position, programme_id, currency)
        )

    def _account(self, known_at: int, programme_id: str, currency: str) -> AccountState:
        since = frozenset(
            position
            for position in self._released
            if position > known_at and position not in self.shared and self._counts(position, programme_id, currency)
        )
        key = (self.known_up_to(known_at), since)
        account = self._accounts.get(key)
        if account is None:
            if len(self._accounts) >= _ACCOUNTS_MAX:
                self._accounts.clear()
                self._of_lines.clear()
            counted = (
                recorded
                for recorded in self.events
                if recorded.position <= known_at or recorded.position in since or recorded.position not in self.facts
            )
            account = self._accounts[key] = fold_account(self.account_id, counted)
        return account

    def _counts(self, position: int, programme_id: str, currency: str) -> bool:
        return any(
            (not released.programme_ids or programme_id in released.programme_ids)
            and (not released.currencies or currency in released.currencies)
            for released in self._released.get(position, ())
        )
