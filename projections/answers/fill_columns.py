"""Fills of all accounts as columns, many runs at a time: for who compares or exports millions of them.

Nothing here is made once per fill but the values themselves.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from ledger.arrays.columns import Ints, Texts, text_column
from ledger.domain.events import Basis, Recorded, SymbolTerms, VolumeRecorded
from ledger.domain.instants import DAY_NS
from ledger.domain.streams import account_of
from ledger.domain.traits import liquidity_of, side_of
from ledger.fills.lines import NUMBERED, ints, texts
from ledger.store.log import Log

_FILLS_PER_CHUNK: Final = 100_000
_IDS: Final = ("exec_id", "trade_id", "order_id", "counterparty_owner_id")
_AMOUNTS: Final = ("price", "quantity", "fee")


@dataclass(frozen=True, slots=True)
class FillSpan:
    """Fills with transact_time in [from_ns, until_ns), as known after a position; all where nothing is named."""

    from_ns: int
    until_ns: int
    known: int
    sources: Collection[str] = ()
    accounts: Collection[str] = ()
    venues: Collection[str] = ()

    def names(self, recorded: Recorded, run: VolumeRecorded) -> bool:
        """Return True if the account and the venue of a run are among those asked for."""
        return (not self.accounts or account_of(recorded.stream) in self.accounts) and (
            not self.venues or run.venue in self.venues
        )


@dataclass(frozen=True, slots=True)
class FillChunk:
    """Columns of equal length; the last of the fills are of the UTC `day`.

    `position` and `line` name the line. Price, quantity and fee are mantissas at `price_scale`, `quantity_scale` and
    `fee_decimals`: int64, or if `wide` digits as text, with a `notional` besides. `rate_ppm` is before a discount, fees
    are as they were recorded.
    """

    columns: dict[str, Any]
    wide: bool
    day: int

    def __len__(self) -> int:
        return len(self.columns["line"])


def fill_chunks(log: Log, span: FillSpan) -> Iterator[FillChunk]:
    """Yield the fills of a span day by day, each day in the order of the log, read as they are taken."""
    narrow, wide = _Gathered(), _Gathered()
    for recorded in _runs(log, span):
        run = recorded.event
        assert isinstance(run, VolumeRecorded), recorded
        if not span.names(recorded, run):
            continue
        gathered = wide if run.columns.wide else narrow
        gathered.add(recorded, run, _places(run, span))
        if gathered.fills >= _FILLS_PER_CHUNK:
            yield gathered.chunk(wide=gathered is wide)
    for gathered in (narrow, wide):
        if gathered.fills:
            yield gathered.chunk(wide=gathered is wide)


def _runs(log: Log, span: FillSpan) -> Iterator[Recorded]:
    if span.from_ns < span.until_ns:
        yield from log.runs(from_ns=span.from_ns, as_of_ns=span.until_ns - 1, until=span.known)


def _places(run: VolumeRecorded, span: FillSpan) -> Ints:
    """Return numbers of the lines of a run that belong to a span."""
    good = np.ones(len(run), dtype=bool)
    if run.time_min_ns < span.from_ns or run.time_max_ns >= span.until_ns:
        times = run.time_min_ns + ints(run, "time_offset_ns").astype(np.int64)
        good &= (times >= span.from_ns) & (times < span.until_ns)
    if span.sources:
        wanted = np.array([source.source in span.sources for source in run.sources])
        index = ints(run, "source_index").astype(np.int64) if run.columns.source_index else np.zeros(len(run), np.int64)
        good &= wanted[index]
    return np.flatnonzero(good)


@dataclass(slots=True)
class _Gathered:
    """Columns of runs that wait to be joined."""

    fills: int = 0
    day: int = 0  # of the last run
    counts: list[int] = field(default_factory=list)
    runs: list[tuple[int, str, str]] = field(default_factory=list)  # position, venue, account
    symbols: list[SymbolTerms] = field(default_factory=list)
    bases: list[Basis] = field(default_factory=list)
    parts: dict[str, list[Any]] = field(default_factory=dict)

    def add(self, recorded: Recorded, run: VolumeRecorded, places: Ints) -> None:
        """Take some lines of a run."""
        if not len(places):
            return
        self.fills += len(places)
        self.day = run.time_min_ns // DAY_NS
        self.counts.append(len(places))
        self.runs.append((recorded.position, run.venue, account_of(recorded.stream)))
        values = {
            "line": np.arange(len(run)),
            "time_ns": run.time_min_ns + ints(run, "time_offset_ns").astype(np.int64),
            "traits": np.frombuffer(run.columns.traits, dtype=np.uint8),
            "symbol": len(self.symbols) + ints(run, "symbol_index").astype(np.int64),
            "basis": len(self.bases) + ints(run, "basis_index").astype(np.int64),
            **{name: _ids(run, name) for name in _IDS},
            **_amounts(run),
        }
        self.symbols += run.symbols
        self.bases += run.bases
        whole = len(places) == len(run)
        for name, column in values.items():
            self.parts.setdefault(name, []).append(column if whole else column[places])

    def chunk(self, *, wide: bool) -> FillChunk:
        """Return all of them as one, and begin anew."""
        parts = {name: np.concatenate(columns) for name, columns in self.parts.items()}
        run = np.repeat(np.arange(len(self.counts)), self.counts)
        symbol, basis, traits = parts.pop("symbol"), parts.pop("basis"), parts.pop("traits")
        columns = {
            **parts,
            **{name: _objects(parts[name]) for name in _IDS},
            **{
                name: np.array(values, dtype=kind)[run]
                for name, kind, values in zip(
                    ("position", "venue", "account_id"),
                    (np.int64, object, object),
                    zip(*self.runs, strict=True),
                    strict=True,
                )
            },
            **_taken(self.symbols, ("symbol", "quote_currency", "price_scale", "quantity_scale"), symbol),
            **_taken(self.bases, ("rate_ppm", "fee_currency", "fee_decimals"), basis),
            "side": side_of(traits),
            "liquidity": liquidity_of(traits),
        }
        chunk = FillChunk(columns, wide, self.day)
        self.__init__()  # type: ignore[misc]
        return chunk


def _ids(run: VolumeRecorded, name: str) -> Texts:
    """Return a column of ids, as texts also where the log has numbers."""
    columns, count = run.columns, len(run)
    if data := getattr(columns, name):
        return text_column(data, count)
    if (number := NUMBERED.get(name)) and getattr(columns, number):
        return np.array(list(map(b"%d".__mod__, ints(run, number).tolist())))
    return np.zeros(count, dtype="S1")


def _objects(texts: Texts) -> Any:
    """Return texts as Python's own; ids have no line breaks."""
    return np.array(b"\n".join(texts.tolist()).decode().split("\n"), dtype=object)


def _amounts(run: VolumeRecorded) -> dict[str, Any]:
    if not run.columns.wide:
        return {name: ints(run, name, signed=name == "fee").astype(np.int64) for name in _AMOUNTS}
    wide = {name: texts(run, name) for name in _AMOUNTS}
    notional = [
        str(int(price) * int(quantity)) for price, quantity in zip(wide["price"], wide["quantity"], strict=True)
    ]
    return {name: np.array(values, dtype=object) for name, values in {**wide, "notional": notional}.items()}


def _taken(rows: list[Any], names: tuple[str, ...], index: Ints) -> dict[str, Any]:
    """Return fields of the rows that a column points to."""
    found = {}
    for name in names:
        values = [getattr(row, name) for row in rows]
        found[name] = np.array(values, dtype=object if isinstance(values[0], str) else np.int64)[index]
    return found
