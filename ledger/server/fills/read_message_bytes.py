"""Reads fills from the bytes of their messages into a batch, many at once, without an object for any of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from ledger.arrays.columns import Ints, Texts, mantissas, numbered
from ledger.domain.instants import EARLIEST_NS
from ledger.domain.traits import packed_traits
from ledger.fills.batch import NOT_SAID, FillBatch
from ledger.server.fills.id_columns import ID_BYTES, byte_rows, id_mask
from ledger.server.fills.message_bytes import TextSpan, WireColumns
from ledger.server.fills.passed_texts import PASSED, PRINTABLE
from ledger.server.fills.read_messages import ENUM_LIMITS, distinct
from ledger.server.fills.request_bytes import Origin
from ledger.v1.fill_pb2 import Fill

_NUMBER: Final[Mapping[str, int]] = {field.name: field.number for field in Fill.DESCRIPTOR.fields}
_FIELDS: Final = 16  # those before token_payment, which is read fill by fill
_REQUIRED_IDS: Final = ("account_id", "exec_id", "symbol")
_AMOUNTS: Final = ("last_px", "last_qty")
_OPTIONAL_IDS: Final = ("owner_id", "counterparty_owner_id")
_LENGTHS_MAX: Final = (
    dict.fromkeys((*_REQUIRED_IDS, *_OPTIONAL_IDS), 64)
    | dict.fromkeys(_AMOUNTS, 39)
    | dict.fromkeys(PASSED, 127)  # a longer text is no ordinary one
)
_TIMES: Final = ("transact_time", "order_time")
_WHOLE_DIGITS, _DECIMALS = 20, 18
_POINT: Final = ord(".")
_DIGITS: Final = b"0123456789"


def read_fill_bytes(fills: Sequence[bytes], origin: Origin, latest_ns: int) -> FillBatch | Ints:
    """Return the fills as a batch; or, if not all of them are ordinary, a boolean for each: True for one that is.

    A fill that is not ordinary need not be wrong: it has fields that few fills have, or has them in another order.
    """
    read = _Rows(fills)
    ordinary = read.ordinary(latest_ns)
    return read.batch(origin) if ordinary.all() else ordinary


class _Rows:
    """The fields of fills, as columns."""

    def __init__(self, fills: Sequence[bytes]) -> None:
        self._count = len(fills)
        self._wire = WireColumns(fills, _FIELDS)
        self._spans: dict[str, TextSpan] = {}
        self._numbers: dict[str, Ints] = {}
        for name, field in _NUMBER.items():  # in the order in which they are written
            if field > _FIELDS:
                break
            if name in _LENGTHS_MAX:
                if (span := self._wire.text(field)) is not None:
                    self._spans[name] = span
            elif (found := self._wire.time_ns(field) if name in _TIMES else self._wire.number(field)) is not None:
                self._numbers[name] = found
        self._texts: dict[str, Texts] = {}
        self._decimals: dict[str, tuple[Ints, Ints]] = {}

    def ordinary(self, latest_ns: int) -> Ints:
        """Return a boolean for each fill: True if all of it was read and `shape_fault` would find nothing.

        The texts are there for `batch` only if it is True for all.
        """
        good = self._wire.done()
        if not {*_REQUIRED_IDS, *_AMOUNTS} <= self._spans.keys():
            return np.zeros_like(good)
        for name, (least, most) in ENUM_LIMITS.items():
            good &= _between(self._number(name), least, most)
        good &= _between(self._number("transact_time"), EARLIEST_NS, latest_ns)
        if "order_time" in self._numbers:
            ordered = self._numbers["order_time"]
            good &= (ordered == 0) | _between(ordered, EARLIEST_NS, latest_ns)
        lengths = np.array([span.length for span in self._spans.values()])
        good &= (lengths <= np.array([_LENGTHS_MAX[name] for name in self._spans])[:, None]).all(axis=0)
        if not good.all():
            return good
        each = zip(
            lengths.min(axis=1).tolist(), lengths.max(axis=1).tolist(), lengths.sum(axis=1).tolist(), strict=True
        )
        for (name, span), (least, most, total) in zip(self._spans.items(), each, strict=True):
            texts = self._texts[name] = self._wire.texts(span, least, most)
            if name in _AMOUNTS:
                good &= self._amounts(name, texts, span.length, total)
            elif name in PASSED:
                if not _has_only(PRINTABLE, texts, total):
                    good &= _printable_mask(texts, span.length)
            elif not _has_only(ID_BYTES, texts, total) or (not least and name in _REQUIRED_IDS):
                good &= _id_mask(texts, span.length, required=name in _REQUIRED_IDS)
        return good

    def batch(self, origin: Origin) -> FillBatch:
        """Return all fills as a batch, if all are ordinary."""
        accounts, account = distinct(self._texts["account_id"].tolist())
        symbols, symbol = distinct(self._texts["symbol"].tolist())
        price, price_decimals = self._decimals["last_px"]
        quantity, quantity_decimals = self._decimals["last_qty"]
        traits = packed_traits(*map(self._number, ("side", "liquidity", "channel")))
        return FillBatch(
            venue=origin.venue,
            actor=origin.actor,
            accounts=[name.decode() for name in accounts],
            symbols=[name.decode() for name in symbols],
            sources=origin.sources,
            index=origin.index,
            account=account,
            symbol=symbol,
            source=origin.source,
            sequence=origin.sequence,
            exec_id=self._texts["exec_id"],
            traits=traits.astype(np.int64),
            product=self._number("product").astype(np.int64),
            price=price,
            price_decimals=price_decimals,
            quantity=quantity,
            quantity_decimals=quantity_decimals,
            transact_time_ns=self._number("transact_time"),
            trade_id=numbered(self._texts_of("trade_id")),
            order_id=numbered(self._texts_of("order_id")),
            cl_ord_id=self._texts_of("cl_ord_id"),
            order_time_ns=self._numbers.get("order_time", NOT_SAID),
            owner_id=self._texts_of("owner_id"),
            counterparty_owner_id=self._texts_of("counterparty_owner_id"),
        )

    def _number(self, name: str) -> Ints:
        found = self._numbers.get(name)
        return np.zeros(self._count, dtype=np.uint8) if found is None else found

    def _texts_of(self, name: str) -> Texts:
        found: Texts = self._texts.get(name, NOT_SAID)
        return found

    def _amounts(self, name: str, texts: Texts, length: Ints, total: int) -> Ints:
        """Return a boolean for each text: True for a decimal above zero. If all are decimals, keep their numbers."""
        rows = byte_rows(texts)
        point = rows == _POINT
        pointed = point.any(axis=1)
        whole = np.where(pointed, point.argmax(axis=1), length)
        decimals = length - whole - pointed
        good: Ints = _between(whole, 1, _WHOLE_DIGITS) & (decimals >= pointed) & (decimals <= _DECIMALS)
        others = texts.tobytes().translate(None, _DIGITS)
        if others.count(0) != texts.nbytes - total or len(others) - others.count(b".") != texts.nbytes - total:
            good &= (_IS_DECIMAL_BYTE[rows] | (np.arange(rows.shape[1]) >= length[:, None])).all(axis=1)
        if np.count_nonzero(point) > np.count_nonzero(pointed):
            good &= point.sum(axis=1) <= 1
        if not good.all():
            return good
        numbers = mantissas(texts, decimals, pointed)
        self._decimals[name] = numbers, decimals
        positive: Ints = (numbers > 0).astype(bool)
        return positive


_IS_DECIMAL_BYTE: Final = np.array([code == _POINT or code in _DIGITS for code in range(256)])
_IS_PRINTABLE_BYTE: Final = np.array([code in PRINTABLE for code in range(256)])


def _between(values: Ints, least: int, most: int) -> Ints:
    return (values >= least) & (values <= most)


def _has_only(allowed: bytes, texts: Texts, total: int) -> bool:
    """Return True if all texts, of `total` bytes together, have only `allowed` bytes, by one look at all of them."""
    padding = texts.nbytes - total
    others = texts.tobytes().translate(None, allowed)
    return len(others) == padding == others.count(0)


def _printable_mask(texts: Texts, length: Ints) -> Ints:
    """Return a boolean for each text: True if it is printable ASCII."""
    rows = byte_rows(texts)
    printable: Ints = _IS_PRINTABLE_BYTE[rows] | (np.arange(rows.shape[1]) >= length[:, None])
    found: Ints = np.logical_and.reduce(printable, axis=1)
    return found


def _id_mask(texts: Texts, length: Ints, *, required: bool) -> Ints:
    """Return a boolean for each text: True if it is an id, or empty and not `required`."""
    good, rows = id_mask(texts, required=required), byte_rows(texts)
    if np.count_nonzero(rows) < int(length.sum()):  # zeros at the end of a text were sent with it
        good &= np.count_nonzero(rows, axis=1) == length
    return good
