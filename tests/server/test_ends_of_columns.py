"""Values at the ends of their types, in every column of fills: refused alone, as in rows, and the source moves on."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, Final

import pytest

from ledger.server.fills.read_columns import fill_reader
from ledger.v1.fill_service_pb2 import (
    FillColumns,
    RecordFillsRequest,
    RecordFillsResponse,
    StreamFillsRequest,
    SymbolScale,
)
from tests.conftest import NOON_NS, Ledger, refusal
from tests.samples import fill
from tests.server.columns import columns_of, integers

ENDS: Final = (0, 1, 2**7, 2**8 - 1, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64 - 1)
POINTING: Final = ("account_index", "symbol_index")
INTEGERS: Final = ("last_px", "last_qty", "transact_time_ns", "trade_number", "order_number", "order_time_ns")
BYTES: Final = ("side", "liquidity", "channel", "product")
TEXTS: Final = ("exec_id", "trade_id", "order_id", "cl_ord_id", "owner_id", "counterparty_owner_id")
ODD_TEXTS: Final = (b"\0\0\0\0", b"\xff\xfe\xfd\xfc", b"a\0b\0", b"\0abc", b"\xc3\xa9\0\0", b"a b\0", b"\n\n\n\n")
COUNT: Final = 3

_numbers = itertools.count(1)


def given(account_id: str, start: int) -> FillColumns:
    """Good columns of everything, by an account of their own."""
    found = [
        fill(
            exec_id=f"E{start + number:02}",
            account_id=account_id,
            channel=1,
            product=1,
            owner_id="oooo",
            counterparty_owner_id="pppp",
            trade_id="tttt",
            order_id="rrrr",
            cl_ord_id="cccc",
            last_px="0.5",
        )
        for number in range(COUNT)
    ]
    columns = columns_of(found)
    columns.order_time_ns = integers([NOON_NS - 1] * COUNT)
    return columns


def with_value(account_id: str, name: str, value: Any) -> FillColumns:
    """The same with a value in the middle fill."""
    columns = given(account_id, 0)
    if name.endswith("_number"):
        columns.ClearField(name.replace("number", "id"))  # type: ignore[arg-type]
        setattr(columns, name, integers([1] * COUNT))
    data = bytearray(getattr(columns, name))
    width = len(data) // COUNT
    middle = value if isinstance(value, bytes) else value.to_bytes(width, "little")
    assert len(middle) <= width, (name, value)
    data[width : 2 * width] = middle.ljust(width, b"\0")
    setattr(columns, name, bytes(data))
    return columns


def ends() -> Iterator[tuple[str, Any]]:
    yield from itertools.product(INTEGERS, ENDS)
    yield from itertools.product(BYTES, (value for value in ENDS if value < 256))
    for name in TEXTS:
        width = 3 if name == "exec_id" else 4
        yield from ((name, text[:width]) for text in ODD_TEXTS)


def name_of() -> str:
    return f"ends-{next(_numbers)}"


def told(answer: RecordFillsResponse) -> Any:
    refusals = [(each.index, each.reason, each.field) for each in answer.refusals]
    return answer.recorded, answer.replayed, answer.source_sequence, refusals


@pytest.mark.parametrize(("column", "value"), list(ends()))
def test_a_value_at_the_end_of_its_type_is_answered_as_in_rows_and_the_source_moves_on(
    shared: Ledger, column: str, value: Any
) -> None:
    as_columns, as_rows = name_of(), name_of()
    columns = with_value(as_columns, column, value)
    rows = list(map(fill_reader(with_value(as_rows, column, value)), range(COUNT)))
    of_columns = shared.fills.RecordFills(RecordFillsRequest(source=as_columns, first_sequence=1, columns=columns))
    of_rows = shared.fills.RecordFills(RecordFillsRequest(source=as_rows, first_sequence=1, fills=rows))
    assert told(of_columns) == told(of_rows)
    assert of_columns.recorded + len(of_columns.refusals) == COUNT
    assert all(each.index == 1 for each in of_columns.refusals)
    more = RecordFillsRequest(source=as_columns, first_sequence=1 + COUNT, columns=given(as_columns, COUNT))
    (moved_on,) = shared.fills.StreamFills(iter([StreamFillsRequest(batch=more)]))
    assert told(moved_on.batch) == (COUNT, 0, 2 * COUNT, [])
    again = shared.fills.RecordFills(RecordFillsRequest(source=as_columns, first_sequence=1, columns=columns))
    assert (again.recorded, len(again.refusals)) == (0, len(of_columns.refusals))


@pytest.mark.parametrize(("column", "value"), list(itertools.product(POINTING, ENDS[1:])))
def test_what_points_beyond_its_list_is_refused_whatever_its_width(shared: Ledger, column: str, value: int) -> None:
    columns = given(name_of(), 0)
    width = next(width for width in (1, 2, 4, 8) if value < 1 << 8 * width)
    setattr(columns, column, integers([0, value, 0], width))
    status = refusal(shared.fills.RecordFills, RecordFillsRequest(columns=columns))
    lists = {"account_index": "account_ids", "symbol_index": "symbols"}
    assert (status.reason, status.field) == ("COLUMN_MALFORMED", f"columns.{lists[column]}")


@pytest.mark.parametrize("scale", [19, 2**31 - 1, 2**31, 2**32 - 1])
@pytest.mark.parametrize("name", ["price_scale", "quantity_scale"])
def test_a_scale_beyond_the_greatest_is_refused(shared: Ledger, name: str, scale: int) -> None:
    columns = given(name_of(), 0)
    symbols = SymbolScale(**{"symbol": "XRP_USDT", "price_scale": 8, "quantity_scale": 8, name: scale})  # type: ignore[arg-type]
    del columns.symbols[:]
    columns.symbols.append(symbols)
    status = refusal(shared.fills.RecordFills, RecordFillsRequest(columns=columns))
    assert (status.reason, status.field) == ("SCALE_OUT_OF_RANGE", f"columns.symbols[0].{name}")


@pytest.mark.parametrize(
    "seconds", [-(2**63), -1, 0, 2**31, 2**34, 9_223_372_036, 20_174_787_273, 2**35 - 1, 2**63 - 1]
)
def test_among_many_rows_a_time_beyond_the_years_of_the_ledger_is_refused_alone(shared: Ledger, seconds: int) -> None:
    """Many rows are read from their bytes, where nanoseconds are int64: 2609 must not come out as 2024."""
    source = name_of()
    rows = [fill(account_id=source, exec_id=f"E{number}") for number in range(100)]
    rows[50].transact_time.seconds = seconds
    answer = shared.fills.RecordFills(RecordFillsRequest(source=source, first_sequence=1, fills=rows))
    assert answer.recorded == 99
    assert [(each.index, each.field) for each in answer.refusals] == [(50, "transact_time")]
