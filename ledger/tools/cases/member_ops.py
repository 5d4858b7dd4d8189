"""Ops about members: fee match, bans, applications, promotions, bounties."""

from __future__ import annotations

from typing import Any

from ledger.domain.decide.standing import match_refused, match_tier
from ledger.domain.events import AccountBanned
from ledger.domain.instants import DAY_NS, day_text
from ledger.domain.refusal import Refusal
from ledger.domain.rules.ban import ban_account
from ledger.domain.rules.bug_bounty import may_earn_bounty
from ledger.domain.rules.business_days import deadline_day
from ledger.domain.rules.fake_accounts import KINDS
from ledger.domain.rules.fee_match import match_grant
from ledger.domain.rules.promotion_eligibility import is_eligible
from ledger.domain.state.programme import Programme
from ledger.domain.state.volume_cells import NOTIONAL_SCALE
from ledger.tools.cases.fields import Fields, instant_text
from ledger.tools.cases.history import read_history
from ledger.tools.cases.words import PROMOTIONS, TIERS


def apply_match(given: Fields, when: Fields, programme: Programme) -> dict[str, Any]:
    """R6-R8: asked for and approved at one instant."""
    account, at_ns = read_history(given, programme).account, when.instant("at")
    volume = given.fields("external_volume_usdt")
    spot, futures = volume.scaled("spot", NOTIONAL_SCALE), volume.scaled("futures", NOTIONAL_SCALE, 0)
    volume.end()
    refused = match_refused(account, programme, requested_ns=at_ns, at_ns=at_ns, spot=spot, futures=futures)
    if refused is not None:
        return {"eligible": False, "reason": refused.reason.name}
    from_ns, until_ns = match_grant(programme, at_ns)
    return {
        "eligible": True,
        "tier": match_tier(programme, spot, futures),
        "valid_from": instant_text(from_ns),
        "valid_to": instant_text(until_ns),
    }


def impose_ban(given: Fields, when: Fields, programme: Programme) -> dict[str, Any]:
    """R22: whole days, and never shorter than a ban that runs."""
    account, at_ns = read_history(given, programme).account, when.instant("at")
    ban = ban_account(account, [programme], days=when.whole("days"), start_time_ns=at_ns, reason_code="ORDER_SPAM")
    if isinstance(ban, Refusal):
        return {"error": ban.reason.name}
    assert isinstance(ban, AccountBanned), ban
    return {"from": instant_text(ban.start_time_ns), "to": instant_text(ban.end_time_ns)}


def application_deadline(_: Fields, when: Fields, programme: Programme) -> dict[str, Any]:
    """R13: business days from the UTC day of receipt."""
    return {"deadline_date": day_text(deadline_day(programme, when.instant("received_at") // DAY_NS))}


def promotion_eligibility(given: Fields, _: Fields, programme: Programme) -> dict[str, Any]:
    """R24: who may take part in a promotion of a type."""
    kind, tier = given.choice("promotion_type", PROMOTIONS), given.choice("tier", TIERS)
    return {"eligible": is_eligible(programme, kind, tier, _flagged(given))}


def bounty_eligibility(given: Fields, _: Fields, __: Programme) -> dict[str, Any]:
    """R9: who may earn a bounty."""
    return {"eligible": may_earn_bounty(given.choice("tier", TIERS), _flagged(given))}


def _flagged(given: Fields) -> bool:
    return given.choice("flagged", KINDS, None) is not None
