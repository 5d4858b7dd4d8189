"""A4: above the table a person decides; until then the account keeps the tier that it has."""

from __future__ import annotations

from collections.abc import Iterable

from ledger.domain.instants import NEVER_NS
from ledger.domain.state.account import AccountState, Grant
from ledger.domain.state.programme import MANUAL_REVIEW, NEGATIVE_VOLUME, Programme


def is_decision(tier: str) -> bool:
    """Return True if an evaluation that says this gives or takes a tier; otherwise a person must look first."""
    return tier not in (MANUAL_REVIEW, NEGATIVE_VOLUME)


def review_grant(account: AccountState, programme: Programme, *, evaluation_ns: int) -> tuple[int, int]:
    """Return [valid_from, valid_until) of the tier that is kept.

    It begins without the delay of other grants, as it changes nothing, and has no end: what decides ends it. An
    evaluation of a later instant that was recorded first has decided already.
    """
    later = (
        instant_ns
        for programme_id, _, instant_ns in account.evaluated
        if programme_id == programme.programme_id and instant_ns > evaluation_ns
    )
    return evaluation_ns, min(later, default=NEVER_NS)


def reviews_until(
    grants: Iterable[Grant], programme: Programme, *, evaluation_ns: int, until_ns: int
) -> tuple[Grant, ...]:
    """Return the grants under review that an evaluation ends at `until_ns`; those of a later instant stay."""
    return tuple(
        grant
        for grant in grants
        if grant.under_review
        and grant.programme_id == programme.programme_id
        and grant.evaluated_ns <= evaluation_ns
        and grant.ends_at_ns > until_ns
    )
