"""Reads the front of a stored VolumeRecorded: running totals lie before the columns, so that a slice has them.

Whoever asks for totals has PostgreSQL send no more than that slice, however many fills a run has.
"""

from __future__ import annotations

from typing import Final

from ledger.arrays.protobuf_wire import DELIMITED, VARINT, read_varint
from ledger.domain.events import CellTotals
from ledger.store.codec.fills import decode_totals
from ledger.v1 import events_pb2

FRONT_BYTES: Final = 4_000  # two rows of TOAST; some dozens of cells fit
_TOTALS: Final = events_pb2.VolumeRecorded.TOTALS_FIELD_NUMBER


def totals_in(front: bytes) -> tuple[CellTotals, ...] | None:
    """Return the totals in the first FRONT_BYTES of a run, or in all of a shorter one; None: they go on after that."""
    if len(front) < FRONT_BYTES:
        return decode_totals(front)
    end = _end_of_totals(front)
    return (end and decode_totals(front[:end])) or None  # no run is without totals


def _end_of_totals(front: bytes) -> int:
    """Return where the first field after the totals begins; 0: not here. Fields come in the order of their numbers."""
    place = 0
    try:
        while True:
            begin = place
            tag, place = read_varint(front, place)
            if tag >> 3 > _TOTALS:
                return begin
            value, place = read_varint(front, place)
            if tag & 7 == DELIMITED:
                place += value
            else:
                assert tag & 7 == VARINT, tag
    except IndexError:
        return 0
