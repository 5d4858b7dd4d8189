"""A batch of fills as columns: what came through the door, checked for shape and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from itertools import chain
from typing import Any, Final, TypeAlias

import numpy as np

from ledger.domain.columns import Ints
from ledger.domain.events import Line
from ledger.domain.money import decimal_text, mantissa

Ids: TypeAlias = Sequence[str] | Ints  # texts, or numbers where every one is written as a positive int64 is printed


@dataclass(frozen=True)
class FillBatch:
    """Fills that passed the checks of shape: parallel columns in the order in which they came.

    `account`, `symbol` and `source` are places in `accounts`, `symbols` and `sources`. `index` is the place of a fill
    in its request, `sequence` its number at its source (whose name is empty where fills have none). Prices and
    quantities are mantissas with as many decimals as were sent; `traits` are side, liquidity and channel as in `Line`.
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
    exec_id: Sequence[str]
    traits: Ints
    product: Ints
    price: Ints
    price_decimals: Ints
    quantity: Ints
    quantity_decimals: Ints
    transact_time_ns: Ints
    trade_id: Ids = ()
    order_id: Ids = ()
    cl_ord_id: Sequence[str] = ()
    order_time_ns: Ints | Sequence[int] = ()
    owner_id: Sequence[str] = ()
    counterparty_owner_id: Sequence[str] = ()
    token: Sequence[str] = ()
    token_price: Sequence[str] = ()
    token_price_source: Sequence[str] = ()
    charged_amount: Sequence[str] = ()
    charged_currency: Sequence[str] = ()
    charged_rate: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.exec_id)

    @cached_property
    def digests(self) -> list[int]:
        """Per fill the digest of its exec_id."""
        return list(map(hash, self.exec_id))

    def rows(self, keep: slice) -> FillBatch:
        """The same batch with only some of its fills."""
        return replace(self, **{name: getattr(self, name)[keep] for name in COLUMNS})

    def said(self, name: str, place: int) -> Any:
        """The value of a column that may be empty, as `Line` holds it."""
        column = getattr(self, name)
        if not len(column):
            return _DEFAULTS[name]
        value = column[place]
        return type(_DEFAULTS[name])(value)

    def as_sent(self, place: int, product: int) -> tuple[Any, ...]:
        """What makes a fill the same fill: every field but its number, decimals in canonical form."""
        return (
            self.symbols[self.symbol[place]],
            product,
            int(self.traits[place]),
            int(self.transact_time_ns[place]),
            decimal_text(int(self.price[place]), int(self.price_decimals[place])),
            decimal_text(int(self.quantity[place]), int(self.quantity_decimals[place])),
            *(self.said(name, place) for name in CARRIED),
        )


_INT64_MAX: Final = 2**63 - 1
_NUMBERS: Final = re.compile(r"(?:[1-9][0-9]{0,18}\n)*")
_DEFAULTS: Final = Line._field_defaults
CARRIED: Final = Line._fields[Line._fields.index("trade_id") :]  # columns that go into the log as they came
COLUMNS: Final = tuple(column.name for column in fields(FillBatch))[5:]
_NAMED: Final = (("accounts", "account"), ("symbols", "symbol"), ("sources", "source"))


def merged(batches: Sequence[FillBatch]) -> FillBatch:
    """Batches of one venue and actor as one, in their order: what is decided together costs less."""
    first, *others = batches
    if not others:
        return first
    columns: dict[str, Any] = {name: _joined(name, batches) for name in COLUMNS}
    for name, column in _NAMED:
        places: dict[str, int] = {}
        codes = [np.array([places.setdefault(each, len(places)) for each in getattr(b, name)]) for b in batches]
        columns[column] = np.concatenate([code[getattr(b, column)] for code, b in zip(codes, batches, strict=True)])
        columns[name] = list(places)
    return FillBatch(first.venue, first.actor, **columns)


def _joined(name: str, batches: Sequence[FillBatch]) -> Any:
    """One column of all batches; where only some say anything, the others say so."""
    columns = [getattr(batch, name) for batch in batches]
    if all(isinstance(column, np.ndarray) for column in columns):
        return np.concatenate(columns)
    if not any(map(len, columns)):
        return ()
    full = list(chain.from_iterable(_filled(name, *each) for each in zip(columns, map(len, batches), strict=True)))
    return np.array(full) if name == "order_time_ns" else full


def _filled(name: str, column: Any, count: int) -> Iterable[Any]:
    """A column of values as `Line` has them, whatever form it comes in."""
    if not len(column):
        return [_DEFAULTS[name]] * count
    return map(type(_DEFAULTS[name]), column.tolist()) if isinstance(column, np.ndarray) else column


def numbered(ids: Sequence[str]) -> Ids:
    """A column of ids as numbers, where every one is written as a positive int64 is printed; empty if none is said."""
    if not any(ids):
        return ()
    numbers = list(map(int, ids)) if _NUMBERS.fullmatch("\n".join(ids) + "\n") else []
    return np.array(numbers) if numbers and max(numbers) <= _INT64_MAX else ids


def canonical(decimal: str) -> str:
    """A decimal without trailing zeros; 1.50 is 1.5, empty stays empty."""
    if not decimal:
        return ""
    _, _, fraction = decimal.partition(".")
    value = mantissa(decimal, len(fraction))
    assert value is not None, decimal
    return decimal_text(value, len(fraction))
