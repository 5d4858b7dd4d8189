"""Fills column by column, made from fills one by one in the plainest way."""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf.timestamp_pb2 import Timestamp

from ledger.domain.instants import SECOND_NS
from ledger.v1.fill_pb2 import Fill
from ledger.v1.fill_service_pb2 import FillColumns, SymbolScale

OPTIONAL_TEXTS = ("cl_ord_id", "owner_id", "counterparty_owner_id")


def columns_of(fills: Sequence[Fill], *, scale: int = 8) -> FillColumns:
    """The columns of fills without token payments and charged fees; all amounts at one scale, ids as texts."""
    accounts = list(dict.fromkeys(fill.account_id for fill in fills))
    symbols = list(dict.fromkeys(fill.symbol for fill in fills))
    columns = FillColumns(
        account_ids=accounts,
        account_index=integers([accounts.index(fill.account_id) for fill in fills], 2),
        symbols=[SymbolScale(symbol=symbol, price_scale=scale, quantity_scale=scale) for symbol in symbols],
        symbol_index=integers([symbols.index(fill.symbol) for fill in fills], 1),
        exec_id=texts([fill.exec_id for fill in fills], 1),
        side=bytes(fill.side for fill in fills),
        liquidity=bytes(fill.liquidity for fill in fills),
        last_px=integers([mantissa(fill.last_px, scale) for fill in fills]),
        last_qty=integers([mantissa(fill.last_qty, scale) for fill in fills]),
        transact_time_ns=integers([nanoseconds(fill.transact_time) for fill in fills]),
        channel=bytes(fill.channel for fill in fills),
        product=bytes(fill.product for fill in fills),
        trade_id=texts([fill.trade_id for fill in fills]),
        order_id=texts([fill.order_id for fill in fills]),
        order_time_ns=integers([nanoseconds(fill.order_time) for fill in fills]),
    )
    for name in OPTIONAL_TEXTS:
        setattr(columns, name, texts([getattr(fill, name) for fill in fills]))
    return columns


def integers(values: Sequence[int], width: int = 8) -> bytes:
    """Little-endian, unsigned, each of so many bytes."""
    return b"".join(value.to_bytes(width, "little") for value in values)


def texts(values: Sequence[str], width_min: int = 0) -> bytes:
    """Filled up with zeros to the longest; nothing if nobody says anything."""
    encoded = [value.encode() for value in values]
    width = max(width_min, *map(len, encoded))
    return b"".join(value.ljust(width, b"\0") for value in encoded)


def mantissa(decimal: str, scale: int) -> int:
    """A decimal of at most so many decimals, without its point."""
    whole, _, fraction = decimal.partition(".")
    return int(whole + fraction.ljust(scale, "0"))


def nanoseconds(time: Timestamp) -> int:
    """Since 1970; 0 where it is not said."""
    return time.seconds * SECOND_NS + time.nanos
