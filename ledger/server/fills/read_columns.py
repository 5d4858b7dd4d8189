"""Reads FillColumns into a batch, those of many requests at once.

The checks run over whole columns; only a fill that is malformed is looked at alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from ledger.arrays.columns import Ints, Texts, column, text_column, unpacked
from ledger.domain.instants import EARLIEST_NS, SECOND_NS
from ledger.domain.money import SCALE_MAX, decimal_text
from ledger.domain.refusal import Reason, Refusal
from ledger.domain.traits import packed_traits
from ledger.fills.batch import NOT_SAID, FillBatch
from ledger.server.fills.id_columns import are_ids, id_mask
from ledger.server.fills.passed_texts import PASSED, kept_text_column
from ledger.server.fills.read_messages import ENUM_LIMITS, distinct, shape_fault
from ledger.server.fills.request_bytes import Origin
from ledger.v1 import fill_pb2
from ledger.v1 import fill_service_pb2 as pb
from ledger.wire.fields import ID
from ledger.wire.status import RefusedError, refuse

_INT64_MAX: Final = (1 << 63) - 1
_ID_WIDTH_MAX: Final = 64
_BYTES: Final = ("side", "liquidity", "channel", "product")
_TEXTS: Final = ("exec_id", "trade_id", "order_id", "cl_ord_id", "owner_id", "counterparty_owner_id")
_INTEGERS: Final = (
    "account_index",
    "symbol_index",
    "last_px",
    "last_qty",
    "transact_time_ns",
    "trade_number",
    "order_number",
    "order_time_ns",
)
# Those that may not be empty; `side` says how many fills there are.
_REQUIRED: Final = frozenset(_INTEGERS[:5]) | {"exec_id", "liquidity"}
# Bytes that a value of a column may take.
_WIDTHS: Final[Mapping[str, Sequence[int]]] = {
    **dict.fromkeys(_BYTES, (1,)),
    **dict.fromkeys(_TEXTS, range(1, _ID_WIDTH_MAX + 1)),
    **dict.fromkeys(PASSED, range(1, 1 << 24)),  # whatever a message can hold
    **dict.fromkeys(_INTEGERS, (1, 2, 4, 8)),
}


class PackedColumns(NamedTuple):
    """The packed columns of a request that are not empty, by name, and the accounts and symbols they point into."""

    packed: Mapping[str, bytes]
    account_ids: list[str]
    symbols: list[tuple[str, int, int]]  # with the decimals of its prices, and of its quantities

    @property
    def size(self) -> int:
        """The number of fills."""
        return len(self.packed["side"])


def column_names(columns: pb.FillColumns) -> frozenset[str]:
    """Return the names of the columns that are not empty: requests with the same ones may be read together."""
    return frozenset(field.name for field, _ in columns.ListFields())


def packed_columns(columns: pb.FillColumns) -> PackedColumns:
    """Return the columns of a request that are not empty."""
    packed: dict[str, Any] = {field.name: value for field, value in columns.ListFields()}
    symbols = [(entry.symbol, entry.price_scale, entry.quantity_scale) for entry in packed.pop("symbols", ())]
    return PackedColumns(packed, list(packed.pop("account_ids", ())), symbols)


def read_columns(
    columns: pb.FillColumns, origin: Origin, latest_ns: int
) -> tuple[FillBatch | None, list[tuple[int, Refusal]]]:
    """Return the well-formed fills as a batch, None if there are none, and (index, refusal) of the others in order.

    Refuses with COLUMN_MALFORMED columns of different lengths, and places that no account or symbol has.
    """
    found = packed_columns(columns)
    check_columns(found)
    read = _Columns([found])
    good = read.well_formed(latest_ns)
    if good.all():
        return read.batch(origin), []
    fill_at = fill_reader(columns)
    refused = [(index, _refusal(fill_at(index), latest_ns)) for index in np.flatnonzero(~good).tolist()]
    return (read.batch(origin).rows(good) if good.any() else None), refused


def read_joined_columns(together: Sequence[PackedColumns], origin: Origin, latest_ns: int) -> FillBatch | Ints:
    """Return the fills of requests as a batch; or, if not all requests are well formed, True for each that is."""
    fit = np.array([_has_columns(columns) for columns in together])
    if not fit.all():
        return fit
    read = _Columns(together)
    good = read.well_formed(latest_ns)
    if good.all():
        return read.batch(origin)
    return np.logical_and.reduceat(good, read.starts)


def _has_columns(columns: PackedColumns) -> bool:
    try:
        check_columns(columns)
    except RefusedError:
        return False
    return True


def check_columns(columns: PackedColumns) -> None:
    """Refuse columns that cannot be read as fills at all."""
    packed, count = columns.packed, columns.size
    for name in (*_BYTES, *_TEXTS, *_INTEGERS):
        data = packed.get(name, b"")
        if not data and name not in _REQUIRED:
            continue
        width, rest = divmod(len(data), count)
        if rest or width not in _WIDTHS[name]:
            _refuse_malformed(name, f"{len(data)} bytes are not a column of {count} values")
    for name in ("trade", "order"):
        if f"{name}_number" in packed and f"{name}_id" in packed:
            _refuse_malformed(f"{name}_id", f"{name}_number is given too: ids are numbers or texts")
    _check_names("account_ids", columns.account_ids, unpacked(packed["account_index"], count))
    _check_names("symbols", [symbol for symbol, *_ in columns.symbols], unpacked(packed["symbol_index"], count))
    for index, (_, price_scale, quantity_scale) in enumerate(columns.symbols):
        if price_scale > SCALE_MAX:
            _refuse_scale(f"columns.symbols[{index}].price_scale", price_scale)
        if quantity_scale > SCALE_MAX:
            _refuse_scale(f"columns.symbols[{index}].quantity_scale", quantity_scale)


def fill_reader(columns: pb.FillColumns) -> Callable[[int], fill_pb2.Fill]:
    """Return a function from an index to that fill as a message. The columns are read once, here."""
    found = packed_columns(columns)
    read = _Columns([found])
    texts = {name: read.texts(name) for name in _TEXTS if name in found.packed}
    texts |= {f"{name}_id": read.ids(name) for name in ("trade", "order") if f"{name}_number" in found.packed}

    def fill_at(index: int) -> fill_pb2.Fill:
        symbol = columns.symbols[int(read.ints("symbol_index")[index])]
        fill = fill_pb2.Fill(
            account_id=columns.account_ids[int(read.ints("account_index")[index])],
            symbol=symbol.symbol,
            last_px=decimal_text(int(read.ints("last_px")[index]), symbol.price_scale),
            last_qty=decimal_text(int(read.ints("last_qty")[index]), symbol.quantity_scale),
            **{name: int(read.ints(name)[index]) for name in _BYTES},  # type: ignore[arg-type]
        )
        for name, values in texts.items():
            setattr(fill, name, _decoded(values[index : index + 1].astype(bytes)[0]))
        for name, field in (("transact_time_ns", fill.transact_time), ("order_time_ns", fill.order_time)):
            if name in found.packed and (time_ns := int(read.ints(name)[index])):
                field.seconds, field.nanos = divmod(time_ns, SECOND_NS)
        return fill

    return fill_at


def _decoded(text: bytes) -> str:
    """Decode a text, whose bytes may be anything."""
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1")


class _Columns:
    """The columns of requests that have the same ones and passed `check_columns`, joined and read as arrays."""

    def __init__(self, together: Sequence[PackedColumns]) -> None:
        self._together = together
        self._counts = [columns.size for columns in together]
        self._count = sum(self._counts)
        self._given = together[0].packed.keys()
        self._read: dict[str, Ints] = {}
        symbols = [entry for columns in together for entry in columns.symbols]
        self._symbols, self._symbol = distinct([symbol for symbol, *_ in symbols])
        self._scales = np.array([scales for _, *scales in symbols])
        self._accounts, self._account = distinct([name for columns in together for name in columns.account_ids])

    @property
    def starts(self) -> Ints:
        """The place where the fills of each request begin."""
        return np.array([0, *self._counts[:-1]]).cumsum()

    def ints(self, name: str) -> Ints:
        """Return a column of integers, zeros if it is not given.

        They are unsigned and as wide as they came, or int64; Python's own where one does not fit int64.
        """
        found = self._read.get(name)
        if found is None:
            found = self._read[name] = self._ints(name)
        return found

    def _ints(self, name: str) -> Ints:
        if name not in self._given:
            return np.zeros(self._count, dtype=np.uint8)
        values: Ints = _joined(list(map(unpacked, self._data(name), self._counts)))
        if values.dtype != np.uint64:
            return values
        if int(values.max()) > _INT64_MAX:
            return column(values.tolist())
        return values.view(np.int64)

    def texts(self, name: str) -> Texts:
        """Return a column of texts, which is given."""
        found: Texts = _joined(list(map(text_column, self._data(name), self._counts)))
        return found

    def _data(self, name: str) -> list[bytes]:
        return [columns.packed[name] for columns in self._together]

    def has_ids(self, kind: str) -> bool:
        """Return True if the ids of `kind`, trade or order, are given."""
        return f"{kind}_number" in self._given or f"{kind}_id" in self._given

    def ids(self, kind: str) -> Ints | Texts:
        """Return the ids of `kind`, trade or order: numbers if all are positive, otherwise texts, empty for 0."""
        if f"{kind}_id" in self._given:
            return kept_text_column(self.texts(f"{kind}_id"))
        numbers = self.ints(f"{kind}_number")
        if numbers.dtype != object and int(numbers.min()) > 0:
            return numbers.astype(np.int64, copy=False)
        return np.array([str(number).encode() if number else b"" for number in numbers.tolist()])

    def well_formed(self, latest_ns: int) -> Ints:
        """Return a boolean for each fill: True if `shape_fault` would find nothing."""
        good = np.ones(self._count, dtype=bool)
        for names, which in ((self._accounts, self._accounts_by_fill), (self._symbols, self._symbols_by_fill)):
            if not are_ids(names):
                good &= np.array([ID.fullmatch(name) is not None for name in names])[which()]
        for name, (least, most) in ENUM_LIMITS.items():
            if name in self._given:
                good &= _between(self.ints(name), least, most)
        for name in ("last_px", "last_qty"):
            good &= (self.ints(name) > 0).astype(bool)
        for name in _TEXTS:
            if name in self._given and name not in PASSED:
                good &= id_mask(self.texts(name), required=name == "exec_id")
        good &= _between(self.ints("transact_time_ns"), EARLIEST_NS, latest_ns)
        if "order_time_ns" in self._given:
            times = self.ints("order_time_ns")
            good &= (times == 0).astype(bool) | _between(times, EARLIEST_NS, latest_ns)
        return good

    def batch(self, origin: Origin) -> FillBatch:
        """Return all fills as a batch."""
        price_scales, quantity_scales = self._scales.T
        symbols = self._scales_by_fill()
        traits = packed_traits(*map(self.ints, ("side", "liquidity", "channel")))
        return FillBatch(
            venue=origin.venue,
            actor=origin.actor,
            accounts=self._accounts,
            symbols=self._symbols,
            sources=origin.sources,
            index=origin.index,
            account=self._accounts_by_fill(),
            symbol=self._symbols_by_fill(),
            source=origin.source,
            sequence=origin.sequence,
            exec_id=self.texts("exec_id"),
            traits=traits.astype(np.int64),
            product=self.ints("product").astype(np.int64),
            price=_wide_enough(self.ints("last_px")),
            price_decimals=price_scales[symbols],
            quantity=_wide_enough(self.ints("last_qty")),
            quantity_decimals=quantity_scales[symbols],
            transact_time_ns=self._times("transact_time_ns"),
            trade_id=self.ids("trade") if self.has_ids("trade") else NOT_SAID,
            order_id=self.ids("order") if self.has_ids("order") else NOT_SAID,
            order_time_ns=self._times("order_time_ns") if "order_time_ns" in self._given else NOT_SAID,
            cl_ord_id=kept_text_column(self.texts("cl_ord_id")) if "cl_ord_id" in self._given else NOT_SAID,
            **{name: self.texts(name) if name in self._given else NOT_SAID for name in _TEXTS[4:]},
        )

    def _times(self, name: str) -> Ints:
        """Return a column of instants as int64. One that does not fit is of no well-formed fill: any value will do."""
        times = self.ints(name)
        if times.dtype == object:
            return np.array([min(time_ns, _INT64_MAX) for time_ns in times.tolist()], dtype=np.int64)
        return times.astype(np.int64, copy=False)

    def _accounts_by_fill(self) -> Ints:
        """Return for each fill the place of its account in `_accounts`."""
        places = self._places("account_index", [len(columns.account_ids) for columns in self._together])
        found: Ints = self._account[places]
        return found

    def _symbols_by_fill(self) -> Ints:
        """Return for each fill the place of its symbol in `_symbols`."""
        found: Ints = self._symbol[self._scales_by_fill()]
        return found

    def _scales_by_fill(self) -> Ints:
        """Return for each fill the place of its symbol's scales in `_scales`."""
        return self._places("symbol_index", [len(columns.symbols) for columns in self._together])

    def _places(self, name: str, sizes: Sequence[int]) -> Ints:
        """Return a column of places in a list of each request as places in these lists joined; `sizes` are theirs."""
        places: Ints = self.ints(name).astype(np.int64)
        return places if len(sizes) == 1 else places + np.array([0, *sizes[:-1]]).cumsum().repeat(self._counts)


def _joined(parts: Sequence[Any]) -> Any:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _wide_enough(values: Ints) -> Ints:
    """Return a column as int64, or as it is if it holds Python's own integers, so that sums of it do not overflow."""
    return values if values.dtype == object else values.astype(np.int64, copy=False)


def _between(values: Ints, least: int, most: int) -> Ints:
    found: Ints = (values >= least) & (values <= most)
    return found.astype(bool, copy=False)


def _check_names(field: str, names: Sequence[str], index: Ints) -> None:
    if len(set(names)) < len(names):
        _refuse_malformed(field, "one of them stands there twice")
    if int(index.max()) >= len(names):
        _refuse_malformed(field, f"there are {len(names)}, and {int(index.max())} is pointed at")


def _refuse_scale(field: str, scale: int) -> None:
    refuse(Reason.SCALE_OUT_OF_RANGE, field, f"{scale} decimals, at most {SCALE_MAX}")


def _refuse_malformed(field: str, detail: str) -> None:
    refuse(Reason.COLUMN_MALFORMED, f"columns.{field}", detail)


def _refusal(fill: fill_pb2.Fill, latest_ns: int) -> Refusal:
    found = shape_fault(fill, latest_ns)
    assert found is not None, fill
    return found
