"""From FillColumns to a batch. Columns are looked at as wholes; only a fill that is malformed is looked at alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from ledger.domain.columns import INT64_ROOM, Ints, Texts, column, text_column, unpacked
from ledger.domain.fill_batch import NOT_SAID, FillBatch
from ledger.domain.instants import EARLIEST_NS, SECOND_NS
from ledger.domain.money import SCALE_MAX, decimal_text
from ledger.domain.refusal import Reason, Refusal
from ledger.server.batch import IDS, all_match, numbers_from, shape_of
from ledger.shape import ID
from ledger.v1 import fill_pb2
from ledger.v1 import fill_service_pb2 as pb
from ledger.wire import refuse

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
# Those that may not be empty; `side` says how many fills there are.
_REQUIRED: Final = frozenset(_INTEGERS[:5]) | {"exec_id", "liquidity"}
_ID_BYTES: Final = np.array([code == 0 or ID.fullmatch(chr(code)) is not None for code in range(256)])


def read_columns(
    columns: pb.FillColumns, *, venue: str, source: str, first_sequence: int, actor: str, latest_ns: int
) -> tuple[FillBatch | None, list[tuple[int, Refusal]]]:
    """The well-formed fills as a batch, and a refusal for each other one, in order of their indexes.

    Refuses with COLUMN_MALFORMED what are not columns of one length, or point beyond what they refer to.
    """
    check_columns(columns)
    read = _Columns(columns)
    well_formed = read.well_formed(latest_ns)
    places = np.flatnonzero(well_formed)
    good: Any = slice(None)  # which of them are taken; mostly all
    refused = []
    if len(places) < read.count:
        good = well_formed
        refused = [(index, _refusal(columns, index, latest_ns)) for index in np.flatnonzero(~good).tolist()]
    if not len(places):
        return None, refused
    symbol = read.ints("symbol_index")[good]
    price_scale, quantity_scale = (
        np.array([getattr(entry, name) for entry in columns.symbols], dtype=np.int64)
        for name in ("price_scale", "quantity_scale")
    )
    said = {name: getattr(read, kind)(name)[good] for name, kind in _CARRIED.items() if getattr(columns, name)}
    batch = FillBatch(
        venue=venue,
        actor=actor,
        accounts=list(columns.account_ids),
        symbols=[entry.symbol for entry in columns.symbols],
        sources=(source,),
        index=places,
        account=read.ints("account_index")[good],
        symbol=symbol,
        source=np.zeros_like(places),
        sequence=numbers_from(places, first_sequence) if source else np.zeros_like(places),
        exec_id=read.texts("exec_id")[good],
        traits=read.traits()[good],
        product=read.ints("product")[good],
        price=read.ints("last_px")[good],
        price_decimals=price_scale[symbol],
        quantity=read.ints("last_qty")[good],
        quantity_decimals=quantity_scale[symbol],
        transact_time_ns=read.ints("transact_time_ns")[good],
        trade_id=read.ids("trade")[good] if read.says("trade") else NOT_SAID,
        order_id=read.ids("order")[good] if read.says("order") else NOT_SAID,
        **said,
    )
    return batch, refused


_CARRIED: Final = {"cl_ord_id": "texts", "order_time_ns": "ints", "owner_id": "texts", "counterparty_owner_id": "texts"}


def check_columns(columns: pb.FillColumns) -> None:
    """Refuse what cannot be read as fills at all."""
    count = len(columns.side)
    for name in (*_BYTES, *_TEXTS, *_INTEGERS):
        data = getattr(columns, name)
        if not data and name not in _REQUIRED:
            continue
        width, rest = divmod(len(data), count)
        if rest or width not in _widths(name):
            _malformed(name, f"{len(data)} bytes are not a column of {count} values")
    for name in ("trade", "order"):
        if getattr(columns, f"{name}_number") and getattr(columns, f"{name}_id"):
            _malformed(f"{name}_id", f"{name}_number is given too: ids are numbers or texts")
    _check_names("account_ids", columns.account_ids, unpacked(columns.account_index, count))
    _check_names("symbols", [entry.symbol for entry in columns.symbols], unpacked(columns.symbol_index, count))
    for index, entry in enumerate(columns.symbols):
        for name in ("price_scale", "quantity_scale"):
            if getattr(entry, name) > SCALE_MAX:
                field, scale = f"columns.symbols[{index}].{name}", getattr(entry, name)
                refuse(Reason.SCALE_OUT_OF_RANGE, field, f"{scale} decimals, at most {SCALE_MAX}")


def _widths(name: str) -> Sequence[int]:
    """Bytes that a value of a column may take."""
    if name in _BYTES:
        return (1,)
    return range(1, _ID_WIDTH_MAX + 1) if name in _TEXTS else (1, 2, 4, 8)


def fill_at(columns: pb.FillColumns, index: int) -> fill_pb2.Fill:
    """One of the fills as a message."""
    read = _Columns(columns)
    symbol = columns.symbols[int(read.ints("symbol_index")[index])]
    fill = fill_pb2.Fill(
        account_id=columns.account_ids[int(read.ints("account_index")[index])],
        symbol=symbol.symbol,
        last_px=decimal_text(int(read.ints("last_px")[index]), symbol.price_scale),
        last_qty=decimal_text(int(read.ints("last_qty")[index]), symbol.quantity_scale),
        **{name: int(read.ints(name)[index]) for name in _BYTES},  # type: ignore[arg-type]
    )
    for name in _TEXTS:
        if getattr(columns, name):
            setattr(fill, name, read.texts(name)[index].decode("latin-1"))
    for name in ("trade", "order"):
        if getattr(columns, f"{name}_number"):
            setattr(fill, f"{name}_id", read.ids(name)[index : index + 1].astype(bytes)[0].decode())
    for name, field in (("transact_time_ns", fill.transact_time), ("order_time_ns", fill.order_time)):
        if getattr(columns, name) and (time_ns := int(read.ints(name)[index])):
            field.seconds, field.nanos = divmod(time_ns, SECOND_NS)
    return fill


class _Columns:
    """A FillColumns that passed `check_columns`, read as arrays."""

    def __init__(self, columns: pb.FillColumns) -> None:
        self._columns = columns
        self._read: dict[str, Ints] = {}
        self.count = len(columns.side)

    def ints(self, name: str) -> Ints:
        """A column of integers as int64; of Python's own where one needs more. Zeros if it is not given."""
        found = self._read.get(name)
        if found is None:
            found = self._read[name] = self._ints(name)
        return found

    def _ints(self, name: str) -> Ints:
        data = getattr(self._columns, name)
        if not data:
            return np.zeros(self.count, dtype=np.int64)
        values = unpacked(data, self.count)
        if values.dtype == np.uint64 and int(values.max()) >= INT64_ROOM:
            return column(values.tolist())
        return values.astype(np.int64)

    def texts(self, name: str) -> Texts:
        """A column of texts."""
        return text_column(getattr(self._columns, name), self.count)

    def says(self, kind: str) -> bool:
        """Whether the ids of trades, or of orders, are given."""
        return bool(getattr(self._columns, f"{kind}_number") or getattr(self._columns, f"{kind}_id"))

    def ids(self, kind: str) -> Ints | Texts:
        """Ids of trades or orders: numbers if all of them are positive, otherwise texts; 0 is not said."""
        if getattr(self._columns, f"{kind}_id"):
            return self.texts(f"{kind}_id")
        numbers = self.ints(f"{kind}_number")
        if numbers.dtype != object and int(numbers.min()) > 0:
            return numbers
        return np.array([str(number).encode() if number else b"" for number in numbers.tolist()])

    def traits(self) -> Ints:
        """Side, liquidity and channel as in `Line`."""
        traits: Ints = self.ints("side") | self.ints("liquidity") << 2 | self.ints("channel") << 4
        return traits

    def well_formed(self, latest_ns: int) -> Ints:
        """Of each fill whether `shape_of` would find nothing."""
        good: Ints = _known(self._columns.account_ids)[self.ints("account_index")]
        good &= _known([entry.symbol for entry in self._columns.symbols])[self.ints("symbol_index")]
        for name, least, most in (("side", 1, 2), ("liquidity", 1, 2), ("channel", 0, 3), ("product", 0, 2)):
            values = self.ints(name)
            good &= (values >= least) & (values <= most)
        for name in ("last_px", "last_qty"):
            good &= (self.ints(name) > 0).astype(bool)
        for name in _TEXTS:
            if getattr(self._columns, name):
                good &= _ids(self.texts(name), required=name == "exec_id")
        times = self.ints("transact_time_ns")
        good &= ((times >= EARLIEST_NS) & (times <= latest_ns)).astype(bool)
        if self._columns.order_time_ns:
            times = self.ints("order_time_ns")
            good &= ((times == 0) | ((times >= EARLIEST_NS) & (times <= latest_ns))).astype(bool)
        return good


def _ids(names: Texts, *, required: bool) -> Any:
    """Of each text whether it is an id, or nothing where that will do."""
    rows = np.ascontiguousarray(names).view(np.uint8).reshape(len(names), -1)
    good = _ID_BYTES[rows].all(axis=1)
    if not rows.all():  # zeros stand behind the text, never within it
        good &= ~((rows[:, :-1] == 0) & (rows[:, 1:] != 0)).any(axis=1)
    if required:
        good &= rows[:, 0] != 0
    return good


def _known(names: Sequence[str]) -> Ints:
    """Of each name whether it is an id; mostly all are, which one look tells."""
    if all_match(IDS, names, len(names)):
        return np.ones(len(names), dtype=bool)
    return np.array([ID.fullmatch(name) is not None for name in names])


def _check_names(field: str, names: Sequence[str], index: Ints) -> None:
    if len(set(names)) < len(names):
        _malformed(field, "one of them stands there twice")
    if int(index.max()) >= len(names):
        _malformed(field, f"there are {len(names)}, and {int(index.max())} is pointed at")


def _malformed(field: str, detail: str) -> None:
    refuse(Reason.COLUMN_MALFORMED, f"columns.{field}", detail)


def _refusal(columns: pb.FillColumns, index: int, latest_ns: int) -> Refusal:
    found = shape_of(fill_at(columns, index), latest_ns)
    assert found is not None, (index, fill_at(columns, index))
    return found
