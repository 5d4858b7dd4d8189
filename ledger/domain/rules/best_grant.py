"""Which grant is in effect: the best active one (A7, A28). Time passing is not an event."""

from __future__ import annotations

from collections.abc import Iterable

from ledger.domain.grant_sources import EVALUATION
from ledger.domain.state.account import Grant
from ledger.domain.state.programme import Programme


def best_grant(grants: Iterable[Grant], programme: Programme, at_ns: int) -> Grant | None:
    """Return the grant of the programme that counts at an instant; None: the account pays the base rate.

    Highest tier wins; of equal tiers the grant that ends last names the source, then the one that
    begins last, then the last by the name of its source (A28). Under latest_evaluation_wins
    the grant of an evaluation is over as soon as that of a later one begins (A7); all others stay.
    """
    begun = [
        grant
        for grant in grants
        if grant.valid_from_ns <= at_ns
        and not grant.never_was
        and grant.programme_id == programme.programme_id
        and programme.rank(grant.tier) > 0
    ]
    if programme.grant_resolution == "latest_evaluation_wins":
        begun = _without_superseded(begun, programme)
    active = [grant for grant in begun if at_ns < grant.ends_at_ns]
    return max(active, key=lambda grant: _worth(grant, programme)) if len(active) > 1 else next(iter(active), None)


def may_still_count(grant: Grant, programme: Programme, at_ns: int) -> bool:
    """Return False for a grant that is over, if `best_grant` says the same without it at this instant and any later."""
    if grant.ends_at_ns > at_ns:
        return True
    return programme.grant_resolution == "latest_evaluation_wins" and grant.source == EVALUATION


def _worth(grant: Grant, programme: Programme) -> tuple[int, int, int, str]:
    """Return a key, greatest for the best: which grant arrived first says nothing."""
    return programme.rank(grant.tier), grant.ends_at_ns, grant.valid_from_ns, grant.source


def _without_superseded(begun: list[Grant], programme: Programme) -> list[Grant]:
    """Return the grants, but only one of those of evaluations: the last begun, and of equal ones the last evaluated."""
    evaluated = [grant for grant in begun if grant.source == EVALUATION]
    latest = max(evaluated, key=lambda grant: _recency(grant, programme), default=None)
    return [grant for grant in begun if grant.source != EVALUATION or grant is latest]


def _recency(grant: Grant, programme: Programme) -> tuple[int, ...]:
    """Return a key, greatest for the newest; rank and end decide within one evaluation, whatever arrives first."""
    return grant.valid_from_ns, grant.evaluated_ns, programme.rank(grant.tier), grant.ends_at_ns
