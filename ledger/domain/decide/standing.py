"""Membership of an account at an instant, by several rules in their order. While a flag runs no grant counts."""

from __future__ import annotations

from collections.abc import Sequence

from ledger.domain.refusal import Reason, Refusal
from ledger.domain.rules.best_grant import best_grant
from ledger.domain.rules.external_volume import external_volume, is_enough
from ledger.domain.rules.fake_accounts import flagged_at, refused_for_flag
from ledger.domain.rules.monthly_trading_volume import tier_for_volume
from ledger.domain.rules.past_90_days import membership_in_past_90_days
from ledger.domain.state.account import AccountState, Grant
from ledger.domain.state.programme import NO_TIER, Programme


def grant_in_effect(account: AccountState, programme: Programme, at_ns: int) -> Grant | None:
    """Return the grant that gives the account its tier; none while it is flagged as fake (R21)."""
    return None if flagged_at(account.flags, at_ns) else best_grant(account.grants, programme, at_ns)


def tier_at(account: AccountState, programme: Programme, at_ns: int) -> str:
    """Return the tier in effect; NO_TIER without one."""
    grant = grant_in_effect(account, programme, at_ns)
    return grant.tier if grant else NO_TIER


def match_tier(programme: Programme, spot: int, futures: int) -> str:
    """Return the tier that volume on other exchanges is worth (R6), by the table of volumes here."""
    return tier_for_volume(programme, external_volume(programme, spot, futures))


def match_refused(
    account: AccountState,
    programme: Programme,
    *,
    requested_ns: int,
    at_ns: int,
    spot: int,
    futures: int,
    family: Sequence[AccountState] = (),
) -> Refusal | None:
    """Refuse a match, asked for at `requested_ns` and decided at `at_ns`, that is not for this account.

    In order: ACCOUNT_FLAGGED (R21), VIP_IN_PAST_90_DAYS (R7, at both instants, of every account of the owner: `family`
    are the others), EXTERNAL_VOLUME_TOO_LOW (R8). Volumes have 36 decimals.
    """
    flagged = refused_for_flag(account, at_ns)
    if flagged is not None:
        return flagged
    for instant_ns in dict.fromkeys((requested_ns, at_ns)):
        for member in (account, *family):
            if (found := membership_in_past_90_days(member.grants, programme, instant_ns)) is not None:
                days = programme.match_lookback_days
                detail = f"{member.account_id} was a member in the past {days} days: {found.tier}, {found.source}"
                return Refusal(Reason.VIP_IN_PAST_90_DAYS, "account_id", detail)
    if not is_enough(programme, external_volume(programme, spot, futures)):
        detail = f"it must be more than {programme.match_volume_min // 10**36} {programme.volume_currency} in 30 days"
        return Refusal(Reason.EXTERNAL_VOLUME_TOO_LOW, "external_volume", detail)
    return None
