"""Finds things in the bytes of a fill run, or of an adjustment, without reading it as a message."""

from __future__ import annotations

from typing import Final

from ledger.arrays.protobuf_wire import DELIMITED, VARINT, read_varint, varint
from ledger.v1 import events_pb2

TOTALS: Final = events_pb2.VolumeRecorded.TOTALS_FIELD_NUMBER
# The tags before the columns of a charged fee, packed or as earlier runs had them: a run has all of one row, or none.
CHARGED_TAGS: Final = tuple(
    tuple(varint(events_pb2.VolumeRecorded.DESCRIPTOR.fields_by_name[name].number << 3 | DELIMITED) for name in names)
    for names in (("charged_amounts", "charged_currencies"), ("charged_amount", "charged_currency"))
)
(_AMOUNTS, _CURRENCIES), (_AMOUNT, _CURRENCY) = CHARGED_TAGS


def may_say_charges(run: bytes) -> bool:
    """Return True where a run says what its engine charged. Other bytes may look like that."""
    return (_CURRENCIES in run and _AMOUNTS in run) or (_CURRENCY in run and _AMOUNT in run)


def end_of_totals(front: bytes, field: int = TOTALS) -> int:
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
