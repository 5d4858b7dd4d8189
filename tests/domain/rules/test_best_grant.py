"""A7, A28: the best active grant counts, and time passing is not an event."""

from __future__ import annotations

import pytest

from ledger.domain.instants import NEVER_NS
from ledger.domain.rules.best_grant import best_grant
from ledger.domain.state.account import Grant
from tests.domain.worked import programme


def grant(name: str, tier: str, start: int, end: int = NEVER_NS, revoked: int = NEVER_NS) -> Grant:
    return Grant(name, "bitmart-api-vip", tier, "MANUAL", start, end, revoked)


LOW, HIGH = grant("low", "VIP1", 0, 100), grant("high", "VIP3", 10, 20)


@pytest.mark.parametrize(("at_ns", "expected"), [(9, "low"), (10, "high"), (19, "high"), (20, "low"), (99, "low")])
def test_the_highest_tier_wins_while_it_is_active(at_ns: int, expected: str) -> None:
    found = best_grant((LOW, HIGH), programme(), at_ns)
    assert found is not None
    assert found.grant_id == expected


def test_before_and_after_all_grants_there_is_none() -> None:
    assert best_grant((HIGH,), programme(), 9) is None
    assert best_grant((HIGH,), programme(), 20) is None
    assert best_grant((), programme(), 15) is None


def test_of_equal_tiers_the_one_ending_last_names_the_source() -> None:
    grants = (grant("short", "VIP2", 0, 50), grant("long", "VIP2", 0, 60), grant("shorter", "VIP2", 0, 40))
    found = best_grant(grants, programme(), 10)
    assert found is not None
    assert found.grant_id == "long"


def test_a_revoked_grant_gives_nothing_from_its_revocation_on() -> None:
    revoked = grant("g", "VIP5", 0, 100, revoked=30)
    assert best_grant((revoked,), programme(), 29) is revoked
    assert best_grant((revoked,), programme(), 30) is None


def test_a_grant_of_another_programme_or_of_a_tier_it_does_not_have_gives_nothing() -> None:
    foreign = Grant("g1", "another", "VIP5", "MANUAL", 0)
    unknown = grant("g2", "GOLD", 0)
    assert best_grant((foreign, unknown), programme(), 1) is None
