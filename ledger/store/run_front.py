"""The front of a stored VolumeRecorded: running totals lie before the columns, so that a slice of the bytes tells them.

Whoever asks for totals has PostgreSQL send no more than that slice, however many fills a run has.
"""

from __future__ import annotations

from typing import Final

from ledger.domain.events import CellTotals
from ledger.store.volume_codec import decode_totals
from ledger.v1 import events_pb2

FRONT_BYTES: Final = 4_000  # two rows of TOAST; a dozen cells fit
_TOTALS: Final = events_pb2.VolumeRecorded.TOTALS_FIELD_NUMBER
_VARINT, _SIZED = 0, 2  # the wire types of what lies before the columns
_MORE = 0x80  # of a byte of a varint: another one follows


def totals_in(front: bytes) -> tuple[CellTotals, ...] | None:
    """The totals in the first FRONT_BYTES of a run, or in all of a shorter one; None: they go on behind."""
    if len(front) < FRONT_BYTES:
        return decode_totals(front)
    end = _end_of_totals(front)
    return (end and decode_totals(front[:end])) or None  # no run is without totals


def _end_of_totals(front: bytes) -> int:
    """Where the first field behind the totals begins; 0: not here. Up to there fields are in the order of numbers."""
    place = 0
    try:
        while True:
            begin = place
            tag, place = _varint(front, place)
            if tag >> 3 > _TOTALS:
                return begin
            value, place = _varint(front, place)
            if tag & 7 == _SIZED:
                place += value
            else:
                assert tag & 7 == _VARINT, tag
    except IndexError:
        return 0


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """(the number that begins at a place, the place behind it)."""
    value = shift = 0
    while data[place] & _MORE:
        value |= (data[place] & (_MORE - 1)) << shift
        place, shift = place + 1, shift + 7
    return value | data[place] << shift, place + 1
