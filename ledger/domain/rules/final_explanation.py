"""R25: the exchange reserves the final explanation. A tier changes by hand, as an event, never an edit."""

from __future__ import annotations

from ledger.domain.events import TierChanged, TierRevoked
from ledger.domain.grant_sources import MANUAL
from ledger.domain.refusal import Reason, Refusal
from ledger.domain.state.account import AccountState
from ledger.domain.state.programme import Programme


def change_tier(
    account: AccountState, programme: Programme, *, tier: str, valid_from_ns: int, valid_until_ns: int | None
) -> TierChanged | Refusal:
    """Grant a tier by hand. It ends no grant but one under review: the best active one wins (A28, A4)."""
    if tier not in programme.tiers:
        known = ", ".join(programme.tiers)
        return Refusal(Reason.TIER_UNKNOWN, "tier", f"{tier} is not a tier of {programme.programme_id}: {known}")
    return TierChanged(
        grant_id=account.next_grant_id,
        programme_id=programme.programme_id,
        tier=tier,
        source=MANUAL,
        valid_from_ns=valid_from_ns,
        valid_until_ns=valid_until_ns,
    )


def revoke_tier(account: AccountState, *, grant_id: str, revoke_time_ns: int) -> TierRevoked | Refusal:
    """End a grant from an instant on; one that is ended before its start never was."""
    grant = next((grant for grant in account.grants if grant.grant_id == grant_id), None)
    if grant is None:
        return Refusal(Reason.GRANT_UNKNOWN, "grant_id", f"{account.account_id} has no grant {grant_id}")
    if revoke_time_ns >= grant.ends_at_ns:
        return Refusal(Reason.GRANT_ENDED, "revoke_time", f"{grant_id} of {account.account_id} is over by then")
    return TierRevoked(grant_id, revoke_time_ns)
