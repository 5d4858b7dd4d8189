"""VIP state of an account at an instant: a pure function of its grants and bans, and of the programme."""

from __future__ import annotations

from typing import Final

from ledger.domain.money import rate_text
from ledger.domain.programme import CHANNEL_API, LIQUIDITY_MAKER, NO_TIER, Programme
from ledger.domain.rules.ban import running_ban
from ledger.domain.rules.best_grant import best_grant
from ledger.domain.rules.exclusive_fee_rate import fee_rate
from ledger.domain.state import FOREVER_NS, AccountState, Ban, Grant
from ledger.v1 import command_service_pb2, query_service_pb2
from ledger.wire import timestamp

_LIQUIDITY_TAKER: Final = 2


def vip_state(account: AccountState, programme: Programme | None, at_ns: int) -> query_service_pb2.GetVipStateResponse:
    """The answer about an account, but for what it rests on; an unknown account has neither grants nor bans."""
    grant = best_grant(account.grants, programme, at_ns) if programme else None
    ban = running_ban(account.bans, at_ns)
    tier = grant.tier if grant else NO_TIER
    return query_service_pb2.GetVipStateResponse(
        account_id=account.account_id,
        owner_id=account.owner_id,
        parent_account_id=account.parent_account_id,
        programme_id=programme.programme_id if programme else "",
        programme_version=programme.version if programme else "",
        tier=tier,
        grant=_grant(grant) if grant else None,
        rates=[_rates(programme, tier, name) for name in (*programme.pair_classes, "")] if programme else [],
        banned=ban is not None,
        ban=_ban(ban) if ban else None,
        trial_used=account.trial_used,
        grants=[_grant(grant) for grant in account.grants],
        bans=[_ban(ban) for ban in account.bans],
    )


def _rates(programme: Programme, tier: str, pair_class: str) -> query_service_pb2.ClassRates:
    """What an API fill of the class would pay, by the same rule that prices fills."""
    maker_ppm, taker_ppm = (
        fee_rate(
            programme, tier=tier, pair_class=pair_class, liquidity=liquidity, channel=CHANNEL_API, self_trade=False
        )[0]
        for liquidity in (LIQUIDITY_MAKER, _LIQUIDITY_TAKER)
    )
    return query_service_pb2.ClassRates(
        pair_class=pair_class, maker_rate=rate_text(maker_ppm), taker_rate=rate_text(taker_ppm)
    )


def _grant(grant: Grant) -> command_service_pb2.Grant:
    message = command_service_pb2.Grant(
        grant_id=grant.grant_id,
        tier=grant.tier,
        source=grant.source,
        valid_from=timestamp(grant.valid_from_ns),
        programme_id=grant.programme_id,
    )
    if grant.valid_until_ns != FOREVER_NS:
        message.valid_until.CopyFrom(timestamp(grant.valid_until_ns))
    if grant.revoked_time_ns != FOREVER_NS:
        message.revoked_time.CopyFrom(timestamp(grant.revoked_time_ns))
    return message


def _ban(ban: Ban) -> command_service_pb2.Ban:
    return command_service_pb2.Ban(
        ban_id=ban.ban_id,
        start_time=timestamp(ban.start_time_ns),
        end_time=timestamp(ban.end_time_ns),
        reason_code=ban.reason_code,
    )
