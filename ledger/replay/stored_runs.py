"""Runs of fills as they lie in the log, and their columns side by side: no object is made for a run or for a line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from operator import attrgetter
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np

from ledger.arrays.columns import INT64_ROOM, Ints, Packed, Texts, column, text_column, unpacked
from ledger.domain.events import Basis, Recorded, SymbolTerms, VolumeRecorded
from ledger.domain.instants import day_number
from ledger.domain.streams import FEES_PREFIX, DayKey, account_and_day
from ledger.domain.traits import DECIDED_TRAITS
from ledger.fills.batch import CARRIED, NOT_SAID, AccountDays, FillBatch
from ledger.fills.fill_runs import Referred
from ledger.replay.compare import UNDECIDABLE, Deviation
from ledger.store.codec.events import is_canonical
from ledger.store.codec.fills import PACKED, decode_volume, encode_volume
from ledger.store.codec.parts import VolumeParts, basis_of_bytes, symbol_of_bytes

_ASKED: Final = ("owner_id", "counterparty_owner_id", "token", "token_price")  # texts that a decision asks about
_NEEDED: Final = ("exec_id", "time_offset_ns", "symbol_index", "traits", "price", "quantity", "fee", "basis_index")
_WORD: Final = 8  # bytes of the widest integer
_TEXTS: Final = frozenset({"exec_id", *CARRIED}) - {"order_time_ns"}  # of the columns; all others are integers
_values: Final = attrgetter(
    "venue",
    "wide_amounts",
    "envelope.effective_time_ns",
    "envelope.actor",
    "envelope.actor_verified",
    "envelope.erasable_sha256",
    "source",
    "first_sequence",
    "symbols",
    "bases",
    *PACKED.values(),
)
_day_number: Final = lru_cache(4_096)(day_number)

T = TypeVar("T")

Look = Callable[[], tuple[list[Deviation], Recorded | None]]


class StoredRun(NamedTuple):
    """A run of fills whose envelope says the time of its commit and the term of its writer, and no request.

    `message` is what its bytes hold, with parts that are bytes still; `times_ns` are the columns beside it. `look`
    reads it as an event: it returns what is wrong with how it is stored, and None where it cannot be read.
    """

    position: int
    stream: str
    key: DayKey
    state: bytes
    times_ns: tuple[int | None, int | None, int | None]
    message: Any
    recorded_time_ns: int
    term: int
    lines: int
    look: Look


def stored_run(
    position: int,
    stream: str,
    state: bytes,
    times_ns: Sequence[int | None],
    commit: tuple[int, int],
    look: Look,
) -> StoredRun | None:
    """Return a run as it lies in the log; None: it has to be looked at by itself. `commit` is (recorded_time_ns, term).

    One that was written before columns were packed is taken as it would be written now.
    """
    try:
        message = VolumeParts.FromString(state)
        if message.exec_id:
            if not is_canonical(VolumeRecorded.__name__, state):
                return None
            state = encode_volume(*decode_volume(state))
            message = VolumeParts.FromString(state)
        if not stream.startswith(FEES_PREFIX):
            return None
        account_id, day = account_and_day(stream)
        key = account_id, _day_number(day)
    except UNDECIDABLE:
        return None
    envelope = message.envelope
    if (envelope.recorded_time_ns, envelope.writer_term) != commit or envelope.request_id:
        return None
    if envelope.erasable_sha256 and message.cl_ord_ids:
        return None
    first, last, so_far = times_ns
    lines = len(message.traits)
    return StoredRun(position, stream, key, state, (first, last, so_far), message, *commit, lines, look)


class Said(NamedTuple):
    """Values that the messages of runs hold, beside their columns: a sequence for each, with an entry for each run."""

    venue: Sequence[str]
    wide_amounts: Sequence[bool]
    effective_time_ns: Sequence[int]
    actor: Sequence[str]
    actor_verified: Sequence[bool]
    erasable_sha256: Sequence[bytes]
    source: Sequence[Sequence[str]]
    first_sequence: Sequence[Sequence[int]]
    symbols: Sequence[Sequence[bytes]]
    bases: Sequence[Sequence[bytes]]


@dataclass(frozen=True, slots=True)
class RunBlock:
    """Runs of one venue, each column of which has one width in all of them, in the order of their positions.

    `numbers` are their places among all runs at hand, `starts` their first lines here, and the end of the last.
    `said` are values of the messages by name, as lists: of the envelope, and what lines refer to.
    """

    numbers: Ints
    runs: Sequence[StoredRun]
    starts: Ints
    columns: dict[str, Packed]
    said: Said

    @property
    def venue(self) -> str:
        """The venue of all of them."""
        return self.said.venue[0]

    @property
    def sizes(self) -> Ints:
        """How many lines each run has."""
        return np.diff(self.starts)

    def run_of_each(self) -> Ints:
        """Return for each line the place of its run here."""
        return np.repeat(np.arange(len(self.runs)), self.sizes)

    def __len__(self) -> int:
        return int(self.starts[-1])

    def ints(self, name: str, *, signed: bool = False) -> Ints:
        """Return a column of integers; zeros where it is empty. Raises ValueError where one is too large."""
        if name not in self.columns:
            return np.zeros(len(self), dtype=np.int64)
        data, width = self.columns[name]
        found = unpacked(data, len(self), signed=signed)
        if width == _WORD and not signed and int(found.max()) >= INT64_ROOM:
            raise ValueError(f"{name} is larger than it can be")
        return found.astype(np.int64)

    def texts(self, name: str) -> Texts:
        """Return a column of texts."""
        return text_column(self.columns[name].data, len(self))

    def check_texts(self) -> None:
        """Raise ValueError where a column of texts holds bytes that are none."""
        for name in _TEXTS & self.columns.keys():
            if not self.columns[name].data.isascii():
                for text in self.texts(name).tolist():
                    text.decode()

    def symbols(self) -> Referred[SymbolTerms]:
        """Return the terms of symbols that lines refer to, by the numbers that they are recorded with."""
        return self._referred(self.said.symbols, "symbol_index", symbol_of_bytes)

    def bases(self) -> Referred[Basis]:
        """Return the bases of fees that lines refer to, likewise."""
        return self._referred(self.said.bases, "basis_index", basis_of_bytes)

    def sources(self) -> Referred[str]:
        """Return the sources that lines refer to, likewise."""
        return self._referred(self.said.source, "source_index", str)

    def first_sequences(self) -> Ints:
        """Return the first number of each source of each run, as it is recorded; 0 where it has none."""
        sources = zip(self.said.first_sequence, self.said.source, strict=True)
        return column(list(chain.from_iterable(numbers or [0] * len(names) for numbers, names in sources)))

    def _referred(self, lists: Sequence[Sequence[Any]], index: str, read: Callable[[Any], T]) -> Referred[T]:
        run, bounds = self.run_of_each(), np.append(0, np.cumsum(list(map(len, lists))))
        places = self.ints(index)
        if (places >= np.diff(bounds)[run]).any():
            raise IndexError("a line refers to what its run does not name")
        codes: dict[Any, int] = {}
        coded = np.array([codes.setdefault(each, len(codes)) for each in chain.from_iterable(lists)], dtype=np.int64)
        values: dict[T, int] = {}
        of_code = np.array([values.setdefault(read(each), len(values)) for each in codes], dtype=np.int64)
        return Referred.numbered(run, places, of_code[coded], bounds, list(values))

    def batch(self, symbols: Referred[SymbolTerms]) -> tuple[FillBatch, AccountDays]:
        """Return the fills as they may have been sent, and their account-days: one to a run."""
        all_terms = symbols.values
        terms = np.array(symbols.codes)[symbols.pair]
        named: dict[str, int] = {}
        symbol = np.array([named.setdefault(each.symbol, len(named)) for each in all_terms])
        product, price_scale, quantity_scale = (np.array([each[field] for each in all_terms]) for field in (2, 3, 4))
        accounts: dict[str, int] = {}
        account = np.array([accounts.setdefault(run.key[0], len(accounts)) for run in self.runs])
        price, quantity = self.ints("price"), self.ints("quantity")
        if min(int(price.min()), int(quantity.min())) < 1:
            raise ValueError("a price or a quantity is not positive")
        earliest = np.array(self.said.effective_time_ns)
        size, has = len(self), self.columns
        batch = FillBatch(
            self.venue,
            "",
            accounts=list(accounts),
            symbols=list(named),
            sources=[""],
            index=np.arange(size),
            account=np.repeat(account, self.sizes),
            symbol=symbol[terms],
            source=np.zeros(size, dtype=np.int64),
            sequence=np.zeros(size, dtype=np.int64),
            exec_id=self.texts("exec_id"),
            traits=self.ints("traits") & ~DECIDED_TRAITS,
            product=product[terms],
            price=price,
            price_decimals=price_scale[terms],
            quantity=quantity,
            quantity_decimals=quantity_scale[terms],
            transact_time_ns=np.repeat(earliest, self.sizes) + self.ints("time_offset_ns"),
            order_time_ns=self.ints("order_time_ns") if "order_time_ns" in has else NOT_SAID,
            **{name: self.texts(name) if name in has else NOT_SAID for name in _ASKED},
        )
        return batch, AccountDays([run.key for run in self.runs], np.arange(size), self.starts)


def blocks_of(runs: Sequence[StoredRun], numbers: Ints) -> Iterator[RunBlock]:
    """Yield runs that can be decided together; left out are those with amounts beyond int64, or a column cut short."""
    every = list(zip(*map(_values, [run.message for run in runs]), strict=True))
    said, packed = Said(*every[: len(Said._fields)]), every[len(Said._fields) :]
    columns = {name: values for name, values in zip(PACKED, packed, strict=True) if any(values)}
    if any(name not in columns for name in _NEEDED):
        return
    count = np.array([run.lines for run in runs])
    fits = (count > 0) & ~np.array(said.wide_amounts)
    count = np.maximum(count, 1)
    venues: dict[str, int] = {}
    code = np.array([venues.setdefault(venue, len(venues)) for venue in said.venue])
    widths = {}
    for name, values in columns.items():
        lengths = _lengths(values)
        widths[name] = width = lengths // count
        fits &= width * count == lengths
        if name in _NEEDED:
            fits &= width > 0
        if name not in _TEXTS:
            fits &= width <= _WORD
        if (width != width[0]).any():
            _, code = np.unique(code * (int(width.max()) + 1) + width, return_inverse=True)
    places = np.flatnonzero(fits)
    order = places[np.argsort(code[places], kind="stable")]
    for some in np.split(order, np.flatnonzero(np.diff(code[order])) + 1) if len(order) else ():
        of = _some(some.tolist(), len(runs))
        yield RunBlock(
            numbers[some],
            of(runs),
            np.append(0, np.cumsum(count[some])),
            {
                name: Packed(b"".join(of(values)), int(width))
                for name, values in columns.items()
                if (width := widths[name][some[0]])
            },
            Said(*map(of, said)),
        )


def _some(places: Sequence[int], count: int) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """Return the function that takes some of so many values, at ascending places."""
    if len(places) == count:
        return lambda values: values
    return lambda values: [values[place] for place in places]


def _lengths(values: Sequence[bytes]) -> Ints:
    return np.fromiter(map(len, values), dtype=np.int64, count=len(values))
