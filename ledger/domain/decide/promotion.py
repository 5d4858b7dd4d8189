"""Promotions and who shared their bonuses (R10, R24)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from ledger.domain.commands import AnnouncePromotion, AwardBonus, PromotionCommand
from ledger.domain.decide.decided import Decided
from ledger.domain.decide.standing import tier_at
from ledger.domain.events import BonusAwarded, PromotionAnnounced, Recorded
from ledger.domain.instants import given_or
from ledger.domain.refusal import Reason, Refusal
from ledger.domain.rules.fake_accounts import flagged_at, refused_for_flag
from ledger.domain.rules.promotion_eligibility import is_eligible
from ledger.domain.state.account import AccountState
from ledger.domain.state.programme import Programme
from ledger.domain.state.rulebook import Rulebook
from ledger.domain.streams import PROMOTIONS


@dataclass(frozen=True, slots=True)
class Promotions:
    """The fold of `promotions`: those announced by id, and (promotion, account) of the bonuses awarded."""

    version: int = 0
    announced: Mapping[str, PromotionAnnounced] = field(default_factory=dict)
    bonuses: frozenset[tuple[str, str]] = frozenset()


def evolve_promotions(state: Promotions, recorded: Recorded) -> Promotions:
    """Return the promotions after one more event of their stream."""
    event = recorded.event
    changed = state
    if isinstance(event, PromotionAnnounced):
        changed = replace(state, announced={**state.announced, event.promotion_id: event})
    elif isinstance(event, BonusAwarded):
        changed = replace(state, bonuses=state.bonuses | {(event.promotion_id, event.account_id)})
    return replace(changed, version=recorded.version)


def type_unknown(programmes: Iterable[Programme], promotion_type: str) -> Refusal | None:
    """Refuse a type of promotion that is none of these programmes', if they say which there are."""
    said = [programme.promotion_types for programme in programmes if programme.promotion_types is not None]
    known = dict.fromkeys(name for types in said for name in types)
    if not said or promotion_type in known:
        return None
    detail = f"{promotion_type} is none of {', '.join(known)}"
    return Refusal(Reason.PROMOTION_TYPE_UNKNOWN, "promotion_type", detail)


def promotion_refused(account: AccountState, programme: Programme, promotion_type: str, at_ns: int) -> Refusal | None:
    """Refuse an account that may not take part in a promotion at an instant."""
    flagged = refused_for_flag(account, at_ns)
    if flagged is not None:
        return flagged
    tier = tier_at(account, programme, at_ns)
    if is_eligible(programme, promotion_type, tier, flagged_at(account.flags, at_ns) is not None):
        return None
    detail = f"{account.account_id} with tier {tier} may not take part in {promotion_type}"
    return Refusal(Reason.PROMOTION_NOT_ELIGIBLE, "promotion_id", detail)


def decide_promotion(
    state: Promotions, command: PromotionCommand, account: Callable[[str], AccountState], book: Rulebook, now_ns: int
) -> Decided | Refusal:
    """Decide a command on promotions."""
    if isinstance(command, AnnouncePromotion):
        if command.promotion_id in state.announced:
            detail = f"{command.promotion_id} is announced already"
            return Refusal(Reason.PROMOTION_ALREADY_ANNOUNCED, "promotion_id", detail)
        unknown = type_unknown(book.in_force(now_ns), command.promotion_type)
        if unknown is not None:
            return unknown
        announced = PromotionAnnounced(
            command.promotion_id, command.promotion_type, command.start_time_ns, command.end_time_ns
        )
        return Decided(command.start_time_ns, ((PROMOTIONS, announced),))
    at_ns = given_or(command.award_time_ns, now_ns)
    awarded = _award(state, command, account(command.account_id), book, at_ns)
    return awarded if isinstance(awarded, Refusal) else Decided(at_ns, ((PROMOTIONS, awarded),))


def _award(
    state: Promotions, command: AwardBonus, account: AccountState, book: Rulebook, at_ns: int
) -> BonusAwarded | Refusal:
    """Award a bonus (R24). Two persons may let in who is not eligible; nobody lets in who is flagged (R21)."""
    promotion = state.announced.get(command.promotion_id)
    if promotion is None:
        detail = f"no promotion {command.promotion_id} is announced"
        return Refusal(Reason.PROMOTION_UNKNOWN, "promotion_id", detail)
    if (command.promotion_id, command.account_id) in state.bonuses:
        detail = f"{command.account_id} has had its bonus of {command.promotion_id}"
        return Refusal(Reason.BONUS_ALREADY_AWARDED, "account_id", detail)
    programme = book.programme(command.programme_id, at_ns)
    if isinstance(programme, Refusal):
        return programme
    refused = promotion_refused(account, programme, promotion.promotion_type, at_ns)
    if refused is not None and (refused.reason == Reason.ACCOUNT_FLAGGED or not command.override):
        return refused
    if refused is not None and (alone := _refused_alone(command)) is not None:
        return alone
    return BonusAwarded(
        promotion_id=command.promotion_id,
        account_id=command.account_id,
        amount=command.amount,
        currency=command.currency,
        awarded_time_ns=at_ns,
        tier=tier_at(account, programme, at_ns),
        overridden=refused is not None,
    )


def _refused_alone(command: AwardBonus) -> Refusal | None:
    """Refuse an exception that one person makes alone."""
    if not command.actor:
        return Refusal(Reason.ACTOR_REQUIRED, "authority.actor", "an exception needs a person who asks for it")
    if not command.approver:
        return Refusal(Reason.APPROVER_REQUIRED, "authority.approver", "an exception needs an approver")
    if command.approver == command.actor:
        return Refusal(Reason.APPROVER_IS_ACTOR, "authority.approver", "an exception needs another person to approve")
    return None
