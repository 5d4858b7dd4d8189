"""The result of every decision."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.domain.commands import Command
from ledger.domain.events import CommandRefused, Event
from ledger.domain.refusal import Refusal


@dataclass(frozen=True, slots=True)
class Decided:
    """The events that a command records, with the streams they go to; all take effect at one instant."""

    effective_time_ns: int
    events: tuple[tuple[str, Event], ...]


def as_recorded(stream: str, command: Command, refusal: Refusal, now_ns: int) -> Decided:
    """Return the event that records a command which the state of the ledger does not allow."""
    event = CommandRefused(type(command).__name__, refusal.reason, refusal.field, refusal.detail)
    return Decided(now_ns, ((stream, event),))
