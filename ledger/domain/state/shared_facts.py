"""Shared facts: those that price lines of many accounts, with what was decided of them for lines recorded before."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from ledger.domain.events import (
    FactDeclined,
    FactReleased,
    FactWithheld,
    PairClassAssigned,
    PairRatesSet,
    Recorded,
    ReleaseAdvanced,
)

PAIR_CLASS: Final = "PAIR_CLASS"
PAIR_RATES: Final = "PAIR_RATES"
SHARED_CAUSES: Final = (PAIR_CLASS, PAIR_RATES)

SharedFacts = Mapping[int, "SharedFact"]  # by position


@dataclass(frozen=True, slots=True)
class SharedFact:
    """A fact of a programme: `released` is the event that lets lines of all accounts count by it."""

    recorded: Recorded
    withheld: FactWithheld | None = None
    released: Recorded | None = None
    declined: bool = False

    @property
    def event(self) -> PairClassAssigned | PairRatesSet:
        """The class or the rates."""
        assert isinstance(self.recorded.event, PairClassAssigned | PairRatesSet), self.recorded
        return self.recorded.event

    @property
    def cause(self) -> str:
        """The word for it."""
        return PAIR_CLASS if isinstance(self.event, PairClassAssigned) else PAIR_RATES


def evolve_shared_facts(facts: SharedFacts, recorded: Recorded) -> SharedFacts:
    """Return the shared facts after one more event of a programme."""
    event = recorded.event
    if isinstance(event, PairClassAssigned | PairRatesSet):
        return {**facts, recorded.position: SharedFact(recorded)}
    if not isinstance(event, FactReleased | FactWithheld | FactDeclined) or event.fact_position not in facts:
        return facts
    known = facts[event.fact_position]
    match event:
        case FactReleased():
            known = replace(known, withheld=None, released=recorded)
        case FactWithheld():
            known = replace(known, withheld=event)
        case FactDeclined():
            known = replace(known, withheld=None, declined=True)
    return {**facts, event.fact_position: known}


@dataclass(frozen=True, slots=True)
class Releasing:
    """How far the released facts of a programme have come among the accounts, by the position of their release."""

    advanced: Mapping[int, ReleaseAdvanced] = field(default_factory=dict)
    version: int = 0


NOT_RELEASING: Final = Releasing()


def evolve_releasing(state: Releasing, recorded: Recorded) -> Releasing:
    """Return it after one more event of its stream."""
    event = recorded.event
    assert isinstance(event, ReleaseAdvanced), recorded
    return Releasing({**state.advanced, event.release_position: event}, recorded.version)


class Underway(NamedTuple):
    """A shared fact that is being brought to accounts: those after `after_account_id` are left."""

    fact: SharedFact
    release: Recorded
    after_account_id: str


def releases_underway(facts: SharedFacts, releasing: Callable[[str], Releasing]) -> list[Underway]:
    """Return the releases that have not come to all accounts, in the order in which they are brought to them.

    `releasing` gives the state of a programme.
    """
    found = []
    for fact in facts.values():
        if fact.released is not None:
            advanced = releasing(fact.event.programme_id).advanced.get(fact.released.position)
            if advanced is None or advanced.until_account_id:
                found.append(Underway(fact, fact.released, advanced.until_account_id if advanced else ""))
    return sorted(found, key=lambda each: each.release.position)
