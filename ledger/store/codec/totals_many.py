"""Maps running totals of many runs to bytes at once: those of `parts.totals_message` for each, over columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from ledger.arrays.columns import Ints
from ledger.arrays.decimal_columns import Limbs, Printed, printed
from ledger.arrays.protobuf_wire import DELIMITED, Heads, number, varint
from ledger.arrays.ragged import Ragged, cut
from ledger.fills.running_totals import FeeCell, RunTotals
from ledger.store.codec.parts import fields_of, totals_message
from ledger.v1 import events_pb2

_CELL: Final = events_pb2.CellTotals.DESCRIPTOR.fields_by_name
_FEE: Final = events_pb2.FeeSum.DESCRIPTOR.fields_by_name
_TOTALS: Final = events_pb2.VolumeRecorded.DESCRIPTOR.fields_by_name["totals"].number


def encode_totals(totals: RunTotals) -> list[bytes]:
    """Return the field `totals` of each run."""
    of_cell = _cells(totals.fee_cells)[totals.codes]
    run = np.repeat(np.arange(len(totals)), np.diff(totals.bounds))
    of_one_message = (np.diff(of_cell) == 0) & (np.diff(run) == 0)  # fees of a cell in another currency than the next
    entries = _encoded(totals)
    found = list(cut(entries.joined(), np.add.reduceat(entries.sizes, totals.bounds[:-1])))
    for at in set(run[:-1][of_one_message].tolist()):
        found[at] = _by_message(totals, at)
    return found


def _by_message(totals: RunTotals, run: int) -> bytes:
    head = Heads(_TOTALS)
    return b"".join(head(totals_message(cell).SerializeToString(deterministic=True)) for cell in totals[run])


def _encoded(totals: RunTotals) -> Ragged:
    """Return each entry as a message of its own, as most are."""
    count, sums, codes = len(totals.codes), totals.sums, totals.codes
    fee = Ragged(count)
    fee.choice([_currency_bytes(each) for each in totals.fee_cells], codes)
    _text(fee, _FEE["charges"].number, sums.charges)
    _text(fee, _FEE["rebates"].number, sums.rebates, negative=True)
    _lines(fee, _FEE["lines"].number, sums.lines)
    cell = Ragged(count)
    cell.choice([_key_bytes(each) for each in totals.fee_cells], codes)
    _text(cell, _CELL["notional"].number, sums.notional)
    _lines(cell, _CELL["lines"].number, sums.lines)
    cell.message(_CELL["fees"].number, fee)
    field = Ragged(count)
    field.message(_TOTALS, cell)
    return field


def _text(rows: Ragged, field: int, amounts: Limbs, *, negative: bool = False) -> None:
    text: Printed = printed(amounts, len(rows.sizes), negative=negative)
    rows.same(varint(field << 3 | DELIMITED))
    rows.varint(text.end - text.begin)
    rows.part(*text)


def _lines(rows: Ragged, field: int, lines: Ints) -> None:
    """Add a number to each row, none where it is zero."""
    numbers = Ragged(len(lines))
    numbers.same(number(field))
    numbers.varint(lines)
    rows.rows(numbers.only(lines > 0))


def _cells(fee_cells: Sequence[FeeCell]) -> Ints:
    """Return the number of the cell of each place in `fee_cells`, for example [0, 0, 1]."""
    numbers: dict[object, int] = {}
    return np.array([numbers.setdefault(fee_cell.cell, len(numbers)) for fee_cell in fee_cells])


def _currency_bytes(fee_cell: FeeCell) -> bytes:
    return events_pb2.FeeSum(currency=fee_cell.currency).SerializeToString()


def _key_bytes(fee_cell: FeeCell) -> bytes:
    return events_pb2.CellTotals(**fields_of(fee_cell.cell)).SerializeToString(deterministic=True)
