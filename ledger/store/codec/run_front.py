"""Reads the front of a stored event of a fee stream: running totals lie before the columns, so that a slice has them.

Whoever asks for totals has PostgreSQL send no more than that slice, however many lines an event has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ledger.arrays.protobuf_wire import DELIMITED, VARINT, read_varint
from ledger.domain.events import CellTotals
from ledger.store.codec.adjustments import decode_adjusted_totals
from ledger.store.codec.fills import decode_totals
from ledger.v1 import events_pb2

FRONT_BYTES: Final = 4_000  # of a run: two rows of TOAST; some dozens of cells fit
ADJUSTMENT_FRONT_BYTES: Final = 16_000  # before its totals are the symbols, and the bases before and after
_TOTALS: Final = events_pb2.VolumeRecorded.TOTALS_FIELD_NUMBER
_ADJUSTED_TOTALS: Final = events_pb2.FeeAdjusted.TOTALS_FIELD_NUMBER

_Totals = tuple[CellTotals, ...]


def totals_in(front: bytes) -> _Totals | None:
    """Return the totals in the first FRONT_BYTES of a run, or in all of a shorter one; None: they go on after that."""
    return _totals_in(front, FRONT_BYTES, _TOTALS, decode_totals)


def adjusted_totals_in(front: bytes) -> _Totals | None:
    """Return the same of an adjustment, in its first ADJUSTMENT_FRONT_BYTES."""
    return _totals_in(front, ADJUSTMENT_FRONT_BYTES, _ADJUSTED_TOTALS, decode_adjusted_totals)


def _totals_in(front: bytes, size: int, field: int, decode: Callable[[bytes], _Totals]) -> _Totals | None:
    if len(front) < size:
        return decode(front)
    end = _end_of_totals(front, field)
    return (end and decode(front[:end])) or None  # no event is without totals


def _end_of_totals(front: bytes, field: int) -> int:
    """Return where the first field after the totals begins; 0: not here. Fields come in the order of their numbers."""
    place = 0
    try:
        while True:
            begin = place
            tag, place = read_varint(front, place)
            if tag >> 3 > field:
                return begin
            value, place = read_varint(front, place)
            if tag & 7 == DELIMITED:
                place += value
            else:
                assert tag & 7 == VARINT, tag
    except IndexError:
        return 0
