"""The account-day that is kept in memory while fills come in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ledger.domain.events import AdjustedLine, CreditEvent, FeeAdjusted, FeeEvent, KnownLine
from ledger.domain.state.volume_cells import CellSums, add_totals, count_credit, to_totals


class AccountDay:
    """The running totals of one account-day, and a digest of every exec_id."""

    __slots__ = ("digests", "sums", "time_max_so_far_ns")

    def __init__(self, digests: Iterable[int] = (), last: FeeEvent | None = None) -> None:
        """Take from the log the digest of every exec_id, and the totals after the last event."""
        self.digests: set[int] = set(digests)
        self.sums: CellSums = {}
        self.time_max_so_far_ns = 0
        if last is not None:
            add_totals(self.sums, last.totals)
            self.time_max_so_far_ns = last.time_max_so_far_ns

    def credit(self, event: CreditEvent) -> CreditEvent:
        """Update the totals by a credit of the day, or by its withdrawal; return the event with the totals after it."""
        count_credit(self.sums, event)
        self.time_max_so_far_ns = max(self.time_max_so_far_ns, event.time_min_ns)
        return replace(event, time_max_so_far_ns=self.time_max_so_far_ns, totals=to_totals(self.sums))


def adjusted(known: KnownLine, event: FeeAdjusted, line: AdjustedLine) -> KnownLine:
    """Return a line as it is after one more adjustment."""
    after = line.after
    now = known.line._replace(traits=after.traits, price=after.price, quantity=after.quantity, fee=after.fee)
    return KnownLine(now, event.symbols[after.symbol_index], event.bases[after.basis_index])
