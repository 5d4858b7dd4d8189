"""What every decision gives."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.domain.commands import Command
from ledger.domain.events import CommandRefused, Event
from ledger.domain.refusal import Refusal


@dataclass(frozen=True, slots=True)
class Decided:
    """What a command records: events with the streams they go to, all taking effect at one instant."""

    effective_time_ns: int
    events: tuple[tuple[str, Event], ...]


def as_recorded(stream: str, command: Command, refusal: Refusal, now_ns: int) -> Decided:
    """Return what is recorded of a command that the state of the ledger does not allow."""
    event = CommandRefused(type(command).__name__, refusal.reason, refusal.field, refusal.detail)
    return Decided(now_ns, ((stream, event),))
