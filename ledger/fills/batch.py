"""A batch of fills as columns: as they were sent, checked for shape and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np

from ledger.arrays.columns import Ints, Texts, digests, in_order, starts_of
from ledger.domain.events import Line
from ledger.domain.instants import DAY_NS
from ledger.domain.money import decimal_text, mantissa
from ledger.domain.streams import DayKey

NOT_SAID: Final[Any] = np.zeros(0, dtype=np.int64)  # a column in which no fill says anything


def _not_said() -> Any:
    return NOT_SAID


@dataclass(frozen=True)
class FillBatch:
    """Fills that passed the checks of shape: parallel columns in the order in which they came.

    `account`, `symbol` and `source` are places in `accounts`, `symbols` and `sources`. `index` is the place of a fill
    in its request, `sequence` its number at its source (whose name is empty where fills have none). Prices and
    quantities are mantissas with as many decimals as were sent; `traits` are side, liquidity and channel as in `Line`.
    Texts are bytes (dtype S); ids may be numbers instead, where every one is written as a positive int64 is printed.
    The columns from `trade_id` on are empty where no fill says anything; in them empty text and 0 mean not said.
    """

    venue: str
    actor: str
    accounts: Sequence[str]
    symbols: Sequence[str]
    sources: Sequence[str]
    index: Ints
    account: Ints
    symbol: Ints
    source: Ints
    sequence: Ints
    exec_id: Texts
    traits: Ints
    product: Ints
    price: Ints
    price_decimals: Ints
    quantity: Ints
    quantity_decimals: Ints
    transact_time_ns: Ints
    trade_id: Ints | Texts = field(default_factory=_not_said)
    order_id: Ints | Texts = field(default_factory=_not_said)
    cl_ord_id: Texts = field(default_factory=_not_said)
    order_time_ns: Ints = field(default_factory=_not_said)
    owner_id: Texts = field(default_factory=_not_said)
    counterparty_owner_id: Texts = field(default_factory=_not_said)
    token: Texts = field(default_factory=_not_said)
    token_price: Texts = field(default_factory=_not_said)
    token_price_source: Texts = field(default_factory=_not_said)
    charged_amount: Texts = field(default_factory=_not_said)
    charged_currency: Texts = field(default_factory=_not_said)
    charged_rate: Texts = field(default_factory=_not_said)

    def __len__(self) -> int:
        return len(self.exec_id)

    @cached_property
    def digests(self) -> Ints:
        """The digest of the exec_id of each fill."""
        return digests(self.exec_id)

    def name(self, place: int) -> str:
        """Return the exec_id of a fill."""
        return str(self.exec_id[place].decode())

    def rows(self, keep: slice | Ints) -> FillBatch:
        """Return the batch with only some of its fills."""
        carried = {name: column for name in COLUMNS if len(column := getattr(self, name))}
        return replace(self, **{name: column[keep] for name, column in carried.items()})

    def at_venue(self, venue: str) -> FillBatch:
        """Return the batch with its fills at another venue."""
        if venue == self.venue:
            return self
        same = copy(self)  # `replace` would go through thirty fields
        object.__setattr__(same, "venue", venue)
        return same

    def carried(self, name: str, place: int) -> Any:
        """Return the value of a fill in a column that may be empty, as `Line` holds it."""
        column, default = getattr(self, name), Line._field_defaults[name]
        if not len(column):
            return default
        value = column[place]
        return value.decode() if isinstance(value, bytes) else type(default)(value)

    def content(self, place: int, product: int) -> tuple[Any, ...]:
        """Return the content by which fills are the same: every field but the number, decimals in canonical form."""
        return (
            self.symbols[self.symbol[place]],
            product,
            int(self.traits[place]),
            int(self.transact_time_ns[place]),
            decimal_text(int(self.price[place]), int(self.price_decimals[place])),
            decimal_text(int(self.quantity[place]), int(self.quantity_decimals[place])),
            *(self.carried(name, place) for name in CARRIED),
        )


@dataclass(frozen=True, slots=True)
class BatchPart:
    """The fills of one request within a batch that was read with others: those from place `start` up to `end`."""

    whole: FillBatch
    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start

    @property
    def index(self) -> Ints:
        """The place of each fill in the request."""
        return self.whole.index[self.start : self.end]

    def latest_ns(self) -> int:
        """Return when the latest fill traded."""
        return int(self.whole.transact_time_ns[self.start : self.end].max())

    def earliest_ns(self, before_ns: int, but_for: Sequence[int]) -> int:
        """Return when the earliest fill traded, some places left out; 0: not before the instant."""
        times = self.whole.transact_time_ns[self.start : self.end]
        if int(times.min()) >= before_ns:
            return 0
        times = np.delete(times, but_for)
        return found if (found := int(times.min())) < before_ns else 0

    def account_of(self, place: int) -> str:
        """Return the account of the fill at a place."""
        return self.whole.accounts[int(self.whole.account[self.start + place])]

    def has_fills_of(self, account_id: str) -> bool:
        """Return True if one of the fills is of an account."""
        if account_id not in self.whole.accounts:
            return False
        account = self.whole.accounts.index(account_id)
        return bool((self.whole.account[self.start : self.end] == account).any())

    @property
    def names_owners(self) -> bool:
        """Return True if a fill that was read with them names an owner."""
        return len(self.whole.owner_id) > 0

    def after(self, fills: int) -> BatchPart:
        """Return the part without so many fills at its start."""
        return BatchPart(self.whole, self.start + fills, self.end)

    def as_batch(self) -> FillBatch:
        """Return the fills as a batch."""
        if len(self) == len(self.whole):
            return self.whole
        return self.whole.rows(slice(self.start, self.end))


def as_part(batch: FillBatch) -> BatchPart:
    """Return a batch, all of which one request sent, as its part."""
    return BatchPart(batch, 0, len(batch))


CARRIED: Final = Line._fields[Line._fields.index("trade_id") :]  # columns that go into the log as they came
ERASABLE: Final = ("cl_ord_id",)  # of them, what customers chose: `ledger.store.codec.erasable` keeps it apart
COLUMNS: Final = tuple(column.name for column in fields(FillBatch))[5:]
_TEXTS: Final = frozenset(CARRIED) - {"order_time_ns"}
_NAMED: Final = (("accounts", "account"), ("symbols", "symbol"), ("sources", "source"))


def merged(parts: Sequence[BatchPart]) -> FillBatch:
    """Join parts of one venue and actor into one batch, in their order: fills decided together cost less."""
    batches = [part.as_batch() for part in _fewer_parts(parts)]
    first, *others = batches
    if not others:
        return first
    columns: dict[str, Any] = {name: _joined_column(name, batches) for name in COLUMNS}
    for name, column in _NAMED:
        places: dict[str, int] = {}
        codes = [np.array([places.setdefault(each, len(places)) for each in getattr(b, name)]) for b in batches]
        columns[column] = np.concatenate([code[getattr(b, column)] for code, b in zip(codes, batches, strict=True)])
        columns[name] = list(places)
    return FillBatch(first.venue, first.actor, **columns)


def _fewer_parts(parts: Sequence[BatchPart]) -> list[BatchPart]:
    """Return the same fills in fewer parts: parts that lie one after the other in a batch become one."""
    found: list[BatchPart] = []
    for part in parts:
        last = found[-1] if found else None
        if last is not None and last.whole is part.whole and last.end == part.start:
            found[-1] = BatchPart(part.whole, last.start, part.end)
        else:
            found.append(part)
    return found


def _joined_column(name: str, batches: Sequence[FillBatch]) -> Any:
    """Join a column of all batches; where only some say anything, the others hold what means not said."""
    columns = [getattr(batch, name) for batch in batches]
    if not any(map(len, columns)):
        return NOT_SAID
    if name in _TEXTS and any(column.dtype.kind == "S" or not len(column) for column in columns):
        columns = [column.astype(bytes) for column in columns]  # numbers are as good as the texts they are printed as
    full: list[Any] = [
        column if len(column) else np.zeros(len(batch), dtype="S1" if name in _TEXTS else np.int64)
        for batch, column in zip(batches, columns, strict=True)
    ]
    joined: Any = np.concatenate(full)
    return joined


def canonical(decimal: str) -> str:
    """Drop trailing zeros of a decimal: "1.50" -> "1.5", "" -> ""."""
    if not decimal:
        return ""
    _, _, fraction = decimal.partition(".")
    value = mantissa(decimal, len(fraction))
    assert value is not None, decimal
    return decimal_text(value, len(fraction))


class AccountDays(NamedTuple):
    """The fills of a batch by account-day: `order` are their places so sorted, in one day as they came.

    The fills of keys[n] are order[starts[n] : starts[n + 1]].
    """

    keys: list[DayKey]
    order: Ints
    starts: Ints

    def group_of_each(self) -> Ints:
        """Return the place in `keys` of the account-day of each fill, in the order of `order`."""
        return np.repeat(np.arange(len(self.keys)), self.starts[1:] - self.starts[:-1])


def by_account_day(batch: FillBatch) -> AccountDays:
    """Sort the fills of a batch by account and UTC day.

    Fills of (alice, 1), (bob, 1), (alice, 1) -> keys [(alice, 1), (bob, 1)], order [0, 2, 1], starts [0, 2, 3].
    """
    days = batch.transact_time_ns // DAY_NS
    if len(days) == 1:
        return AccountDays([(batch.accounts[int(batch.account[0])], int(days[0]))], np.zeros(1, np.int64), np.arange(2))
    first_day = int(days.min())
    span = int(days.max()) - first_day + 1
    order, codes = in_order(batch.account * span + (days - first_day))
    starts = starts_of(codes)
    keys = [(batch.accounts[code // span], code % span + first_day) for code in codes[starts].tolist()]
    return AccountDays(keys, order, np.append(starts, len(codes)))
