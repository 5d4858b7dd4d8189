"""R25 and every decision that one person must not take alone: four eyes, where the programme asks for them."""

from __future__ import annotations

from collections.abc import Iterator

from ledger.domain.commands import (
    ChangeTier,
    Command,
    CreditFee,
    FactCommand,
    PublishProgramme,
    RecordDailyClose,
    RegisterSymbol,
    Request,
    SharedFactCommand,
    WithdrawCredit,
)
from ledger.domain.decide.decided import Decided
from ledger.domain.refusal import Reason, Refusal
from ledger.domain.state.programme import Programme
from ledger.domain.state.rulebook import Rulebook


def check_approval(book: Rulebook, command: Command, request: Request, now_ns: int) -> Refusal | None:
    """Refuse a command that its actor and approver may not give.

    The programmes in force now are asked, not those at the time of effect: nobody gets around it by another date.
    """
    if not needs_approval(book, command, now_ns):
        return None
    name = command_name(book, command)
    if not request.actor:
        return Refusal(Reason.ACTOR_REQUIRED, "authority.actor", f"{name} needs two persons: say who asks")
    if not request.approver:
        return Refusal(Reason.APPROVER_REQUIRED, "authority.approver", f"{name} needs a second person who approves")
    if request.approver == request.actor:
        detail = f"{request.actor} asks for {name} and cannot approve it too"
        return Refusal(Reason.APPROVER_IS_ACTOR, "authority.approver", detail)
    if isinstance(command, ChangeTier) and not request.reason:
        return Refusal(Reason.REASON_REQUIRED, "authority.reason", "say why the tier is changed by hand")
    return None


def if_approved(decided: Decided | Refusal, unapproved: Refusal | None) -> Decided | Refusal:
    """Return what is decided of a command, or why two persons must ask for it, if nothing is said before that."""
    if unapproved is None or (isinstance(decided, Refusal) and decided.reason < unapproved.reason):
        return decided
    return unapproved


def needs_approval(book: Rulebook, command: Command, now_ns: int) -> bool:
    """Return True if two persons must give a command together.

    A programme is never published by one alone, and so it is with what becomes of posted fees, and credits by hand.
    """
    if isinstance(command, PublishProgramme | FactCommand | SharedFactCommand | CreditFee | WithdrawCredit):
        return True
    name = command_name(book, command)
    # The terms of a symbol concern every programme, whichever of them the class is for.
    named = "" if isinstance(command, RegisterSymbol) else getattr(command, "programme_id", "")
    return any(name in programme.approval for programme in _programmes_asked(book, named, now_ns))


def command_name(book: Rulebook, command: Command) -> str:
    """Return the name of a command in the contract and in the programme file.

    A command that overrides a rule, that nobody asked for, or that changes what a symbol is, has a name of its own.
    """
    if isinstance(command, RecordDailyClose) and command.restates:
        return "RestateDailyClose"
    if isinstance(command, RegisterSymbol) and command.symbol in book.symbols:
        return "RegisterSymbol.again"
    variant = next((name for name in ("override", "automatic") if getattr(command, name, False)), "")
    return f"{type(command).__name__}.{variant}" if variant else type(command).__name__


def _programmes_asked(book: Rulebook, programme_id: str, now_ns: int) -> Iterator[Programme]:
    """Yield the programme named, or every one: its version in force, or its first one if none is yet."""
    for name, versions in book.programmes.items():
        if programme_id in ("", name):
            started = [programme for start_ns, programme in versions if start_ns <= now_ns]
            yield started[-1] if started else versions[0][1]
