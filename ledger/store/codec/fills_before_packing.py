"""Reads VolumeRecorded as it was written before its columns were packed: for ever, and none is written so."""

from __future__ import annotations

from collections.abc import Sequence

from ledger.arrays.columns import column, packed, packed_texts, texts
from ledger.domain.events import Columns
from ledger.v1 import events_pb2

_TEXTS = (
    "trade_id",
    "order_id",
    "cl_ord_id",
    "owner_id",
    "counterparty_owner_id",
    "token",
    "token_price",
    "token_price_source",
    "charged_amount",
    "charged_currency",
    "charged_rate",
)


def columns_of_unpacked(message: events_pb2.VolumeRecorded) -> Columns:
    """Return the columns of a run as they would be written now."""
    wide = list(message.wide)
    amounts = {
        name: _texts(wide[place::3]) if wide else _ints(getattr(message, name), signed=name == "fee")
        for place, name in enumerate(("price", "quantity", "fee"))
    }
    return Columns(
        exec_id=_texts(message.exec_id),
        time_offset_ns=_ints(message.time_offset_ns),
        symbol_index=_ints(message.symbol_index),
        traits=message.traits,
        basis_index=_ints(message.basis_index),
        source_index=_ints(message.source_index),
        sequence_offset=_ints(message.sequence_offset),
        trade_number=_ints(message.trade_number),
        order_number=_ints(message.order_number),
        order_time_ns=_ints(message.order_time_ns),
        wide=bool(wide),
        **amounts,
        **{name: _texts(getattr(message, name)) for name in _TEXTS},
    )


def _ints(values: Sequence[int], *, signed: bool = False) -> bytes:
    return packed(column(values), signed=signed).data if values else b""


def _texts(values: Sequence[str]) -> bytes:
    return packed_texts(texts(values)).data if values else b""
