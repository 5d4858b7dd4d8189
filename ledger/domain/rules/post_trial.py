"""R14: after the trial, its own volume gives the tier for an additional 30 days, without a gap."""

from __future__ import annotations

from ledger.domain.instants import DAY_NS
from ledger.domain.state.account import Grant
from ledger.domain.state.programme import NO_TIER, Programme


def post_trial_window(grant: Grant) -> tuple[int, int]:
    """Return the window [from, until) whose volume counts: the trial's own time, as long as it lasted."""
    return grant.valid_from_ns, grant.ends_at_ns


def post_trial_grant(programme: Programme, *, tier: str, trial_end_ns: int) -> tuple[int, int]:
    """Return [valid_from, valid_until) of the tier: it begins where the trial ends, whatever delay evaluations have."""
    assert tier != NO_TIER
    days = programme.trial.further_days if programme.trial else 0
    return trial_end_ns, trial_end_ns + days * DAY_NS
