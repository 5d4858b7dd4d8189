"""R4: new members enjoy the trial tier during the 1st trial month, up to 30 days."""

from __future__ import annotations

from collections.abc import Sequence

from ledger.domain.events import TrialStarted
from ledger.domain.instants import DAY_NS
from ledger.domain.refusal import Reason, Refusal
from ledger.domain.state.account import AccountState
from ledger.domain.state.programme import Programme


def start_trial(
    account: AccountState, family: Sequence[AccountState], programme: Programme, *, start_time_ns: int
) -> TrialStarted | Refusal:
    """Grant [start, start + days) once for the life of a beneficial owner (A6), from activation on (A5).

    `family` are the other accounts of the same owner. A grant that never was in effect, because it was revoked from its
    start, counts for nothing: a mistake does not use a trial up. Refusals in order: TRIAL_ALREADY_USED,
    NOT_A_NEW_MEMBER, TRIAL_CLOSED (also by a programme that never offers one).
    """
    trial = programme.trial
    if trial is None:
        return Refusal(Reason.TRIAL_CLOSED, "programme_id", f"{programme.programme_id} offers no trial")
    asked = (account, *family) if trial.once_per == "owner" else (account,)
    for member in asked:
        if member.trial_used:
            return Refusal(Reason.TRIAL_ALREADY_USED, "account_id", f"{member.account_id} has had a trial")
    for member in asked:
        if not all(grant.never_was for grant in member.grants):
            return Refusal(Reason.NOT_A_NEW_MEMBER, "account_id", f"{member.account_id} has held a tier before")
    ends_at_ns = start_time_ns + trial.days * DAY_NS
    if trial.closes_at_ns is not None:
        ends_at_ns = min(ends_at_ns, trial.closes_at_ns)
    if ends_at_ns <= start_time_ns:
        return Refusal(Reason.TRIAL_CLOSED, "start_time", "the programme's last trial day is over")
    return TrialStarted(
        grant_id=account.next_grant_id,
        programme_id=programme.programme_id,
        tier=trial.tier,
        valid_from_ns=start_time_ns,
        valid_until_ns=ends_at_ns,
    )
