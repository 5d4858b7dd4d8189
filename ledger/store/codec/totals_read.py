"""Reads running totals in the fronts of many runs at once, as columns: a message for each costs five times that.

Places in the bytes of all fronts together are moved from field to field in step. Fields are in the order of their
numbers up to the totals (`run_front`), and inside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from ledger.arrays.protobuf_wire import DELIMITED, VARINT
from ledger.domain.events import CellKey
from ledger.domain.state.volume_cells import CREDITS
from ledger.store.codec.compression import fronts_of
from ledger.store.codec.parts import cell_key_of
from ledger.store.codec.run_front import FRONT_BYTES
from ledger.v1 import events_pb2

_RUN, _CELL, _FEE = events_pb2.VolumeRecorded, events_pb2.CellTotals, events_pb2.FeeSum
_TOTALS: Final = _RUN.TOTALS_FIELD_NUMBER << 3 | DELIMITED
_NOTIONAL: Final = _CELL.NOTIONAL_FIELD_NUMBER << 3 | DELIMITED
_CELL_LINES: Final = _CELL.LINES_FIELD_NUMBER << 3 | VARINT
_FEES: Final = _CELL.FEES_FIELD_NUMBER << 3 | DELIMITED
_CURRENCY: Final = _FEE.CURRENCY_FIELD_NUMBER << 3 | DELIMITED
_CHARGES: Final = _FEE.CHARGES_FIELD_NUMBER << 3 | DELIMITED
_REBATES: Final = _FEE.REBATES_FIELD_NUMBER << 3 | DELIMITED
_FEE_LINES: Final = _FEE.LINES_FIELD_NUMBER << 3 | VARINT
_BYTES_AFTER: Final = bytes(16)  # a number that is cut off is read to its end

Places: TypeAlias = npt.NDArray[np.int64]


class CellColumns(NamedTuple):
    """Cells: the front each lies in, its key, its notional as a canonical decimal, its lines."""

    front: list[int]
    key: list[CellKey]
    notional: list[str]
    lines: list[int]


class FeeColumns(NamedTuple):
    """Fees of cells: the front each lies in, its currency, canonical decimals, its lines."""

    front: list[int]
    currency: list[str]
    charges: list[str]
    rebates: list[str]
    credits: list[str]
    lines: list[int]


class Totals(NamedTuple):
    """All cells and fees of some fronts; `cut` are the numbers of those fronts whose totals go on after them."""

    cells: CellColumns
    fees: FeeColumns
    cut: list[int]


def totals_of_fronts(fronts: Sequence[bytes]) -> Totals:
    """Return the totals in the first FRONT_BYTES of some stored runs, or in all of shorter ones."""
    fronts, has_all = fronts_of(fronts, FRONT_BYTES)
    joined = b"".join([*fronts, _BYTES_AFTER])
    wire = _Wire(joined)
    sizes = np.fromiter(map(len, fronts), np.int64, len(fronts))
    end = np.cumsum(sizes)
    cell = wire.parts(end - sizes, end, _TOTALS)
    # Totals that end where their front does may be cut off there; and no run is without totals.
    whole = (cell.after < end) | np.array(has_all, dtype=bool)
    whole &= np.bincount(cell.of, minlength=len(fronts)) > 0
    cell = cell.only(whole[cell.of])
    notional_at = wire.skip(cell.begin, cell.end, _NOTIONAL)
    notional, after = wire.texts(notional_at, cell.end, _NOTIONAL)
    lines, after = wire.numbers(after, cell.end, _CELL_LINES)
    keys = [_key(joined[begin:at]) for begin, at in zip(cell.begin.tolist(), notional_at.tolist(), strict=True)]
    cells = CellColumns(cell.of.tolist(), keys, notional, lines)
    fee = wire.parts(after, cell.end, _FEES)
    fees = wire.fees(fee, cell.of[fee.of])
    if CREDITS in keys:
        fees = _credits_apart(fees, [keys[place] == CREDITS for place in fee.of.tolist()])
    return Totals(cells, fees, np.flatnonzero(~whole).tolist())


def _credits_apart(fees: FeeColumns, by_hand: Sequence[bool]) -> FeeColumns:
    """Return fees with the rebates of the cell of credits as credits; `by_hand` is True for these."""
    credits_, rebates = (
        [amount if here == wanted else "0" for amount, here in zip(fees.rebates, by_hand, strict=True)]
        for wanted in (True, False)
    )
    return fees._replace(rebates=rebates, credits=credits_)


@lru_cache(maxsize=65_536)
def _key(data: bytes) -> CellKey:
    """Return the key of a cell out of the fields before its notional: there are few."""
    return cell_key_of(events_pb2.CellTotals.FromString(data))


class _Parts(NamedTuple):
    """Fields with messages: the number of the place each was found from, and where it lies.

    `after` is by place: where the fields found from it end.
    """

    of: Places
    begin: Places
    end: Places
    after: Places

    def only(self, wanted: npt.NDArray[np.bool_]) -> _Parts:
        return _Parts(self.of[wanted], self.begin[wanted], self.end[wanted], self.after)


class _Wire:
    """Bytes in which many places are read together; each place has its own end."""

    def __init__(self, data: bytes) -> None:
        self._bytes = np.frombuffer(data, np.uint8)
        self._text = data.decode("latin-1")  # so that a place in the bytes is one in the text; all of it is ASCII

    def parts(self, at: Places, end: Places, tag: int) -> _Parts:
        """Return all fields of a tag that follow each other, from the first one at or after each place."""
        after = self.skip(at, end, tag)
        found: list[tuple[Places, Places, Places]] = []
        here = np.flatnonzero(self._holds(after, end, tag))
        while here.size:
            size, begin = self._varints(after[here] + 1)
            found.append((here, begin, begin + size))
            after[here] = np.minimum(begin + size, end[here])
            here = here[self._holds(after[here], end[here], tag)]
        of, begins, ends = (np.concatenate(column) for column in zip(*found, strict=True)) if found else _NO_PARTS
        return _Parts(of, begins, ends, after)

    def fees(self, fee: _Parts, front: Places) -> FeeColumns:
        """Return the fields of messages of fees, as columns."""
        currency, at = self.texts(fee.begin, fee.end, _CURRENCY)
        charges, at = self.texts(at, fee.end, _CHARGES)
        rebates, at = self.texts(at, fee.end, _REBATES)
        lines, _ = self.numbers(at, fee.end, _FEE_LINES)
        return FeeColumns(front.tolist(), currency, charges, rebates, ["0"] * len(currency), lines)

    def texts(self, at: Places, end: Places, tag: int) -> tuple[list[str], Places]:
        """Return the text in the field at each place, empty where it is missing, and the place after it."""
        there = self._holds(at, end, tag)
        size, begin = self._varints(at + 1)
        begin, after = np.where(there, begin, at), np.where(there, begin + size, at)
        text = self._text
        return [text[a:b] for a, b in zip(begin.tolist(), after.tolist(), strict=True)], after

    def numbers(self, at: Places, end: Places, tag: int) -> tuple[list[int], Places]:
        """Return the number in the field at each place, 0 where it is missing, and the place after it."""
        there = self._holds(at, end, tag)
        value, after = self._varints(at + 1)
        values: list[int] = np.where(there, value, 0).tolist()
        return values, np.where(there, after, at)

    def skip(self, at: Places, end: Places, tag: int) -> Places:
        """Return, for each place, that of the first field whose tag is not smaller than `tag`, or the end."""
        at = at.copy()
        moving = np.flatnonzero((at < end) & (self._bytes[at] < tag))
        while moving.size:
            begin = at[moving]
            value, after = self._varints(begin + 1)
            after += np.where(self._bytes[begin] & 7 == DELIMITED, value, 0)
            at[moving] = np.minimum(after, end[moving])
            moving = moving[(at[moving] < end[moving]) & (self._bytes[at[moving]] < tag)]
        return at

    def _holds(self, at: Places, end: Places, tag: int) -> npt.NDArray[np.bool_]:
        held: npt.NDArray[np.bool_] = (at < end) & (self._bytes[at] == tag)
        return held

    def _varints(self, at: Places) -> tuple[Places, Places]:
        """Return the number at each place, and the place after it."""
        read = self._bytes[at]
        value, after = (read & 0x7F).astype(np.int64), at + 1
        longer, shift = np.flatnonzero(read > 0x7F), 7
        while longer.size:
            read = self._bytes[after[longer]]
            value[longer] |= (read & 0x7F).astype(np.int64) << shift
            after[longer] += 1
            longer, shift = longer[read > 0x7F], shift + 7
        return value, after


_NO_PARTS: Final = (np.zeros(0, np.int64),) * 3
