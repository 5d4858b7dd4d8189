"""Joins runs of fills to one batch: columns of many commits, to be decided at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np

from ledger.arrays.columns import Ints
from ledger.domain.events import Basis, SymbolTerms, VolumeRecorded
from ledger.domain.streams import DayKey
from ledger.domain.traits import DECIDED_TRAITS
from ledger.fills.batch import NOT_SAID, AccountDays, FillBatch
from ledger.fills.joined_columns import joined_ints, joined_texts

_ASKED: Final = ("owner_id", "counterparty_owner_id", "token", "token_price")  # texts that a decision asks about

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Joined:
    """Runs of one venue as they may have been sent, and the recorded columns of their lines.

    `terms`, `bases` and `sources` are places in `all_terms`, `all_bases` and of (run, source) pairs.
    """

    batch: FillBatch
    groups: AccountDays  # one to a run
    all_terms: list[SymbolTerms]
    terms: Ints
    all_bases: list[Basis]
    bases: Ints
    traits: Ints
    fee: Ints
    source: Ints
    sequence_offset: Ints
    time_offset_ns: Ints

    @property
    def starts(self) -> Ints:
        """Return the first line of each run."""
        return self.groups.starts[:-1]


def join(runs: Sequence[VolumeRecorded], keys: Sequence[DayKey]) -> Joined:
    """Join runs in order, all of them `joinable`. Raises ValueError or IndexError where one is not as we write it."""
    sizes = [len(run) for run in runs]
    size = np.array(sizes)
    starts = np.append(0, np.cumsum(size))
    terms, all_terms = _coded([run.symbols for run in runs], joined_ints(runs, sizes, "symbol_index"), size)
    bases, all_bases = _coded([run.bases for run in runs], joined_ints(runs, sizes, "basis_index"), size)
    source = _places([len(run.sources) for run in runs], joined_ints(runs, sizes, "source_index"), size)
    traits = joined_ints(runs, sizes, "traits")
    symbols: dict[str, int] = {}
    symbol = np.array([symbols.setdefault(each.symbol, len(symbols)) for each in all_terms])
    product, price_scale, quantity_scale = (np.array([each[field] for each in all_terms]) for field in (2, 3, 4))
    accounts: dict[str, int] = {}
    account = np.array([accounts.setdefault(account_id, len(accounts)) for account_id, _ in keys])
    price, quantity = joined_ints(runs, sizes, "price"), joined_ints(runs, sizes, "quantity")
    if min(int(price.min()), int(quantity.min())) < 1:
        raise ValueError("a price or a quantity is not positive")
    offsets = joined_ints(runs, sizes, "time_offset_ns")
    count = int(starts[-1])
    batch = FillBatch(
        runs[0].venue,
        "",
        accounts=list(accounts),
        symbols=list(symbols),
        sources=[""],
        index=np.arange(count),
        account=np.repeat(account, size),
        symbol=symbol[terms],
        source=np.zeros(count, dtype=np.int64),
        sequence=np.zeros(count, dtype=np.int64),
        exec_id=joined_texts(runs, sizes, "exec_id"),
        traits=traits & ~DECIDED_TRAITS,
        product=product[terms],
        price=price,
        price_decimals=price_scale[terms],
        quantity=quantity,
        quantity_decimals=quantity_scale[terms],
        transact_time_ns=np.repeat(np.array([run.time_min_ns for run in runs]), size) + offsets,
        order_time_ns=joined_ints(runs, sizes, "order_time_ns") if _any(runs, "order_time_ns") else NOT_SAID,
        **{name: joined_texts(runs, sizes, name) if _any(runs, name) else NOT_SAID for name in _ASKED},
    )
    return Joined(
        batch,
        AccountDays(list(keys), np.arange(count), starts),
        all_terms,
        terms,
        all_bases,
        bases,
        traits,
        joined_ints(runs, sizes, "fee", signed=True),
        source,
        joined_ints(runs, sizes, "sequence_offset"),
        offsets,
    )


def joinable(run: VolumeRecorded) -> bool:
    """Return True if a run can be decided together with others: its amounts are int64, and no column is cut short."""
    count = len(run)
    return count > 0 and not run.columns.wide and not any(len(column) % count for column in run.columns[:-1])


def _any(runs: Sequence[VolumeRecorded], name: str) -> bool:
    return any(getattr(run.columns, name) for run in runs)


def _places(lists: Sequence[int], index: Ints, size: Ints) -> Ints:
    """Turn places in the list of each run into places in all lists joined.

    For example with lists of 2 and 3 values, place 1 of the second one is place 3.
    """
    lengths = np.array(lists)
    if (index >= np.repeat(lengths, size)).any():
        raise IndexError("a line refers to what its run does not name")
    firsts: Ints = np.cumsum(lengths) - lengths
    places: Ints = np.repeat(firsts, size) + index
    return places


def _coded(lists: Sequence[Sequence[T]], index: Ints, size: Ints) -> tuple[Ints, list[T]]:
    """Return (the code of the value that each line refers to, the different values by code)."""
    codes: dict[T, int] = {}
    flat = np.array([codes.setdefault(value, len(codes)) for values in lists for value in values])
    coded: Ints = flat[_places([len(values) for values in lists], index, size)]
    return coded, list(codes)
