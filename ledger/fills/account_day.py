"""What the ledger holds of one account on one UTC day while fills come in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from ledger.arrays.columns import Ints, in_order, starts_of
from ledger.domain.events import AdjustedLine, FeeAdjusted, FeeEvent, KnownLine
from ledger.domain.instants import DAY_NS
from ledger.domain.state.volume_cells import Sums, add_totals, exact, restate
from ledger.fills.batch import FillBatch

DayKey = tuple[str, int]  # account id, UTC day since 1970
KnownLines = dict[tuple[str, str], KnownLine]  # by (venue, exec_id)


class AccountDay:
    """Running totals of one account-day, and a digest of every exec_id."""

    __slots__ = ("digests", "sums", "time_max_so_far_ns")

    def __init__(self, digests: Iterable[int] = (), last: FeeEvent | None = None) -> None:
        """As the log says it: the digest of every exec_id, and the totals after the last event."""
        self.digests: set[int] = set(digests)
        self.sums: Sums = {}
        self.time_max_so_far_ns = 0
        if last is not None:
            add_totals(self.sums, last.totals)
            self.time_max_so_far_ns = last.time_max_so_far_ns

    def adjust(self, event: FeeAdjusted) -> None:
        """Move the totals on by an adjustment of the day."""
        for line in event.lines:
            restate(self.sums, event, line)


def remember(lines: KnownLines, event: FeeEvent) -> None:
    """Add the lines of an event to those before them, with their fees as they are now."""
    if isinstance(event, FeeAdjusted):
        for line in event.lines:
            name = (line.venue, line.exec_id)
            lines[name] = adjusted(lines[name], event, line)
    else:
        lines.update(((event.venue, known.line.exec_id), known) for known in event.known_lines())


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

    def of_each(self) -> Ints:
        """Of each fill in order the number of its account-day."""
        return np.repeat(np.arange(len(self.keys)), self.starts[1:] - self.starts[:-1])


def by_account_day(batch: FillBatch) -> AccountDays:
    """Sort a batch."""
    days = batch.transact_time_ns // DAY_NS
    if len(days) == 1:
        return AccountDays([(batch.accounts[int(batch.account[0])], int(days[0]))], np.zeros(1, np.int64), np.arange(2))
    first_day = int(days.min())
    span = int(days.max()) - first_day + 1
    order, codes = in_order(batch.account * span + (days - first_day))
    starts = starts_of(codes)
    keys = [(batch.accounts[code // span], code % span + first_day) for code in codes[starts].tolist()]
    return AccountDays(keys, order, np.append(starts, len(codes)))
