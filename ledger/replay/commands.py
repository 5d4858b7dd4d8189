"""Events that a command decided, decided again: the command is made anew out of what was recorded."""

from __future__ import annotations

from collections.abc import Iterator

from ledger.domain.commands import (
    AccountCommand,
    BountyCommand,
    Command,
    ProgrammeCommand,
    PromotionCommand,
    RecordDailyClose,
    RegisterCommand,
    Request,
    RunEvaluation,
)
from ledger.domain.decide.account import asks_family, decide_account
from ledger.domain.decide.approval import check_approval
from ledger.domain.decide.bounty import decide_bounty
from ledger.domain.decide.daily_close import decide_close
from ledger.domain.decide.decided import Decided
from ledger.domain.decide.evaluation_run import decide_run
from ledger.domain.decide.programme import decide_programme
from ledger.domain.decide.promotion import decide_promotion
from ledger.domain.decide.register import decide_register
from ledger.domain.events import Event, PairClassAssigned, Recorded, SymbolRegistered
from ledger.domain.refusal import Refusal
from ledger.domain.state.rulebook import Rulebook
from ledger.replay.compare import Deviation, compared_with_decision, linked, said
from ledger.replay.recorded_commands import commands_behind, registration
from ledger.replay.states import States


def decide_command(recorded: Recorded, states: States) -> tuple[list[Deviation], tuple[str, Event] | None]:
    """(what deviates; the event of an owner's stream that must follow at once).

    A command behind the event must decide it, and somebody else approve it where that is asked for.
    """
    found: list[Deviation] = []
    for command, book in _commands(recorded, states):
        decided = _decide(command, book, recorded, states)
        deviations = compared_with_decision(recorded, decided)
        unapproved = check_approval(book, command, _request(recorded), states.decided_ns(recorded.envelope))
        if unapproved and recorded.envelope.request_id:
            deviations.append(said(recorded, f"refused now: {unapproved.reason.name}", ruled=True))
        if not deviations:
            return [], linked(decided)
        found = found or deviations
    return found or [said(recorded, f"no command is known that records {type(recorded.event).__name__}")], None


def _commands(recorded: Recorded, states: States) -> Iterator[tuple[Command, Rulebook]]:
    """Yield what may have been asked, and of which rulebook. The class of a pair may come with the pair itself."""
    event = recorded.event
    if isinstance(event, PairClassAssigned) and states.registered and _together(states.registered[0], recorded):
        symbol, book = states.registered
        assert isinstance(symbol.event, SymbolRegistered)
        yield registration(symbol.event, event), book
        return
    for command in commands_behind(recorded, states.book):
        yield command, states.book


def _decide(command: Command, book: Rulebook, recorded: Recorded, states: States) -> Decided | Refusal:
    now_ns = states.decided_ns(recorded.envelope)
    if isinstance(command, RegisterCommand):
        return decide_register(book, command, now_ns)
    if isinstance(command, ProgrammeCommand):
        return decide_programme(book, command, now_ns)
    if isinstance(command, PromotionCommand):
        return decide_promotion(states.promotions(), command, states.account, book, now_ns)
    if isinstance(command, BountyCommand):
        week = recorded.stream.partition("/")[2]
        return decide_bounty(states.round(week), command, states.account, book, now_ns)
    if isinstance(command, RecordDailyClose):
        return decide_close(states.closes(command.asset), command, book, now_ns)
    if isinstance(command, RunEvaluation):
        last = recorded.position - 1
        return decide_run(
            command,
            book,
            states.evaluation,
            now_ns=now_ns,
            last_position=last,
            recorded_at=states.recorded_at,
            book_at=states.book_at,
        )[1]
    assert isinstance(command, AccountCommand), command
    account = states.account(command.account_id)
    family = states.family(account) if asks_family(command) else ()
    return decide_account(account, command, family=family, book=book, now_ns=now_ns)


def _request(recorded: Recorded) -> Request:
    """Who stood behind an event. That a reason was given is known by its hash."""
    envelope = recorded.envelope
    reason = envelope.reason_sha256.hex()
    by = (envelope.actor, envelope.approver, envelope.ticket)
    return Request(envelope.request_id, envelope.request_sha256, *by, reason=reason)


def _together(first: Recorded, second: Recorded) -> bool:
    """Return whether one request recorded both."""
    return first.envelope.request_id == second.envelope.request_id != ""
