"""Decisions on membership (flags, matches, applications, managers, metrics): the rules asked, in their order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from ledger.domain.commands import (
    ApproveMatch,
    AssignKeyAccountManager,
    FlagAccount,
    MemberCommand,
    RecordBehaviourMetric,
    RejectMatch,
    RequestMatch,
    SettleApplication,
    SubmitApplication,
    UnflagAccount,
    VerifyApiIdentity,
)
from ledger.domain.decide.standing import match_refused, match_tier, tier_at
from ledger.domain.events import Event, MatchClaim, MatchRejected, MatchRequested, TierChanged
from ledger.domain.grant_sources import MATCH
from ledger.domain.instants import given_or, instant_text
from ledger.domain.refusal import Reason, Refusal
from ledger.domain.rules.application import settle_application, submit_application, verify_api_identity
from ledger.domain.rules.deviating_behaviour import record_metric
from ledger.domain.rules.external_volume import not_the_last_30_days
from ledger.domain.rules.fake_accounts import flag_account, unflag_account
from ledger.domain.rules.fee_match import match_expires_ns, match_grant, no_vip_elsewhere
from ledger.domain.rules.key_account_manager import assign_manager
from ledger.domain.rules.past_90_days import match_begun_since
from ledger.domain.state.account import AccountState
from ledger.domain.state.matches_and_applications import PENDING, Match
from ledger.domain.state.programme import Programme
from ledger.domain.state.rulebook import Rulebook
from ledger.domain.state.volume_cells import NOTIONAL_SCALE, exact


def ask_member(
    account: AccountState, command: MemberCommand, family: Sequence[AccountState], book: Rulebook, now_ns: int
) -> tuple[int, Event | Refusal]:
    """Return when the command takes effect, and what its rule says. `family` are the other accounts of the owner."""
    match command:
        case FlagAccount():
            at_ns = given_or(command.flag_time_ns, now_ns)
            flag = flag_account(account, kind=command.kind, flag_time_ns=at_ns, evidence_sha256=command.evidence_sha256)
            return at_ns, flag
        case UnflagAccount():
            at_ns = given_or(command.unflag_time_ns, now_ns)
            return at_ns, unflag_account(account, unflag_time_ns=at_ns)
        case RequestMatch():
            at_ns = given_or(command.request_time_ns, now_ns)
            return at_ns, _request_match(account, command, family, book, at_ns)
        case ApproveMatch():
            at_ns = given_or(command.approve_time_ns, now_ns)
            return at_ns, _approve_match(account, command, family, book, at_ns)
        case RejectMatch():
            at_ns = given_or(command.reject_time_ns, now_ns)
            return at_ns, _reject_match(account, command, book, at_ns)
        case SubmitApplication():
            at_ns = given_or(command.received_time_ns, now_ns)
            return at_ns, _submit(account, command, book, at_ns)
        case VerifyApiIdentity():
            at_ns = given_or(command.verified_time_ns, now_ns)
            return at_ns, verify_api_identity(account.matches_and_applications, verified_time_ns=at_ns)
        case SettleApplication():
            at_ns = given_or(command.settle_time_ns, now_ns)
            return at_ns, _settle(account, command, book, at_ns)
        case AssignKeyAccountManager():
            at_ns = given_or(command.assign_time_ns, now_ns)
            return at_ns, _assign(account, command, book, at_ns)
        case RecordBehaviourMetric():
            window = (command.window_from_ns, command.window_until_ns)
            return command.window_until_ns, record_metric(command.code, command.value, *window)
        case _:
            assert_never(command)


def claimed_volumes(claim: MatchClaim) -> tuple[int, int]:
    """Return (spot, futures) volume of a claim, with 36 decimals."""
    return exact(claim.spot_volume, NOTIONAL_SCALE), exact(claim.futures_volume, NOTIONAL_SCALE)


def _request_match(
    account: AccountState, command: RequestMatch, family: Sequence[AccountState], book: Rulebook, at_ns: int
) -> Event | Refusal:
    """Request a match. A claim that is not eligible is rejected at once: that is an answer, not a refused command."""
    programme = book.programme(command.programme_id, at_ns)
    if isinstance(programme, Refusal):
        return programme
    match_id = account.matches_and_applications.next_match_id
    spot, futures = claimed_volumes(command.claim)
    no = match_refused(
        account, programme, requested_ns=at_ns, at_ns=at_ns, spot=spot, futures=futures, family=family
    ) or _claim_refused(programme, command.claim, at_ns)
    if no is not None:
        return MatchRejected(match_id, programme.programme_id, at_ns, reason=no.reason, claim=command.claim)
    return MatchRequested(match_id, programme.programme_id, at_ns, match_tier(programme, spot, futures), command.claim)


def _claim_refused(programme: Programme, claim: MatchClaim, requested_ns: int) -> Refusal | None:
    """Refuse a claim of something that a match is not for (R8, R6)."""
    return not_the_last_30_days(
        programme, from_ns=claim.period_from_ns, until_ns=claim.period_until_ns, requested_time_ns=requested_ns
    ) or no_vip_elsewhere(programme, claim.venues, claim.external_tier)


def _approve_match(
    account: AccountState, command: ApproveMatch, family: Sequence[AccountState], book: Rulebook, at_ns: int
) -> Event | Refusal:
    """Approve a match by the rules, asked again with what is known now: R7 at the times of request and of approval."""
    match = _pending_match(account, command.match_id)
    if isinstance(match, Refusal):
        return match
    if not command.approved_by:
        return Refusal(Reason.ACTOR_REQUIRED, "authority.actor", "a person must approve, and nobody is named")
    if command.approved_by == match.requested_by:
        detail = f"{match.match_id} was requested by {match.requested_by}: another person must approve"
        return Refusal(Reason.APPROVER_IS_ACTOR, "authority.actor", detail)
    if at_ns < match.requested_time_ns:
        return Refusal(Reason.INTERVAL_EMPTY, "approve_time", "it would be approved before it was requested")
    programme = book.programme(match.programme_id, at_ns)
    if isinstance(programme, Refusal):
        return programme
    spot, futures = claimed_volumes(match.claim)
    requested_ns = match.requested_time_ns
    no = match_refused(
        account, programme, requested_ns=requested_ns, at_ns=at_ns, spot=spot, futures=futures, family=family
    )
    no = no or _chain_refused([account, *family], programme, at_ns)
    no = no or _claim_refused(programme, match.claim, requested_ns) or _expired_refused(match, book, at_ns)
    return no or _match_grant(account, programme, match, at_ns)


def _chain_refused(owned: Sequence[AccountState], programme: Programme, at_ns: int) -> Refusal | None:
    """Refuse to approve a match where another one begins with it, or follows it too soon (R7)."""
    for account in owned:
        if match_begun_since(account.grants, programme, *match_grant(programme, at_ns)) is not None:
            days = programme.match_lookback_days
            detail = f"a match of {account.account_id} begins less than {days} days after this one would end"
            return Refusal(Reason.VIP_IN_PAST_90_DAYS, "approve_time", detail)
    return None


def _expired_refused(match: Match, book: Rulebook, at_ns: int) -> Refusal | None:
    """Refuse to settle a match that is over."""
    expires_ns = expiry(match, book)
    if expires_ns is None or at_ns < expires_ns:
        return None
    detail = f"{match.match_id} waited until {instant_text(expires_ns)}: it must be asked for again"
    return Refusal(Reason.MATCH_EXPIRED, "match_id", detail)


def expiry(match: Match, book: Rulebook) -> int | None:
    """Return when a match is over that nobody settles, by the version in force at its request; None: never."""
    programme = book.programme(match.programme_id, match.requested_time_ns)
    return None if isinstance(programme, Refusal) else match_expires_ns(programme, match.requested_time_ns)


def _match_grant(account: AccountState, programme: Programme, match: Match, at_ns: int) -> TierChanged | Refusal:
    tier = match_tier(programme, *claimed_volumes(match.claim))
    if not programme.rank(tier):
        detail = f"the table says {tier} for this volume: reject the match, and grant a tier by hand"
        return Refusal(Reason.TIER_UNKNOWN, "match_id", detail)
    from_ns, until_ns = match_grant(programme, at_ns)
    return TierChanged(
        grant_id=account.next_grant_id,
        programme_id=programme.programme_id,
        tier=tier,
        source=MATCH,
        valid_from_ns=from_ns,
        valid_until_ns=until_ns,
        evidence=match.match_id,
    )


def _reject_match(account: AccountState, command: RejectMatch, book: Rulebook, at_ns: int) -> Event | Refusal:
    match = _pending_match(account, command.match_id)
    if isinstance(match, Refusal):
        return match
    if at_ns < match.requested_time_ns:
        return Refusal(Reason.INTERVAL_EMPTY, "reject_time", "it would be rejected before it was requested")
    expired = _expired_refused(match, book, at_ns)
    return expired or MatchRejected(match.match_id, match.programme_id, at_ns, reason_code=command.reason_code)


def _pending_match(account: AccountState, match_id: str) -> Match | Refusal:
    match = account.matches_and_applications.match(match_id)
    if match is None:
        return Refusal(Reason.MATCH_UNKNOWN, "match_id", f"{account.account_id} has no match {match_id}")
    if match.status != PENDING:
        return Refusal(Reason.MATCH_SETTLED, "match_id", f"{match_id} of {account.account_id} is {match.status}")
    return match


def _submit(account: AccountState, command: SubmitApplication, book: Rulebook, at_ns: int) -> Event | Refusal:
    programme = book.programme(command.programme_id, at_ns)
    if isinstance(programme, Refusal):
        return programme
    return submit_application(account.matches_and_applications, programme, steps=command.steps, received_time_ns=at_ns)


def _settle(account: AccountState, command: SettleApplication, book: Rulebook, at_ns: int) -> Event | Refusal:
    application = account.matches_and_applications.application(command.application_id)
    programme = book.programme(application.programme_id if application else "", at_ns)
    if isinstance(programme, Refusal):
        return programme
    return settle_application(
        account.matches_and_applications,
        programme,
        application_id=command.application_id,
        outcome=command.outcome,
        settle_time_ns=at_ns,
    )


def _assign(account: AccountState, command: AssignKeyAccountManager, book: Rulebook, at_ns: int) -> Event | Refusal:
    programme = book.programme(command.programme_id, at_ns)
    if isinstance(programme, Refusal):
        return programme
    tier = tier_at(account, programme, at_ns)
    return assign_manager(programme, tier=tier, manager_id=command.manager_id, assign_time_ns=at_ns)
