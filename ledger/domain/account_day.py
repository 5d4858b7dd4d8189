"""What the ledger holds of one account on one UTC day while fills come in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from ledger.domain.columns import Ints, in_order, starts_of
from ledger.domain.events import AdjustedLine, FeeAdjusted, FeeEvent, KnownLine
from ledger.domain.fill_batch import FillBatch
from ledger.domain.instants import DAY_NS
from ledger.domain.totals import Sums, add_totals, exact, restate

DayKey = tuple[str, int]  # account id, UTC day since 1970


class AccountDay:
    """Running totals, and a digest of every exec_id.

    The digest has 64 bits: it only ever says "look closer", so a collision costs a read, never an
    answer. `known` holds the lines themselves, by (venue, exec_id), once a digest has hit. `counted_bytes` is what
    whoever holds the day has counted it for.
    """

    __slots__ = ("counted_bytes", "digests", "known", "sums", "time_max_so_far_ns")

    def __init__(self) -> None:
        self.digests: set[int] = set()
        self.sums: Sums = {}
        self.time_max_so_far_ns = 0
        self.counted_bytes = 0
        self.known: dict[tuple[str, str], KnownLine] | None = None

    def load(self, exec_id_digests: Iterable[int], last: FeeEvent | None) -> None:
        """Take over what the log says: the digest of every exec_id, and the totals after the last event."""
        self.digests.update(exec_id_digests)
        if last is not None:
            add_totals(self.sums, last.totals)
            self.time_max_so_far_ns = last.time_max_so_far_ns

    def remember(self, event: FeeEvent) -> None:
        """Hold the lines of an event for comparison, with their fees as they are now."""
        if self.known is None:
            self.known = {}
        if isinstance(event, FeeAdjusted):
            for line in event.lines:
                name = (line.venue, line.exec_id)
                self.known[name] = adjusted(self.known[name], event, line)
            return
        self.known.update(((event.venue, known.line.exec_id), known) for known in event.known_lines())

    def adjust(self, event: FeeAdjusted) -> None:
        """Move the totals on by an adjustment of the day."""
        for line in event.lines:
            restate(self.sums, event, line)


def adjusted(known: KnownLine, event: FeeAdjusted, line: AdjustedLine) -> KnownLine:
    """A line with its fee after one more adjustment."""
    basis = event.bases[line.basis_after]
    return known._replace(line=known.line._replace(fee=exact(line.fee_after, basis.fee_decimals)), basis=basis)


class AccountDays(NamedTuple):
    """The fills of a batch by account-day: `order` are their places so sorted, otherwise as they came.

    The fills of `keys[n]` are order[starts[n] : starts[n + 1]].
    """

    keys: list[DayKey]
    order: Ints
    starts: Ints


def by_account_day(batch: FillBatch) -> AccountDays:
    """Sort a batch."""
    days = batch.transact_time_ns // DAY_NS
    first_day = int(days.min())
    span = int(days.max()) - first_day + 1
    order, codes = in_order(batch.account * span + (days - first_day))
    starts = starts_of(codes)
    keys = [(batch.accounts[code // span], code % span + first_day) for code in codes[starts].tolist()]
    return AccountDays(keys, order, np.append(starts, len(codes)))


def suspects(batch: FillBatch, groups: AccountDays, days: Sequence[AccountDay]) -> set[DayKey]:
    """Days, of those of `groups.keys`, in which an id may have been recorded whose lines are not at hand."""
    digests, starts = batch.digests[groups.order].tolist(), groups.starts.tolist()
    return {
        key
        for key, day, start, end in zip(groups.keys, days, starts, starts[1:], strict=False)
        if day.digests and day.known is None and not day.digests.isdisjoint(digests[start:end])
    }
