"""Shared facts: what was decided of each, and how far those that are released have come among the accounts."""

from __future__ import annotations

from functools import reduce

from ledger.domain.events import (
    Envelope,
    Event,
    FactDeclined,
    FactReleased,
    FactWithheld,
    PairClassAssigned,
    PairRatesSet,
    Recorded,
    ReleaseAdvanced,
)
from ledger.domain.state.shared_facts import (
    NOT_RELEASING,
    Releasing,
    SharedFacts,
    evolve_releasing,
    evolve_shared_facts,
    releases_underway,
)

CLASS = PairClassAssigned("p", "S", "A", 5)
RATES = PairRatesSet("q", "T", 0, 700, 6)


def facts(*events: Event) -> SharedFacts:
    """The shared facts after some events, at positions 1, 2, 3."""
    recorded = (
        Recorded(place, "programme/p", place, Envelope(1, 1, 1), event) for place, event in enumerate(events, 1)
    )
    return reduce(evolve_shared_facts, recorded, {})


def release(position: int, cause: str = "PAIR_CLASS") -> FactReleased:
    return FactReleased(position, cause, "propose", ("p",))


def test_a_class_and_rates_are_facts_and_other_events_are_none() -> None:
    found = facts(CLASS, RATES, FactDeclined(7))
    assert {position: (fact.cause, fact.event) for position, fact in found.items()} == {
        1: ("PAIR_CLASS", CLASS),
        2: ("PAIR_RATES", RATES),
    }


def test_what_is_withheld_waits_until_it_is_released_or_declined() -> None:
    held = FactWithheld(1, "PAIR_CLASS", "propose", "SWITCH", ("p",))
    assert facts(CLASS, held)[1].withheld == held
    done = facts(CLASS, held, release(1))[1]
    assert (done.withheld, done.released and done.released.position) == (None, 3)
    declined = facts(CLASS, held, FactDeclined(1))[1]
    assert (declined.withheld, declined.released, declined.declined) == (None, None, True)


def test_releases_are_brought_to_accounts_in_their_order_and_leave_when_all_have_them() -> None:
    known = facts(CLASS, RATES, release(2, "PAIR_RATES"), release(1))
    states = {"p": NOT_RELEASING, "q": NOT_RELEASING}

    def underway() -> list[tuple[int, str]]:
        return [(each.release.position, each.after_account_id) for each in releases_underway(known, states.__getitem__)]

    def advance(programme_id: str, position: int, until: str) -> None:
        event, version = ReleaseAdvanced(position, until), states[programme_id].version + 1
        recorded = Recorded(9, f"release/{programme_id}", version, Envelope(1, 1, 1), event)
        states[programme_id] = evolve_releasing(states[programme_id], recorded)

    assert underway() == [(3, ""), (4, "")]
    advance("q", 3, "alice")
    assert underway() == [(3, "alice"), (4, "")]
    advance("q", 3, "")
    assert underway() == [(4, "")]
    advance("p", 4, "")
    assert underway() == []
    assert states["p"] == Releasing({4: ReleaseAdvanced(4, "")}, 1)
