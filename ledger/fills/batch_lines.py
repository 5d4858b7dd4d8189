"""The lines of a batch: its fills that can be priced, sorted by account-day."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ledger.arrays.columns import Ints, starts_of
from ledger.domain.state.rulebook import Market
from ledger.fills.batch import FillBatch


@dataclass(frozen=True, slots=True)
class BatchLines:
    """Fills of a batch sorted by account-day.

    `place` is a place in the batch, `group` one in the keys of the account-days, `market` one in `markets`. Price and
    quantity are mantissas at the scales of the market's symbol. Rates are those of `rate_time_ns` (A25).
    """

    batch: FillBatch
    markets: list[Market]
    place: Ints
    group: Ints
    market: Ints
    price: Ints
    quantity: Ints
    rate_time_ns: Ints

    def __len__(self) -> int:
        return len(self.place)

    def only(self, keep: Ints) -> BatchLines:
        """Return the lines where a boolean array is True."""
        names = ("place", "group", "market", "price", "quantity", "rate_time_ns")
        return replace(self, **{name: getattr(self, name)[keep] for name in names})

    def spans(self) -> Iterator[tuple[int, int, int]]:
        """Return (group, start, end) of each account-day that has lines."""
        starts = starts_of(self.group)
        ends = [*starts.tolist(), len(self)][1:]
        return zip(self.group[starts].tolist(), starts.tolist(), ends, strict=True) if len(self) else iter(())
