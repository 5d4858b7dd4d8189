"""The withdrawal of a fact: from then on the account is what its other events make it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from ledger.domain import grant_sources
from ledger.domain.commands import WithdrawFact
from ledger.domain.decide.decided import Decided
from ledger.domain.decide.facts import AccountFacts
from ledger.domain.decide.release import already_withdrawn
from ledger.domain.events import (
    AccountBanned,
    AccountRegistered,
    ApplicationSettled,
    ApplicationSubmitted,
    BehaviourMetricRecorded,
    CommandRefused,
    Event,
    FactDeclined,
    FactReleased,
    FactWithdrawn,
    FactWithheld,
    MatchRejected,
    MatchRequested,
    OwnerNamed,
    Recorded,
    TierChanged,
    VolumeEvaluated,
)
from ledger.domain.refusal import Reason, Refusal
from ledger.domain.streams import account_stream

# Events of an account that nobody withdraws, with what to do instead.
_STAYS: Final[Mapping[type[Event], str]] = {
    VolumeEvaluated: "an evaluation is not withdrawn: revoke the grant that it gave, or give another tier by hand",
    AccountRegistered: "a registration is not withdrawn: fills and owners rest on it",
    OwnerNamed: "an owner whom fills name is not withdrawn: the fills say it",
    FactReleased: "a release is not withdrawn: withdraw the fact that it releases",
    FactWithheld: "this says that a fact is withheld: release, decline or withdraw that fact",
    FactDeclined: "what two persons declined stays declined: withdraw the fact, and send it again",
    FactWithdrawn: "a withdrawal is not withdrawn: send the command of the fact again",
}


def decide_withdrawal(facts: AccountFacts, command: WithdrawFact, now_ns: int) -> Decided | Refusal:
    """Decide to withdraw a fact. That which ended it, such as a revocation, has nothing more to end and may stay.

    What names it for what it is must go first: the settlement of a match or an application, a ban that a metric is the
    evidence of.
    """
    position = command.fact_position
    recorded = next((each for each in facts.events if each.position == position), None)
    if recorded is None or isinstance(recorded.event, CommandRefused):
        detail = f"no fact of {command.account_id} lies at position {position}"
        return Refusal(Reason.FACT_UNKNOWN, "fact_position", detail)
    if position in facts.withdrawn:
        return already_withdrawn(position)
    if stays := _STAYS.get(type(recorded.event)):
        return Refusal(Reason.FACT_NOT_WITHDRAWABLE, "fact_position", stays)
    standing = (each for each in facts.events if each.position not in facts.withdrawn)
    if (needs := next(_resting_on(recorded, standing), None)) is not None:
        detail = f"the {type(needs.event).__name__} at position {needs.position} rests on it: withdraw that first"
        return Refusal(Reason.FACT_IN_USE, "fact_position", detail)
    fact = facts.facts.get(position)
    of_lines = (fact.cause, fact.from_ns, fact.programme_id) if fact else ("", 0, "")
    return Decided(now_ns, ((account_stream(command.account_id), FactWithdrawn(position, *of_lines)),))


def _resting_on(fact: Recorded, standing: Iterable[Recorded]) -> Iterator[Recorded]:
    """Yield those of the events that were not withdrawn which name a fact for what it is."""
    name = _name_of(fact)
    return (recorded for recorded in standing if name in _named_by(recorded.event))


def _name_of(recorded: Recorded) -> str | int | None:
    """Return the name under which other events rest on one; None: none does."""
    match recorded.event:
        case MatchRequested(match_id=name) | ApplicationSubmitted(application_id=name):
            return name
        case BehaviourMetricRecorded():
            return recorded.position
    return None


def _named_by(event: Event) -> tuple[str | int, ...]:
    """Return the names of what an event rests on."""
    match event:
        case MatchRejected(match_id=name, claim=None) | TierChanged(source=grant_sources.MATCH, evidence=name):
            return (name,)
        case ApplicationSettled(application_id=name):
            return (name,)
        case AccountBanned(evidence_positions=positions):
            return positions
    return ()
