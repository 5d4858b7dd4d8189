"""What every decision gives."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.domain.events import Event


@dataclass(frozen=True, slots=True)
class Decided:
    """What a command records: events with the streams they go to, all taking effect at one instant."""

    effective_time_ns: int
    events: tuple[tuple[str, Event], ...]
