"""The lines of account-days as they are posted now, as columns: what runs recorded, and what adjustments made of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import numpy as np

from ledger.arrays.columns import Ints, Texts, is_wide, texts, wide
from ledger.domain.events import Basis, FeeAdjusted, Recorded, SymbolTerms, VolumeRecorded
from ledger.domain.pricing.plan import Payment
from ledger.fills.adjusted_lines import AdjustedLines, ValueColumns
from ledger.fills.joined_columns import joined_ints, joined_texts
from ledger.fills.lines import amounts

T = TypeVar("T")

_AMOUNTS: Final = ("price", "quantity", "fee")


class Codes(Generic[T]):
    """Different values by code, which is their place in `values`."""

    def __init__(self) -> None:
        self.values: list[T] = []
        self._code_of: dict[T, int] = {}

    def code(self, value: T) -> int:
        """Return the code of a value, which is given one."""
        code = self._code_of.setdefault(value, len(self.values))
        if code == len(self.values):
            self.values.append(value)
        return code

    def of(self, values: Iterable[T]) -> Ints:
        """Return the codes of some values."""
        return np.array([self.code(value) for value in values], dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Lines [start, end) of a fill run."""

    recorded: Recorded
    start: int
    end: int

    @property
    def run(self) -> VolumeRecorded:
        """The run."""
        assert isinstance(self.recorded.event, VolumeRecorded), self.recorded
        return self.recorded.event

    def __len__(self) -> int:
        return self.end - self.start


@dataclass(slots=True)
class PostedLines:
    """Lines as they are now, in the order of positions and numbers.

    A line is number `line` of the run at `position`. It counts by the facts known at `known_at`: its own position, or
    that of its last adjustment by a release of the software that compared grants. `currency` is the one that it was
    charged in then. Codes are those of the lists beside them.
    """

    position: Ints
    line: Ints
    known_at: Ints
    venues: Codes[str]
    venue: Ints
    symbols: Codes[SymbolTerms]
    symbol: Ints
    bases: Codes[Basis]
    basis: Ints
    currencies: Codes[str]
    currency: Ints
    payments: Codes[Payment]
    payment: Ints
    counterparty: Texts  # the owner of the other side, where the engine named no owner of this one
    exec_id: Texts
    time_ns: Ints
    order_time_ns: Ints  # 0: not said
    traits: Ints
    price: Ints
    quantity: Ints
    fee: Ints

    def __len__(self) -> int:
        return len(self.position)


def whole(runs: Iterable[Recorded]) -> Iterator[Stretch]:
    """Yield all lines of some runs."""
    return (Stretch(each, 0, len(each.event)) for each in runs if isinstance(each.event, VolumeRecorded))


def posted_lines(stretches: Sequence[Stretch], adjustments: Iterable[Recorded]) -> PostedLines:
    """Return lines of runs of one account, at least one, as they are after adjustments, which come in their order.

    Adjustments of other lines are left out.
    """
    columns = _Columns(stretches)
    venues, symbols, bases = Codes[str](), Codes[SymbolTerms](), Codes[Basis]()
    currencies, payments = Codes[str](), Codes[Payment]()
    basis = columns.referred("basis_index", [bases.of(each.run.bases) for each in stretches])
    symbol = columns.referred("symbol_index", [symbols.of(each.run.symbols) for each in stretches])
    charged_in = currencies.of(each.fee_currency for each in bases.values)
    position = columns.of_runs([each.recorded.position for each in stretches])
    lines = PostedLines(
        position=position,
        line=columns.numbers(),
        known_at=position.copy(),
        venues=venues,
        venue=columns.of_runs([venues.code(each.run.venue) for each in stretches]),
        symbols=symbols,
        symbol=symbol,
        bases=bases,
        basis=basis,
        currencies=currencies,
        currency=charged_in[basis],
        payments=payments,
        payment=_payments(columns, payments),
        counterparty=_counterparties(columns),
        exec_id=columns.texts("exec_id"),
        time_ns=columns.of_runs([each.run.time_min_ns for each in stretches]) + columns.ints("time_offset_ns"),
        order_time_ns=columns.ints("order_time_ns"),
        traits=columns.ints("traits"),
        **{name: columns.amounts(name) for name in _AMOUNTS},
    )
    for recorded in adjustments:
        _adjust(lines, recorded, stretches, columns.sizes)
    return lines


class _Columns:
    """The columns of some stretches, joined in their order."""

    def __init__(self, stretches: Sequence[Stretch]) -> None:
        self.sizes = [len(each) for each in stretches]
        self._stretches = stretches
        self._runs = [each.run for each in stretches]
        self._lengths = list(map(len, self._runs))
        self._cut: Ints | None = None  # places of the lines among all of the runs; None: they are all
        if self.sizes != self._lengths:
            begins = np.cumsum([0, *self._lengths[:-1]]).tolist()
            spans = zip(begins, stretches, strict=True)
            self._cut = np.concatenate([np.arange(each.start, each.end) + begin for begin, each in spans])

    def of_runs(self, values: Sequence[int]) -> Ints:
        """Return a value of each run for each of its lines."""
        return np.repeat(np.array(values, dtype=np.int64), self.sizes)

    def numbers(self) -> Ints:
        """Return the number of each line in its run."""
        found: Ints = np.concatenate([np.arange(each.start, each.end) for each in self._stretches])
        return found

    def ints(self, name: str, *, signed: bool = False) -> Ints:
        """Return a column of integers; 0 where a run says nothing. Raises ValueError for one beyond INT64_ROOM."""
        return self._of_lines(joined_ints(self._runs, self._lengths, name, signed=signed))

    def referred(self, name: str, codes: Sequence[Ints]) -> Ints:
        """Return the code of what each line refers to by its place in a list of its run."""
        firsts = np.cumsum([0, *map(len, codes[:-1])])
        found: Ints = np.concatenate(list(codes))[self.of_runs(firsts.tolist()) + self.ints(name)]
        return found

    def texts(self, name: str) -> Texts:
        """Return a column of texts."""
        found: Texts = self._of_lines(joined_texts(self._runs, self._lengths, name))
        return found

    def amounts(self, name: str) -> Ints:
        """Return a column of amounts, in Python's own integers where int64 does not hold them."""
        if not any(run.columns.wide for run in self._runs):
            with suppress(ValueError):
                return self.ints(name, signed=name == "fee")
        return self._of_lines(np.concatenate([amounts(run, name) for run in self._runs]))

    def says(self, name: str) -> bool:
        """Return True if any run says anything in a column."""
        return any(getattr(run.columns, name) for run in self._runs)

    def _of_lines(self, column: Ints) -> Ints:
        return column if self._cut is None else column[self._cut]


def _payments(columns: _Columns, payments: Codes[Payment]) -> Ints:
    """Return the codes of what lines offer to pay their fees in; most offer nothing."""
    codes = columns.of_runs([payments.code(Payment("", ""))] * len(columns.sizes))
    if columns.says("token"):
        token, price = columns.texts("token"), columns.texts("token_price")
        paid = np.flatnonzero(token != b"")
        offered = ([text.decode() for text in texts[paid].tolist()] for texts in (token, price))
        codes[paid] = payments.of(map(Payment, *offered))
    return codes


def _counterparties(columns: _Columns) -> Texts:
    """Return the owners of the other sides; empty where the engine named none, or named the owner of this one too."""
    if not columns.says("counterparty_owner_id"):
        return texts([""]).repeat(sum(columns.sizes))
    named = columns.texts("counterparty_owner_id")
    if not columns.says("owner_id"):
        return named
    found: Texts = np.where(columns.texts("owner_id") == b"", named, b"")
    return found


def _adjust(lines: PostedLines, recorded: Recorded, stretches: Sequence[Stretch], sizes: Sequence[int]) -> None:
    """Bring lines up to date with one more adjustment."""
    event = recorded.event
    assert isinstance(event, FeeAdjusted), recorded
    restated = AdjustedLines.of(event.lines)
    places, found = _places(restated, stretches, sizes)
    if not len(found):
        return
    after = ValueColumns(*(each[found] for each in restated.after))
    lines.symbol[places] = lines.symbols.of(event.symbols)[after.symbol_index.astype(np.int64)]
    lines.basis[places] = lines.bases.of(event.bases)[after.basis_index.astype(np.int64)]
    lines.traits[places] = after.traits
    for name in _AMOUNTS:
        now, known = getattr(after, name), getattr(lines, name)
        if is_wide(now) and not is_wide(known):
            known = wide(known)
            setattr(lines, name, known)
        known[places] = wide(now) if is_wide(known) else now
    if not event.release_position:
        lines.known_at[places] = recorded.position
        charged_in = lines.currencies.of(each.fee_currency for each in lines.bases.values)
        lines.currency[places] = charged_in[lines.basis[places]]


def _places(restated: AdjustedLines, stretches: Sequence[Stretch], sizes: Sequence[int]) -> tuple[Ints, Ints]:
    """Return (places of lines, places of the same lines in an adjustment), of those that both have."""
    starts = np.append(0, np.cumsum(sizes))
    positions = np.array([each.recorded.position for each in stretches], dtype=np.int64)
    firsts = np.array([each.start for each in stretches], dtype=np.int64)
    at = np.minimum(np.searchsorted(positions, restated.position), len(positions) - 1)
    number = restated.line.astype(np.int64) - firsts[at]
    there = (positions[at] == restated.position) & (number >= 0) & (number < np.array(sizes)[at])
    found: Ints = np.flatnonzero(there)
    places: Ints = starts[at[found]] + number[found]
    return places, found
