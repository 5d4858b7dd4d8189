"""Decisions on one account: the rule that a command asks, and what its answer records. Rules lie in `domain.rules`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from ledger.domain.commands import (
    ApproveMatch,
    BanAccount,
    ChangeTier,
    Command,
    LiftBan,
    MemberCommand,
    RegisterAccount,
    RequestMatch,
    RevokeTier,
    StandingCommand,
    StartTrial,
)
from ledger.domain.decide.decided import Decided
from ledger.domain.decide.membership import ask_member
from ledger.domain.events import AccountLinked, AccountRegistered, Event
from ledger.domain.instants import given_or
from ledger.domain.refusal import Reason, Refusal
from ledger.domain.rules.application import not_verified
from ledger.domain.rules.ban import ban_account, lift_ban
from ledger.domain.rules.deviating_behaviour import unknown_evidence
from ledger.domain.rules.fake_accounts import refused_for_flag
from ledger.domain.rules.final_explanation import change_tier, revoke_tier
from ledger.domain.rules.trial import start_trial
from ledger.domain.state.account import AccountState
from ledger.domain.state.programme import Programme
from ledger.domain.state.rulebook import Rulebook
from ledger.domain.streams import account_stream, owner_stream


def decide_account(
    account: AccountState, command: StandingCommand, *, family: Sequence[AccountState], book: Rulebook, now_ns: int
) -> Decided | Refusal:
    """Decide a command. `family`: the other accounts of the same owner, where `asks_family` says so."""
    effective_ns, event = _ask_rule(account, command, family, book, now_ns)
    if isinstance(event, Refusal):
        return event
    events: tuple[tuple[str, Event], ...] = ((account_stream(account.account_id), event),)
    if isinstance(event, AccountRegistered):
        events += ((owner_stream(event.owner_id), AccountLinked(event.account_id)),)
    return Decided(effective_ns, events)


def asks_family(command: Command) -> bool:
    """Return True if a command is decided by what every account of the owner has (R4, R7)."""
    return isinstance(command, StartTrial | RequestMatch | ApproveMatch)


def _ask_rule(
    account: AccountState, command: StandingCommand, family: Sequence[AccountState], book: Rulebook, now_ns: int
) -> tuple[int, Event | Refusal]:
    """Return the instant at which the command takes effect, and what its rule says."""
    if isinstance(command, MemberCommand):
        return ask_member(account, command, family, book, now_ns)
    match command:
        case RegisterAccount():
            at_ns = given_or(command.registered_time_ns, now_ns)
            return at_ns, _register(account, command, at_ns)
        case StartTrial():
            at_ns = given_or(command.start_time_ns, now_ns)
            programme = book.programme(command.programme_id, at_ns)
            if isinstance(programme, Refusal):
                return at_ns, programme
            return at_ns, _start_trial(account, family, programme, at_ns)
        case ChangeTier():
            at_ns = given_or(command.valid_from_ns, now_ns)
            return at_ns, _change_tier(account, command, book, at_ns)
        case RevokeTier():
            at_ns = given_or(command.revoke_time_ns, now_ns)
            return at_ns, revoke_tier(account, grant_id=command.grant_id, revoke_time_ns=at_ns)
        case BanAccount():
            at_ns = given_or(command.start_time_ns, now_ns)
            return at_ns, _ban(account, command, book, at_ns)
        case LiftBan():
            at_ns = given_or(command.lift_time_ns, now_ns)
            return at_ns, lift_ban(account, lift_time_ns=at_ns)
        case _:
            assert_never(command)


def _register(account: AccountState, command: RegisterAccount, at_ns: int) -> AccountRegistered | Refusal:
    if account.registered:
        owner = account.owner_id
        return Refusal(Reason.ACCOUNT_ALREADY_REGISTERED, "account_id", f"{command.account_id} belongs to {owner}")
    owner_id = command.owner_id or command.account_id
    return AccountRegistered(command.account_id, owner_id, command.parent_account_id, at_ns)


def _start_trial(
    account: AccountState, family: Sequence[AccountState], programme: Programme, at_ns: int
) -> Event | Refusal:
    """Start a trial, but not for an account that is flagged (R21), nor for one that must be verified first (R12)."""
    found = start_trial(account, family, programme, start_time_ns=at_ns)
    if isinstance(found, Refusal):
        return found
    return refused_for_flag(account, at_ns) or not_verified(account.matches_and_applications, programme, at_ns) or found


def _ban(account: AccountState, command: BanAccount, book: Rulebook, at_ns: int) -> Event | Refusal:
    in_force = book.in_force(at_ns)
    if not in_force:
        return Refusal(Reason.PROGRAMME_UNKNOWN, "start_time", "no programme is in force at this instant")
    found = ban_account(
        account,
        in_force,
        days=command.days,
        start_time_ns=at_ns,
        reason_code=command.reason_code,
        evidence_positions=command.evidence_positions,
    )
    if isinstance(found, Refusal):
        return found
    return unknown_evidence(account.matches_and_applications.metrics, command.evidence_positions) or found


def _change_tier(account: AccountState, command: ChangeTier, book: Rulebook, from_ns: int) -> Event | Refusal:
    until_ns = command.valid_until_ns
    if until_ns is not None and until_ns <= from_ns:
        return Refusal(Reason.INTERVAL_EMPTY, "valid_until", "the grant would end before or when it starts")
    programme = book.programme(command.programme_id, from_ns)
    if isinstance(programme, Refusal):
        return programme
    return change_tier(account, programme, tier=command.tier, valid_from_ns=from_ns, valid_until_ns=until_ns)
