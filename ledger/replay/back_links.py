"""Holds each event of a fee stream against the one before it in its account-day, which it names."""

from __future__ import annotations

from collections.abc import Iterable

from ledger.domain.events import Envelope, FeeEvent, Recorded, WriterStarted
from ledger.fills.account_day import AccountDay
from ledger.replay.compare import Difference


class BackLinks:
    """Knows from which term on events of fee streams name the one before them; events of older terms name none."""

    def __init__(self, ledger: Iterable[Recorded]) -> None:
        """Take in events of the stream `ledger`."""
        self._since: int | None = None  # the first such term
        for recorded in ledger:
            self.take(recorded)

    def take(self, recorded: Recorded) -> None:
        """Take in one more event of the log; only WriterStarted matters."""
        if isinstance(recorded.event, WriterStarted) and recorded.event.links_fees:
            self._since = min(self._since or recorded.event.term, recorded.event.term)

    def links(self, term: int) -> bool:
        """Return True if events of fee streams name the one before them in a term."""
        return self._since is not None and term >= self._since

    def differing(self, envelope: Envelope, event: FeeEvent, day: AccountDay) -> list[Difference]:
        """Say how an event differs in the position that it names; the day is as before it."""
        was, expected = event.previous_position, day.last_position if self.links(envelope.writer_term) else 0
        return [] if was == expected else [Difference("previous_position", _shown(was), _shown(expected))]


def _shown(position: int) -> str:
    return str(position) if position else ""
