"""R7: eligible for a match are users who have not been VIP members in the past 90 days."""

from __future__ import annotations

from collections.abc import Iterable

from ledger.domain.grant_sources import MATCH, TRIAL
from ledger.domain.instants import DAY_NS
from ledger.domain.state.account import Grant
from ledger.domain.state.programme import Programme


def membership_in_past_90_days(grants: Iterable[Grant], programme: Programme, at_ns: int) -> Grant | None:
    """Return the membership in (at - 90 days, at) that ended last, or None; exactly 90 days after its end it is over.

    A match counts, so that matches do not chain; a trial does unless the programme says otherwise (A16). A grant that
    was revoked before it began never was.
    """
    since_ns = at_ns - programme.match_lookback_days * DAY_NS
    found = (
        grant
        for grant in grants
        if grant.programme_id == programme.programme_id
        and not grant.never_was
        and grant.valid_from_ns < at_ns
        and grant.ends_at_ns > since_ns
        and (grant.source != TRIAL or programme.trial_counts_as_membership)
    )
    return max(found, key=lambda grant: grant.ends_at_ns, default=None)


def match_begun_since(grants: Iterable[Grant], programme: Programme, from_ns: int, until_ns: int) -> Grant | None:
    """Return a known match that begins at `from` or later, and less than 90 days after `until`, or None.

    It is asked when a match is approved: two of one instant do not overlap in the past, and whoever holds a later one
    could not have had it after one that is approved for the past.
    """
    latest_ns = until_ns + programme.match_lookback_days * DAY_NS
    found = (
        grant
        for grant in grants
        if grant.programme_id == programme.programme_id
        and grant.source == MATCH
        and from_ns <= grant.valid_from_ns < min(latest_ns, grant.ends_at_ns)
    )
    return min(found, key=lambda grant: grant.valid_from_ns, default=None)
