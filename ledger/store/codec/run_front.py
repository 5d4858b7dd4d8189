"""Reads the front of a stored event of a fee stream: running totals lie before the columns, so that a slice has them.

Whoever asks for totals has PostgreSQL send no more than that slice, however many lines an event has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ledger.domain.events import CellTotals
from ledger.store.codec.adjustments import decode_adjusted_totals
from ledger.store.codec.compression import front_of
from ledger.store.codec.fills import decode_totals
from ledger.store.codec.run_layout import TOTALS, end_of_totals
from ledger.v1 import events_pb2

FRONT_BYTES: Final = 4_000  # of a run: two rows of TOAST; some dozens of cells fit
ADJUSTMENT_FRONT_BYTES: Final = 16_000  # before its totals are the symbols, and the bases before and after
_ADJUSTED_TOTALS: Final = events_pb2.FeeAdjusted.TOTALS_FIELD_NUMBER

_Totals = tuple[CellTotals, ...]


def totals_in(front: bytes) -> _Totals | None:
    """Return the totals in the first FRONT_BYTES of a stored run, or in all of a shorter one; None: they go on."""
    return _totals_in(*front_of(front, FRONT_BYTES), TOTALS, decode_totals)


def adjusted_totals_in(front: bytes) -> _Totals | None:
    """Return the same of an adjustment, in its first ADJUSTMENT_FRONT_BYTES."""
    return _totals_in(front, len(front) < ADJUSTMENT_FRONT_BYTES, _ADJUSTED_TOTALS, decode_adjusted_totals)


def _totals_in(front: bytes, has_all: bool, field: int, decode: Callable[[bytes], _Totals]) -> _Totals | None:
    if has_all:
        return decode(front)
    end = end_of_totals(front, field)
    return (end and decode(front[:end])) or None  # no event is without totals
