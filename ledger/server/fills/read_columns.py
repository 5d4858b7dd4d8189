"""From FillColumns to a batch, those of many requests at once. Columns are looked at as wholes; only a fill that is
malformed is looked at alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from ledger.arrays.columns import Ints, Texts, column, text_column, unpacked
from ledger.domain.instants import EARLIEST_NS, SECOND_NS
from ledger.domain.money import SCALE_MAX, decimal_text
from ledger.domain.refusal import Reason, Refusal
from ledger.fills.batch import NOT_SAID, FillBatch
from ledger.server.fills.id_columns import are_ids, ids_of
from ledger.server.fills.passed_texts import PASSED, passed_texts
from ledger.server.fills.read_messages import named, shape_of
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
_LIMITS: Final = {"side": (1, 2), "liquidity": (1, 2), "channel": (0, 3), "product": (0, 2)}


class Given(NamedTuple):
    """The columns of a request: the packed columns that are not empty, by name, and what they refer to."""

    packed: Mapping[str, bytes]
    account_ids: list[str]
    symbols: list[tuple[str, int, int]]  # with the scales of prices and quantities

    @property
    def size(self) -> int:
        """How many fills."""
        return len(self.packed["side"])


def names_given(columns: pb.FillColumns) -> frozenset[str]:
    """Which columns are not empty: requests that give the same may be read together."""
    return frozenset(field.name for field, _ in columns.ListFields())


def given(columns: pb.FillColumns) -> Given:
    """Return what a request gives."""
    packed: dict[str, Any] = {field.name: value for field, value in columns.ListFields()}
    symbols = [(entry.symbol, entry.price_scale, entry.quantity_scale) for entry in packed.pop("symbols", ())]
    return Given(packed, list(packed.pop("account_ids", ())), symbols)


def read_columns(
    columns: pb.FillColumns, origin: Origin, latest_ns: int
) -> tuple[FillBatch | None, list[tuple[int, Refusal]]]:
    """The well-formed fills as a batch, and a refusal for each other one, in order of their indexes.

    Refuses with COLUMN_MALFORMED what are not columns of one length, or point beyond what they refer to.
    """
    found = given(columns)
    check_columns(found)
    read = _Columns([found])
    good = read.well_formed(latest_ns)
    if good.all():
        return read.batch(origin), []
    fill_at = fills_of(columns)
    refused = [(index, _refusal(fill_at(index), latest_ns)) for index in np.flatnonzero(~good).tolist()]
    return (read.batch(origin).rows(good) if good.any() else None), refused


def read_columns_together(together: Sequence[Given], origin: Origin, latest_ns: int) -> FillBatch | Ints:
    """The fills of several requests as a batch; or which of the requests are well formed, if not all are."""
    fit = np.array([_fits(columns) for columns in together])
    if not fit.all():
        return fit
    read = _Columns(together)
    good = read.well_formed(latest_ns)
    if good.all():
        return read.batch(origin)
    return np.logical_and.reduceat(good, read.starts)


def _fits(columns: Given) -> bool:
    try:
        check_columns(columns)
    except RefusedError:
        return False
    return True


def check_columns(columns: Given) -> None:
    """Refuse what cannot be read as fills at all."""
    packed, count = columns.packed, columns.size
    for name in (*_BYTES, *_TEXTS, *_INTEGERS):
        data = packed.get(name, b"")
        if not data and name not in _REQUIRED:
            continue
        width, rest = divmod(len(data), count)
        if rest or width not in _WIDTHS[name]:
            _malformed(name, f"{len(data)} bytes are not a column of {count} values")
    for name in ("trade", "order"):
        if f"{name}_number" in packed and f"{name}_id" in packed:
            _malformed(f"{name}_id", f"{name}_number is given too: ids are numbers or texts")
    _check_names("account_ids", columns.account_ids, unpacked(packed["account_index"], count))
    _check_names("symbols", [symbol for symbol, *_ in columns.symbols], unpacked(packed["symbol_index"], count))
    for index, (_, price_scale, quantity_scale) in enumerate(columns.symbols):
        if price_scale > SCALE_MAX:
            _scale_out_of_range(f"columns.symbols[{index}].price_scale", price_scale)
        if quantity_scale > SCALE_MAX:
            _scale_out_of_range(f"columns.symbols[{index}].quantity_scale", quantity_scale)


def fills_of(columns: pb.FillColumns) -> Callable[[int], fill_pb2.Fill]:
    """Reads the columns once, and makes one of the fills as a message by its index."""
    found = given(columns)
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
    """A text, whose bytes may be anything."""
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1")


class _Columns:
    """Columns of requests that have the same ones and passed `check_columns`, read as arrays."""

    def __init__(self, together: Sequence[Given]) -> None:
        self._together = together
        self._counts = [columns.size for columns in together]
        self._count = sum(self._counts)
        self._given = together[0].packed.keys()
        self._read: dict[str, Ints] = {}
        symbols = [entry for columns in together for entry in columns.symbols]
        self._symbols, self._symbol = named([symbol for symbol, *_ in symbols])
        self._scales = np.array([scales for _, *scales in symbols])
        self._accounts, self._account = named([name for columns in together for name in columns.account_ids])

    @property
    def starts(self) -> Ints:
        """Where the fills of each request begin."""
        return np.array([0, *self._counts[:-1]]).cumsum()

    def ints(self, name: str) -> Ints:
        """A column of integers: unsigned ones as wide as they came, or int64; of Python's own where one needs more.

        Zeros if it is not given.
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
        """A column of texts."""
        found: Texts = _joined(list(map(text_column, self._data(name), self._counts)))
        return found

    def _data(self, name: str) -> list[bytes]:
        return [columns.packed[name] for columns in self._together]

    def says(self, kind: str) -> bool:
        """True if the ids of trades, or of orders, are given."""
        return f"{kind}_number" in self._given or f"{kind}_id" in self._given

    def ids(self, kind: str) -> Ints | Texts:
        """Ids of trades or orders: numbers if all of them are positive, otherwise texts; 0 is not said."""
        if f"{kind}_id" in self._given:
            return passed_texts(self.texts(f"{kind}_id"))
        numbers = self.ints(f"{kind}_number")
        if numbers.dtype != object and int(numbers.min()) > 0:
            return numbers.astype(np.int64, copy=False)
        return np.array([str(number).encode() if number else b"" for number in numbers.tolist()])

    def well_formed(self, latest_ns: int) -> Ints:
        """Return for each fill whether `shape_of` would find nothing."""
        good = np.ones(self._count, dtype=bool)
        for names, which in ((self._accounts, self._account_of), (self._symbols, self._symbol_of)):
            if not are_ids(names):
                good &= np.array([ID.fullmatch(name) is not None for name in names])[which()]
        for name, (least, most) in _LIMITS.items():
            if name in self._given:
                good &= _between(self.ints(name), least, most)
        for name in ("last_px", "last_qty"):
            good &= (self.ints(name) > 0).astype(bool)
        for name in _TEXTS:
            if name in self._given and name not in PASSED:
                good &= ids_of(self.texts(name), required=name == "exec_id")
        good &= _between(self.ints("transact_time_ns"), EARLIEST_NS, latest_ns)
        if "order_time_ns" in self._given:
            times = self.ints("order_time_ns")
            good &= (times == 0).astype(bool) | _between(times, EARLIEST_NS, latest_ns)
        return good

    def batch(self, origin: Origin) -> FillBatch:
        """All of them."""
        price_scales, quantity_scales = self._scales.T
        symbols = self._symbol_places()
        traits = self.ints("side") | self.ints("liquidity") << 2 | self.ints("channel") << 4
        return FillBatch(
            venue=origin.venue,
            actor=origin.actor,
            accounts=self._accounts,
            symbols=self._symbols,
            sources=origin.sources,
            index=origin.index,
            account=self._account_of(),
            symbol=self._symbol_of(),
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
            trade_id=self.ids("trade") if self.says("trade") else NOT_SAID,
            order_id=self.ids("order") if self.says("order") else NOT_SAID,
            order_time_ns=self._times("order_time_ns") if "order_time_ns" in self._given else NOT_SAID,
            cl_ord_id=passed_texts(self.texts("cl_ord_id")) if "cl_ord_id" in self._given else NOT_SAID,
            **{name: self.texts(name) if name in self._given else NOT_SAID for name in _TEXTS[4:]},
        )

    def _times(self, name: str) -> Ints:
        """A column of instants as int64. One beyond that is no instant of a well-formed fill, whatever it reads as."""
        times = self.ints(name)
        if times.dtype == object:
            return np.array([min(time_ns, _INT64_MAX) for time_ns in times.tolist()], dtype=np.int64)
        return times.astype(np.int64, copy=False)

    def _account_of(self) -> Ints:
        """Return for each fill the place of its account in `_accounts`."""
        places = self._places("account_index", [len(columns.account_ids) for columns in self._together])
        found: Ints = self._account[places]
        return found

    def _symbol_of(self) -> Ints:
        """Return for each fill the place of its symbol in `_symbols`."""
        found: Ints = self._symbol[self._symbol_places()]
        return found

    def _symbol_places(self) -> Ints:
        """Return for each fill the place of its symbol's scales in `_scales`."""
        return self._places("symbol_index", [len(columns.symbols) for columns in self._together])

    def _places(self, name: str, sizes: Sequence[int]) -> Ints:
        """An index into what one request gives, as one into what all give."""
        places: Ints = self.ints(name).astype(np.int64)
        return places if len(sizes) == 1 else places + np.array([0, *sizes[:-1]]).cumsum().repeat(self._counts)


def _joined(parts: Sequence[Any]) -> Any:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _wide_enough(values: Ints) -> Ints:
    """A column that may be computed with."""
    return values if values.dtype == object else values.astype(np.int64, copy=False)


def _between(values: Ints, least: int, most: int) -> Ints:
    found: Ints = (values >= least) & (values <= most)
    return found.astype(bool, copy=False)


def _check_names(field: str, names: Sequence[str], index: Ints) -> None:
    if len(set(names)) < len(names):
        _malformed(field, "one of them stands there twice")
    if int(index.max()) >= len(names):
        _malformed(field, f"there are {len(names)}, and {int(index.max())} is pointed at")


def _scale_out_of_range(field: str, scale: int) -> None:
    refuse(Reason.SCALE_OUT_OF_RANGE, field, f"{scale} decimals, at most {SCALE_MAX}")


def _malformed(field: str, detail: str) -> None:
    refuse(Reason.COLUMN_MALFORMED, f"columns.{field}", detail)


def _refusal(fill: fill_pb2.Fill, latest_ns: int) -> Refusal:
    found = shape_of(fill, latest_ns)
    assert found is not None, fill
    return found
