"""Events that a command decided, decided again: by its request, or else made anew out of what was recorded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from ledger.domain.commands import (
    AccountCommand,
    BountyCommand,
    Command,
    KeptRequest,
    ProgrammeCommand,
    PromotionCommand,
    RecordDailyClose,
    RegisterCommand,
    Request,
    RunEvaluation,
)
from ledger.domain.decide.account import asks_family, decide_account
from ledger.domain.decide.approval import check_approval, if_approved
from ledger.domain.decide.bounty import decide_bounty, week_of
from ledger.domain.decide.daily_close import decide_close
from ledger.domain.decide.decided import Decided, as_recorded
from ledger.domain.decide.evaluation_run import decide_run
from ledger.domain.decide.programme import decide_programme, programme_stream_of
from ledger.domain.decide.promotion import decide_promotion
from ledger.domain.decide.register import decide_register
from ledger.domain.events import CommandRefused, Event, PairClassAssigned, Recorded, SymbolRegistered
from ledger.domain.refusal import Refusal
from ledger.domain.state.rulebook import Rulebook
from ledger.domain.streams import PROMOTIONS, REGISTERS, account_stream, bounty_stream, closes_stream, evaluated_ns
from ledger.replay.compare import Deviation, compared_with_decision, linked, said
from ledger.replay.recorded_commands import commands_behind, registration
from ledger.replay.states import States


def decide_command(
    recorded: Recorded, states: States, request: KeptRequest | None
) -> tuple[list[Deviation], tuple[str, Event] | None]:
    """(what deviates; the event of an owner's stream that must follow at once).

    The command of the request must decide the event, and somebody else approve it where that is asked for. Where no
    request is kept, a command behind the event must.
    """
    found: list[Deviation] = []
    for command, book in _commands(recorded, states, request):
        stream, decided = _decide(command, book, recorded, states)
        now_ns = states.decided_ns(recorded.envelope)
        unapproved = check_approval(book, command, _request(recorded), now_ns)
        decided = if_approved(decided, unapproved if recorded.envelope.request_id else None)
        if isinstance(recorded.event, CommandRefused) and isinstance(decided, Refusal):
            decided = as_recorded(stream, command, decided, now_ns)
        deviations = compared_with_decision(recorded, decided)
        if not deviations:
            return [], linked(decided)
        found = found or deviations
    return found or [said(recorded, f"no command is known that records {type(recorded.event).__name__}")], None


def _commands(recorded: Recorded, states: States, request: KeptRequest | None) -> Iterator[tuple[Command, Rulebook]]:
    """Yield what may have been asked, and of which rulebook. The class of a pair may come with the pair itself."""
    event, book = recorded.event, states.book
    registered = registered_with(recorded, states)
    if registered:
        book = registered[1]
    if request is not None:
        yield from ((command, book) for command in map(partial(_with_instant, recorded), request.commands))
    elif registered and isinstance(event, PairClassAssigned):
        assert isinstance(registered[0].event, SymbolRegistered)
        yield registration(registered[0].event, event), book
    else:
        yield from ((command, book) for command in commands_behind(recorded, book))


def registered_with(recorded: Recorded, states: States) -> tuple[Recorded, Rulebook] | None:
    """Return the terms of a symbol that one request recorded with the class of its pair, and the book before both."""
    symbol = states.registered
    if symbol is None or not isinstance(recorded.event, PairClassAssigned):
        return None
    return symbol if symbol[0].envelope.request_id == recorded.envelope.request_id != "" else None


def _with_instant(recorded: Recorded, command: Command) -> Command:
    """Return a command with the instant that the ledger put in, where none was given to an evaluation."""
    if isinstance(command, RunEvaluation) and command.instant_ns is None:
        return replace(command, instant_ns=evaluated_ns(recorded.stream))
    return command


def _decide(command: Command, book: Rulebook, recorded: Recorded, states: States) -> tuple[str, Decided | Refusal]:
    """Return the stream that a command is for, and what is decided."""
    now_ns = states.decided_ns(recorded.envelope)
    if isinstance(command, RegisterCommand):
        return REGISTERS, decide_register(book, command, now_ns)
    if isinstance(command, ProgrammeCommand):
        return programme_stream_of(command), decide_programme(book, command, now_ns)
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
            last_position=recorded.position - 1,
            recorded_at=states.recorded_at,
            book_at=states.book_at,
        )
    assert isinstance(command, AccountCommand), command
    account = states.account(command.account_id)
    family = states.family(account) if asks_family(command) else ()
    decided = decide_account(account, command, family=family, book=book, now_ns=now_ns)
    return account_stream(command.account_id), decided


def _request(recorded: Recorded) -> Request:
    """Who stood behind an event. That a reason was given is known by its hash."""
    envelope = recorded.envelope
    reason = envelope.reason_sha256.hex()
    by = (envelope.actor, envelope.approver, envelope.ticket)
    return Request(envelope.request_id, envelope.request_sha256, *by, reason=reason)
