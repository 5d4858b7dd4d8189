"""Columns of fills that cannot be read as fills at all, for every request that takes columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ledger.domain.refusal import Reason
from ledger.v1.fill_service_pb2 import SymbolScale
from tests.samples import fill
from tests.server.columns import columns_of, integers

COUNT: Final = 3
_GOOD: Final = columns_of(
    [fill(trade_id="T", order_id="O", cl_ord_id="C", owner_id="o", counterparty_owner_id="p") for _ in range(COUNT)]
)
GOOD: Final[Mapping[str, Any]] = {
    field.name: list(value) if field.is_repeated else value for field, value in _GOOD.ListFields()
}
NAMES: Final = tuple(field.name for field in _GOOD.DESCRIPTOR.fields)
COLUMN_FIELDS: Final = tuple(f"columns.{name}" for name in NAMES)

_TEXTS: Final = ("exec_id", "trade_id", "order_id", "cl_ord_id", "owner_id", "counterparty_owner_id")
_PASSED: Final = ("trade_id", "order_id", "cl_ord_id")
_BYTES: Final = ("liquidity", "channel", "product")
_INTEGERS: Final = tuple(
    name for name in NAMES if name not in (*_TEXTS, *_BYTES, "side", "account_ids", "symbols") and "number" not in name
)
_REQUIRED: Final = ("account_index", "symbol_index", "exec_id", "liquidity", "last_px", "last_qty", "transact_time_ns")


def _row(kind: str, name: str, value: Any, reason: Reason = Reason.COLUMN_MALFORMED, named: str = "") -> Any:
    """(what is bad, values by path, the bad one first, reason, field named)."""
    others = {f"columns.{each}": good for each, good in GOOD.items() if each != name}
    return kind, {f"columns.{name}": value, **others}, reason, named or f"columns.{name}"


def _scales(**changes: int) -> list[SymbolScale]:
    return [SymbolScale(**{"symbol": "XRP_USDT", "price_scale": 8, "quantity_scale": 8, **changes})]


BAD_COLUMNS: Final = [
    *(_row("of no whole values", name, b"\1" * (COUNT + 1)) for name in (*_TEXTS, *_BYTES, *_INTEGERS)),
    *(_row("of three bytes each", name, b"\1" * (3 * COUNT)) for name in _INTEGERS),
    *(_row("of sixteen bytes each", name, b"\1" * (16 * COUNT)) for name in _INTEGERS),
    *(_row("of two bytes each", name, b"\1" * (2 * COUNT)) for name in _BYTES),
    *(_row("of 65 bytes each", name, b"a" * (65 * COUNT)) for name in _TEXTS if name not in _PASSED),
    *(_row("missing", name, b"") for name in _REQUIRED),
    _row("missing", "side", b"", Reason.BATCH_EMPTY, "fills"),
    _row("beside texts", "trade_number", integers([1] * COUNT), named="columns.trade_id"),
    _row("beside texts", "order_number", integers([1] * COUNT), named="columns.order_id"),
    _row("pointing beyond", "account_index", integers([0, 1, 0]), named="columns.account_ids"),
    _row("pointing beyond", "symbol_index", integers([0, 0, 255], 1), named="columns.symbols"),
    _row("missing", "account_ids", []),
    _row("one twice", "account_ids", ["alice", "alice"]),
    _row("missing", "symbols", []),
    _row("one twice", "symbols", _scales() * 2),
    *(
        _row("19 decimals", "symbols", _scales(**{name: 19}), Reason.SCALE_OUT_OF_RANGE, f"columns.symbols[0].{name}")
        for name in ("price_scale", "quantity_scale")
    ),
]
