"""Finds the decision that a command asks for: the writer and the audit both go this way, each with its own states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from ledger.domain.commands import (
    BountyCommand,
    Command,
    CreditFee,
    FactCommand,
    ProgrammeCommand,
    PromotionCommand,
    RecordDailyClose,
    RegisterCommand,
    RunEvaluation,
    SharedFactCommand,
    WithdrawCredit,
    WithdrawFact,
)
from ledger.domain.decide.account import asks_family, decide_account
from ledger.domain.decide.bounty import Round, decide_bounty, week_of
from ledger.domain.decide.credit import decide_credit, decide_credit_withdrawal
from ledger.domain.decide.daily_close import Closes, decide_close
from ledger.domain.decide.decided import Decided
from ledger.domain.decide.evaluation_run import EvaluationState, decide_run
from ledger.domain.decide.facts import AccountFacts
from ledger.domain.decide.programme import decide_programme, programme_stream_of
from ledger.domain.decide.promotion import Promotions, decide_promotion
from ledger.domain.decide.register import decide_register
from ledger.domain.decide.release import decide_fact
from ledger.domain.decide.shared_facts import decide_shared_fact, refused_as_shared
from ledger.domain.decide.withdrawal import decide_withdrawal
from ledger.domain.events import CommandRefused, Recorded
from ledger.domain.refusal import Refusal
from ledger.domain.state.account import AccountState
from ledger.domain.state.rulebook import Rulebook
from ledger.domain.streams import PROMOTIONS, REGISTERS, account_stream, bounty_stream, closes_stream


class States(Protocol):
    """The states before a command, each asked for only where a decision needs it.

    `account_events` are all of an account, `fee_lines` the number of lines of each of its fee streams, from the UTC day
    of an instant on. `family` are the other accounts that share an owner with one. `recorded_at` says when a position
    was recorded, in ns, or 0 where the log has not reached it; `book_at` gives the rules that were known up to a
    position. `credits_with` are the credits and withdrawals of the account-day that has a credit at a position, if any.
    """

    def account(self, account_id: str, /) -> AccountState: ...
    def account_events(self, account_id: str, /) -> Sequence[Recorded]: ...
    def fee_lines(self, account_id: str, from_ns: int, /) -> Mapping[str, int]: ...
    def credits_with(self, position: int, /) -> Sequence[Recorded]: ...
    def family(self, account: AccountState, /) -> Sequence[AccountState]: ...
    def promotions(self) -> Promotions: ...
    def round(self, week: str, /) -> Round: ...
    def closes(self, asset: str, /) -> Closes: ...
    def evaluation(self, stream: str, /) -> EvaluationState: ...
    def recorded_at(self, position: int, /) -> int: ...
    def book_at(self, position: int, /) -> Rulebook: ...


def decide(
    command: Command, book: Rulebook, states: States, *, now_ns: int, last_position: int
) -> tuple[str, Decided | Refusal]:
    """Return the stream that a command is for, and the decision. The log ends at `last_position`."""
    if isinstance(command, RegisterCommand):
        return REGISTERS, decide_register(book, command, now_ns)
    if isinstance(command, ProgrammeCommand):
        return programme_stream_of(command), decide_programme(book, command, now_ns)
    if isinstance(command, SharedFactCommand):
        return decide_shared_fact(book, command, now_ns)
    if isinstance(command, PromotionCommand):
        return PROMOTIONS, decide_promotion(states.promotions(), command, states.account, book, now_ns)
    if isinstance(command, BountyCommand):
        week = week_of(command, now_ns)
        return bounty_stream(week), decide_bounty(states.round(week), command, states.account, book, now_ns)
    if isinstance(command, RecordDailyClose):
        return closes_stream(command.asset), decide_close(states.closes(command.asset), command, book, now_ns)
    if isinstance(command, RunEvaluation):
        return decide_run(
            command,
            book,
            states.evaluation,
            now_ns=now_ns,
            last_position=last_position,
            recorded_at=states.recorded_at,
            book_at=states.book_at,
        )
    if isinstance(command, CreditFee):
        is_known = _is_known(command.account_id, states)
        return account_stream(command.account_id), decide_credit(command, book, is_known=is_known)
    if isinstance(command, WithdrawCredit):
        of_day = states.credits_with(command.credit_position)
        return account_stream(command.account_id), decide_credit_withdrawal(command, of_day)
    account = states.account(command.account_id)
    if isinstance(command, FactCommand):
        facts = AccountFacts(command.account_id, states.account_events(command.account_id))
        if (refused := refused_as_shared(book, facts, command)) is not None:
            return account_stream(command.account_id), refused
        if isinstance(command, WithdrawFact):
            return account_stream(command.account_id), decide_withdrawal(facts, command, now_ns)
        return account_stream(command.account_id), decide_fact(facts, account, command, now_ns)
    family = states.family(account) if asks_family(command) else ()
    decided = decide_account(account, command, family=family, book=book, now_ns=now_ns)
    return account_stream(command.account_id), decided


def _is_known(account_id: str, states: States) -> bool:
    """Return True if the ledger has heard of an account: a command on it that was refused says nothing."""
    heard = any(not isinstance(recorded.event, CommandRefused) for recorded in states.account_events(account_id))
    return heard or bool(states.fee_lines(account_id, 0))
