"""Which grant is in effect: the best active one (A7, A28). Time passing is not an event."""

from __future__ import annotations

from collections.abc import Iterable

from ledger.domain.programme import Programme
from ledger.domain.state import Grant


def best_grant(grants: Iterable[Grant], programme: Programme, at_ns: int) -> Grant | None:
    """The grant of the programme that counts at an instant; None: the account pays the base rate.

    Highest tier wins; of equal tiers the grant that ends last names the source (A28).
    """
    active = (
        grant
        for grant in grants
        if grant.valid_from_ns <= at_ns < grant.ends_at_ns
        and grant.programme_id == programme.programme_id
        and programme.rank(grant.tier) > 0
    )
    return max(active, key=lambda grant: (programme.rank(grant.tier), grant.ends_at_ns), default=None)
