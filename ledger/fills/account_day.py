"""The account-day that is kept in memory while fills come in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ledger.domain.events import AdjustedLine, CreditEvent, FeeAdjusted, FeeEvent, KnownLine, Recorded
from ledger.domain.state.volume_cells import CellSums, add_totals, count_credit, to_totals


class AccountDay:
    """The running totals of one account-day, a digest of every exec_id, and the position of its last event."""

    __slots__ = ("digests", "last_position", "sums", "time_max_so_far_ns")

    def __init__(self, digests: Iterable[int] = (), last: Recorded | None = None) -> None:
        """Take from the log the digest of every exec_id, and the last event, with the totals after it."""
        self.digests: set[int] = set(digests)
        self.sums: CellSums = {}
        self.time_max_so_far_ns = 0
        self.last_position = 0  # 0: it has no event
        if last is not None:
            assert isinstance(last.event, FeeEvent), last
            add_totals(self.sums, last.event.totals)
            self.time_max_so_far_ns = last.event.time_max_so_far_ns
            self.last_position = last.position

    def append(self, position: int) -> int:
        """Let the day end with an event at a position; return that of the event before it, which it names."""
        before, self.last_position = self.last_position, position
        return before

    def credit(self, event: CreditEvent, position: int) -> CreditEvent:
        """Count a credit of the day, or its withdrawal, which will lie at a position.

        Return the event as it is recorded: with the totals after it, and the event before it.
        """
        count_credit(self.sums, event)
        self.time_max_so_far_ns = max(self.time_max_so_far_ns, event.time_min_ns)
        return replace(
            event,
            time_max_so_far_ns=self.time_max_so_far_ns,
            totals=to_totals(self.sums),
            previous_position=self.append(position),
        )


def adjusted(known: KnownLine, event: FeeAdjusted, line: AdjustedLine) -> KnownLine:
    """Return a line as it is after one more adjustment."""
    after = line.after
    now = known.line._replace(traits=after.traits, price=after.price, quantity=after.quantity, fee=after.fee)
    return KnownLine(now, event.symbols[after.symbol_index], event.bases[after.basis_index])
