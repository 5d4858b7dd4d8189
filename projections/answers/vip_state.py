"""VIP state of an account at an instant: a pure function of its grants and bans, and of the programme."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp

from ledger.domain.decide.standing import grant_in_effect
from ledger.domain.decide.tier_stretches import tier_until_ns
from ledger.domain.instants import NEVER_NS
from ledger.domain.money import rate_text
from ledger.domain.refusal import Refusal
from ledger.domain.rules.ban import running_ban
from ledger.domain.rules.exclusive_fee_rate import fee_rate
from ledger.domain.rules.fake_accounts import flagged_at
from ledger.domain.state.account import AccountState, Ban, Flag, Grant
from ledger.domain.state.programme import CHANNEL_API, LIQUIDITY_MAKER, NO_TIER, PairRates, Programme
from ledger.domain.state.rulebook import Rulebook
from ledger.v1 import command_pb2 as commands_pb
from ledger.v1 import query_service_pb2 as pb
from ledger.wire.enums import set_words
from ledger.wire.fields import Shape, optional_id, required_id
from ledger.wire.status import RefusedError, timestamp
from projections.as_of import Reader, View, check_times
from projections.evaluation.pending import pending_evaluation_ns

_LIQUIDITY_TAKER: Final = 2


def get_vip_state(reader: Reader, request: pb.GetVipStateRequest) -> pb.GetVipStateResponse:
    """Answer with the VIP state of one account; of one the ledger never heard of, too."""
    view, programme = asked(reader, request)
    response = vip_state(view.account, programme, view.instant.as_of_ns)
    response.basis.CopyFrom(view.instant.basis(reader.ledger_id))
    response.known_account = reader.knows(view)
    if programme and (until := tier_until(view, programme)):
        response.tier_until.CopyFrom(until)
    pending_ns = pending_evaluation_ns(reader, view, programme) if programme else None
    if pending_ns is not None:
        response.evaluation_pending = True
        response.pending_evaluation_time.CopyFrom(timestamp(pending_ns))
    response.reprice_in_progress = reader.is_repriced(view.instant, request.account_id)
    return response


def asked(reader: Reader, request: Any) -> tuple[View, Programme | None]:
    """Return the account that a request is about, at its two clocks, and the programme; refuse what is malformed."""
    with Shape() as shape:
        account_id = shape(required_id, request.account_id, "account_id")
        programme_id = shape(optional_id, request.programme_id, "programme_id")
        shape(check_times, request.at)
    view = reader.view(request.at, account_id)
    return view, programme_of(view, programme_id)


def programme_of(view: View, programme_id: str) -> Programme | None:
    """Return the programme asked about; None before the first was published: then there are no tiers and no rates."""
    found = view.book.programme(programme_id, view.instant.as_of_ns)
    if not isinstance(found, Refusal):
        return found
    if view.book.programmes or programme_id:
        raise RefusedError(found)
    return None


def vip_state(account: AccountState, programme: Programme | None, at_ns: int) -> pb.GetVipStateResponse:
    """Return the answer about an account, but for what it rests on; an unknown account has neither grants nor bans."""
    grant = grant_in_effect(account, programme, at_ns) if programme else None
    ban = running_ban(account.bans, at_ns)
    tier = grant.tier if grant else NO_TIER
    return pb.GetVipStateResponse(
        account_id=account.account_id,
        owner_id=account.owner_at(at_ns),
        parent_account_id=account.parent_at(at_ns),
        programme_id=programme.programme_id if programme else "",
        programme_version=programme.version if programme else "",
        tier=tier,
        grant=grant_of(grant) if grant else None,
        rates=class_rates(programme, tier) if programme else [],
        banned=ban is not None,
        ban=_ban(ban) if ban else None,
        trial_used=account.trial_from_ns <= at_ns,
        grants=[grant_of(grant) for grant in account.grants],
        bans=[_ban(ban) for ban in account.bans],
        flagged=flagged_at(account.flags, at_ns) is not None,
        flags=[flag_of(flag) for flag in account.flags],
    )


def tier_until(view: View, programme: Programme) -> Timestamp | None:
    """Return the first instant at which the tier changes if nothing more is recorded; None: it does not."""
    versions = view.book.programmes[programme.programme_id]
    until_ns = tier_until_ns(view.account, versions, view.instant.as_of_ns)
    return None if until_ns == NEVER_NS else timestamp(until_ns)


def class_rates(programme: Programme, tier: str) -> list[pb.ClassRates]:
    """Return rates of a tier by pair class, and for pairs without one."""
    return [_rates(programme, tier, name) for name in (*programme.pair_classes, "")]


def own_rates(book: Rulebook, programme: Programme, tier: str, at_ns: int) -> Iterator[pb.OwnRates]:
    """Yield rates of a tier in every pair that has rates of its own, by symbol."""
    for symbol in sorted(book.symbols):
        override = book.override(programme, symbol, at_ns)
        if override is not None:
            pair_class = book.pair_class(programme.programme_id, symbol, at_ns)
            maker_rate, taker_rate = _both(programme, tier, pair_class, override)
            yield pb.OwnRates(symbol=symbol, maker_rate=maker_rate, taker_rate=taker_rate)


def _rates(programme: Programme, tier: str, pair_class: str) -> pb.ClassRates:
    maker_rate, taker_rate = _both(programme, tier, pair_class, None)
    return pb.ClassRates(pair_class=pair_class, maker_rate=maker_rate, taker_rate=taker_rate)


def _both(programme: Programme, tier: str, pair_class: str, override: PairRates | None) -> Iterator[str]:
    """Yield the rate of an API fill as maker and as taker, by the same rule that prices fills."""
    kind: dict[str, Any] = {"tier": tier, "pair_class": pair_class, "channel": CHANNEL_API, "override": override}
    for liquidity in (LIQUIDITY_MAKER, _LIQUIDITY_TAKER):
        yield rate_text(fee_rate(programme, liquidity=liquidity, **kind)[0])


def grant_of(grant: Grant) -> commands_pb.Grant:
    """Return a grant on the wire."""
    message = commands_pb.Grant(
        grant_id=grant.grant_id,
        tier=grant.tier,
        valid_from=timestamp(grant.valid_from_ns),
        programme_id=grant.programme_id,
        evidence=grant.evidence,
    )
    set_words(message, source=grant.source)
    if grant.valid_until_ns != NEVER_NS:
        message.valid_until.CopyFrom(timestamp(grant.valid_until_ns))
    if grant.revoked_time_ns != NEVER_NS:
        message.revoked_time.CopyFrom(timestamp(grant.revoked_time_ns))
    return message


def _ban(ban: Ban) -> commands_pb.Ban:
    return commands_pb.Ban(
        ban_id=ban.ban_id,
        start_time=timestamp(ban.start_time_ns),
        end_time=timestamp(ban.end_time_ns),
        reason_code=ban.reason_code,
    )


def flag_of(flag: Flag, *, by_ns: int = NEVER_NS) -> commands_pb.Flag:
    """Return a flag on the wire; its end is left out if it lies after an instant."""
    message = commands_pb.Flag(
        flag_id=flag.flag_id,
        kind=commands_pb.FlagKind.Value(f"FLAG_KIND_{flag.kind}"),
        flagged_time=timestamp(flag.flagged_time_ns),
    )
    if flag.unflagged_time_ns != NEVER_NS and flag.unflagged_time_ns <= by_ns:
        message.unflagged_time.CopyFrom(timestamp(flag.unflagged_time_ns))
    return message
