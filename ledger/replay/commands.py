"""Decides the events of commands again: by the kept request, or else by a command made anew out of the event."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from ledger.domain.commands import Command, KeptRequest, Request, RunEvaluation
from ledger.domain.decide.approval import check_approval, if_approved
from ledger.domain.decide.decided import Decided, as_recorded
from ledger.domain.decide.dispatch import decide
from ledger.domain.events import CommandRefused, CreditEvent, Event, PairClassAssigned, Recorded, SymbolRegistered
from ledger.domain.refusal import Refusal
from ledger.domain.state.rulebook import Rulebook
from ledger.domain.streams import day_key, evaluated_ns
from ledger.replay.compare import Deviation, compared_with_decision, linked, said
from ledger.replay.recorded_commands import commands_of, registration
from ledger.replay.states import States


def decide_command(
    recorded: Recorded, states: States, request: KeptRequest | None
) -> tuple[list[Deviation], tuple[str, Event] | None]:
    """Return (the deviations; the event of an owner's stream that must follow at once).

    The command of the request must decide the event, and somebody else approve it where that is asked for. Where no
    request is kept, one of the commands that can have led to the event must.
    """
    found: list[Deviation] = []
    for command, book in _commands(recorded, states, request):
        now_ns = states.decided_ns(recorded.envelope)
        stream, decided = decide(command, book, states, now_ns=now_ns, last_position=recorded.position - 1)
        unapproved = check_approval(book, command, _request(recorded), now_ns)
        decided = if_approved(decided, unapproved if recorded.envelope.request_id else None)
        if isinstance(recorded.event, CommandRefused) and isinstance(decided, Refusal):
            decided = as_recorded(stream, command, decided, now_ns)
        deviations = compared_with_decision(recorded, _on_its_day(recorded, decided, states))
        if not deviations:
            return [], linked(decided)
        found = found or deviations
    return found or [said(recorded, f"no command is known that records {type(recorded.event).__name__}")], None


def _commands(recorded: Recorded, states: States, request: KeptRequest | None) -> Iterator[tuple[Command, Rulebook]]:
    """Yield each command that may have been given, with its rulebook. The class of a pair may come with the pair."""
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
        yield from ((command, book) for command in commands_of(recorded, book))


def _on_its_day(recorded: Recorded, decided: Decided | Refusal, states: States) -> Decided | Refusal:
    """Return a credit, or a withdrawal, with what follows from its account-day, which is compared by itself."""
    if isinstance(decided, Refusal) or not isinstance(recorded.event, CreditEvent):
        return decided
    ((stream, event),) = decided.events
    if isinstance(event, CreditEvent):
        latest_ns = max(states.day(day_key(stream)).time_max_so_far_ns, event.time_min_ns)
        before = recorded.event.previous_position
        event = replace(event, time_max_so_far_ns=latest_ns, totals=recorded.event.totals, previous_position=before)
    return replace(decided, events=((stream, event),))


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


def _request(recorded: Recorded) -> Request:
    """Return who asked for an event. That a reason was given is known by its hash."""
    envelope = recorded.envelope
    reason = envelope.reason_sha256.hex()
    by = (envelope.actor, envelope.approver, envelope.ticket)
    return Request(envelope.request_id, envelope.request_sha256, *by, reason=reason)
