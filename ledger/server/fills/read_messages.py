"""Reads fills as messages into columns: few fills, and those that are out of the ordinary.

The checks of shape run over whole columns; only where one fails is every fill looked at alone, to name the field and
the reason.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Final, TypeVar

import numpy as np

from ledger.arrays.columns import INT64_MAX, Ints
from ledger.domain.instants import EARLIEST_NS, SECOND_NS
from ledger.domain.refusal import Reason, Refusal
from ledger.domain.traits import packed_traits
from ledger.fills.batch import FillBatch, canonical
from ledger.fills.listed_batch import ListedBatch
from ledger.server.fills.passed_texts import kept_texts
from ledger.server.fills.request_bytes import ListedOrigin
from ledger.v1 import fill_pb2
from ledger.wire.fields import decimal, number, optional_id, past_ns, payment, positive, required_decimal, required_id
from ledger.wire.status import RefusedError, refuse

# The first and the last number of each enum of a fill.
ENUM_LIMITS: Final = {"side": (1, 2), "liquidity": (1, 2), "channel": (0, 3), "product": (0, 2)}
# Each matches all lines of a joined column at once; a value with a line break of its own is found by counting.
IDS: Final = re.compile(r"(?:[A-Za-z0-9._:-]{1,64}\n)*")
_OPTIONAL_IDS: Final = re.compile(r"(?:[A-Za-z0-9._:-]{0,64}\n)*")
_POSITIVE: Final = re.compile(r"(?:(?=[0.]*[1-9])[0-9]{1,20}(?:\.[0-9]{1,18})?\n)*")


def read_batch(
    fills: Sequence[fill_pb2.Fill], origin: ListedOrigin, latest_ns: int
) -> tuple[FillBatch | None, list[tuple[int, Refusal]]]:
    """Return the well-formed fills as columns, None if there are none, and (index, refusal) of the others in order."""
    columns = _columns(fills)
    if _well_formed(columns, latest_ns):
        return _batch(origin, columns), []
    refused = [(index, refusal) for index, fill in enumerate(fills) if (refusal := shape_fault(fill, latest_ns))]
    bad = {index for index, _ in refused}
    good = [index for index in range(len(fills)) if index not in bad]
    if not good:
        return None, refused
    columns = _columns([fills[index] for index in good])
    return _batch(origin.rows(good), columns), refused


def shape_fault(fill: fill_pb2.Fill, latest_ns: int) -> Refusal | None:
    """Return the fault in the shape of a fill, None if there is none; of several the one with the lowest reason."""
    faults = [fault for check in _checks(fill, latest_ns) if (fault := _fault(check)) is not None]
    return min(faults, key=lambda fault: fault.reason, default=None)


def _checks(fill: fill_pb2.Fill, latest_ns: int) -> Iterable[Callable[[], object]]:
    yield lambda: required_id(fill.account_id, "account_id")
    yield lambda: required_id(fill.exec_id, "exec_id")
    yield lambda: required_id(fill.symbol, "symbol")
    yield lambda: positive(fill.last_px, "last_px")
    yield lambda: positive(fill.last_qty, "last_qty")
    yield lambda: _transact_time(fill, latest_ns)
    for name in ("owner_id", "counterparty_owner_id"):
        yield lambda name=name: optional_id(getattr(fill, name), name)  # type: ignore[misc]
    if fill.HasField("order_time"):
        yield lambda: past_ns(fill.order_time, "order_time", latest_ns)
    for name, (least, most) in ENUM_LIMITS.items():
        yield lambda name=name, known=range(least, most + 1): number(getattr(fill, name), known, name)  # type: ignore[misc]
    if fill.HasField("token_payment"):
        yield from _payment_checks(fill.token_payment)
    if fill.HasField("charged_fee"):
        yield from _charge_checks(fill.charged_fee)


def _payment_checks(paying: fill_pb2.TokenPayment) -> Iterable[Callable[[], object]]:
    yield lambda: payment(paying, "token_payment")


def _charge_checks(charged: fill_pb2.ChargedFee) -> Iterable[Callable[[], object]]:
    yield lambda: required_decimal(charged.amount, "charged_fee.amount")
    yield lambda: required_id(charged.currency, "charged_fee.currency")
    if charged.rate:
        yield lambda: decimal(charged.rate, "charged_fee.rate")


def _fault(check: Callable[[], object]) -> Refusal | None:
    try:
        check()
    except RefusedError as error:
        return error.refusal
    return None


def _transact_time(fill: fill_pb2.Fill, latest_ns: int) -> None:
    if not fill.HasField("transact_time"):
        refuse(Reason.FIELD_REQUIRED, "transact_time", "transact_time is required")
    past_ns(fill.transact_time, "transact_time", latest_ns)


# Order of the columns that `_columns` makes.
_ACCOUNT, _EXEC, _SYMBOL, _SIDE, _LIQUIDITY, _PRICE, _QUANTITY, _SECONDS, _NANOS = range(9)
_CHANNEL, _PRODUCT, _TRADE, _ORDER, _CL_ORD, _ORDERED, _OWNER, _COUNTERPARTY, _PAYMENT, _CHARGED = range(9, 19)


def _columns(fills: Sequence[fill_pb2.Fill]) -> list[tuple[Any, ...]]:
    """Return the columns of fills. Each field is read once, fill by fill: the cheapest way through message objects."""
    rows = [
        (
            fill.account_id,
            fill.exec_id,
            fill.symbol,
            fill.side,
            fill.liquidity,
            fill.last_px,
            fill.last_qty,
            (transacted := fill.transact_time).seconds,
            transacted.nanos,
            fill.channel,
            fill.product,
            fill.trade_id,
            fill.order_id,
            fill.cl_ord_id,
            fill.order_time if fill.HasField("order_time") else None,
            fill.owner_id,
            fill.counterparty_owner_id,
            fill.token_payment if fill.HasField("token_payment") else None,
            fill.charged_fee if fill.HasField("charged_fee") else None,
        )
        for fill in fills
    ]
    return list(zip(*rows, strict=True))


def _well_formed(columns: Sequence[Sequence[Any]], latest_ns: int) -> bool:
    """Return True if `shape_fault` would find nothing; False: it may find something, and whole columns cannot tell."""
    seconds = columns[_SECONDS]
    ids = [*set(columns[_ACCOUNT]), *set(columns[_SYMBOL]), *columns[_EXEC]]
    amounts = [*columns[_PRICE], *columns[_QUANTITY]]
    optional = [*columns[_OWNER], *columns[_COUNTERPARTY]]
    return (
        all_match(IDS, ids, len(ids))
        and {*columns[_SIDE], *columns[_LIQUIDITY]} <= {1, 2}
        and set(columns[_CHANNEL]) <= {0, 1, 2, 3}
        and set(columns[_PRODUCT]) <= {0, 1, 2}
        and all_match(_POSITIVE, amounts, len(amounts))
        and min(columns[_NANOS]) >= 0
        and max(columns[_NANOS]) < SECOND_NS
        and min(seconds) * SECOND_NS >= EARLIEST_NS
        and (max(seconds) + 1) * SECOND_NS <= latest_ns
        and all_match(_OPTIONAL_IDS, optional, len(optional))
        and not any(
            _faults(at, lambda at: [lambda: past_ns(at, "order_time", latest_ns)]) for at in _present(columns[_ORDERED])
        )
        and not any(_faults(paying, _payment_checks) for paying in _present(columns[_PAYMENT]))
        and not any(_faults(charged, _charge_checks) for charged in _present(columns[_CHARGED]))
    )


def _faults(value: Any, checks: Callable[[Any], Iterable[Callable[[], object]]]) -> bool:
    return any(_fault(check) is not None for check in checks(value))


def _present(column: Sequence[Any]) -> Iterable[Any]:
    """Yield the messages of an optional field that are set; a message is true, even an empty one."""
    return filter(None, column)


def all_match(pattern: re.Pattern[str], column: Collection[str], count: int) -> bool:
    """Return True if the `count` texts of a column all match a pattern of lines, by one look at all of them."""
    joined = "\n".join(column) + "\n"
    return joined.count("\n") == count and pattern.fullmatch(joined) is not None


def _batch(origin: ListedOrigin, columns: Sequence[Sequence[Any]]) -> ListedBatch:
    """Return the columns of well-formed fills as a batch; decimals that are only carried become canonical."""
    accounts, account = _distinct(columns[_ACCOUNT])
    symbols, symbol = _distinct(columns[_SYMBOL])
    price, price_decimals = _amounts(columns[_PRICE])
    quantity, quantity_decimals = _amounts(columns[_QUANTITY])
    times = zip(columns[_SECONDS], columns[_NANOS], strict=True)
    payments, charges, ordered = columns[_PAYMENT], columns[_CHARGED], columns[_ORDERED]
    named = {
        "venue": origin.venue,
        "actor": origin.actor,
        "accounts": accounts,
        "symbols": symbols,
        "sources": origin.sources,
    }
    lists = {
        **origin.lists,
        "account": account,
        "symbol": symbol,
        "exec_id": _texts(columns[_EXEC]),
        "traits": list(map(packed_traits, columns[_SIDE], columns[_LIQUIDITY], columns[_CHANNEL])),
        "product": list(columns[_PRODUCT]),
        "price": price,
        "price_decimals": price_decimals,
        "quantity": quantity,
        "quantity_decimals": quantity_decimals,
        "transact_time_ns": [seconds * SECOND_NS + nanos for seconds, nanos in times],
        "trade_id": _numbered(kept_texts(columns[_TRADE])),
        "order_id": _numbered(kept_texts(columns[_ORDER])),
        "cl_ord_id": _optional_texts(kept_texts(columns[_CL_ORD])),
        "order_time_ns": [at.seconds * SECOND_NS + at.nanos if at else 0 for at in ordered] if any(ordered) else [],
        "owner_id": _optional_texts(columns[_OWNER]),
        "counterparty_owner_id": _optional_texts(columns[_COUNTERPARTY]),
        "token": _message_texts(payments, lambda paying: paying.token),
        "token_price": _message_texts(payments, lambda paying: canonical(paying.price)),
        "token_price_source": _message_texts(payments, lambda paying: paying.price_source),
        "charged_amount": _message_texts(charges, lambda charge: canonical(charge.amount)),
        "charged_currency": _message_texts(charges, lambda charge: charge.currency),
        "charged_rate": _message_texts(charges, lambda charge: canonical(charge.rate)),
    }
    return ListedBatch.of(named, lists)


Name = TypeVar("Name", str, bytes)


def distinct(names: Sequence[Name]) -> tuple[list[Name], Ints]:
    """Return the different names, and the place of each in them: (["b", "a"], [0, 1, 0]) for ["b", "a", "b"]."""
    found, places = _distinct(names)
    return found, np.array(places, dtype=np.int64)


def _distinct(names: Sequence[Name]) -> tuple[list[Name], list[int]]:
    found = list(dict.fromkeys(names))
    places = dict(zip(found, range(len(found)), strict=True))
    return found, list(map(places.__getitem__, names))


def _amounts(decimals: Sequence[str]) -> tuple[list[int], list[int]]:
    """Return (decimals without their point, how many digits came after it)."""
    parts = [decimal.partition(".") for decimal in decimals]
    return [int(whole + fraction) for whole, _, fraction in parts], [len(fraction) for _, _, fraction in parts]


def _texts(values: Sequence[str]) -> list[bytes]:
    return list(map(str.encode, values))


def _optional_texts(values: Sequence[str]) -> list[bytes]:
    """Return texts; an empty list if all texts are empty."""
    return _texts(values) if any(values) else []


def _numbered(ids: Sequence[str]) -> list[int] | list[bytes]:
    """Return ids as numbers if each is written as a positive int64 is printed, otherwise as texts."""
    if all(name.isdecimal() and name.isascii() and name[0] != "0" for name in ids):
        numbers = list(map(int, ids))
        if max(numbers) <= INT64_MAX:
            return numbers
    return _optional_texts(ids)


def _message_texts(messages: Sequence[Any], read: Callable[[Any], str]) -> list[bytes]:
    """Return a text of each message, empty for those that are not set; an empty list if none is."""
    return _optional_texts([read(message) if message else "" for message in messages]) if any(messages) else []
