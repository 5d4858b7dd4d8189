"""Fills column by column are the fills that they would be one by one: the same batch, the same refusals."""

from __future__ import annotations

import hashlib
from typing import Any, Final

from hypothesis import example, given, settings
from hypothesis import strategies as st

from ledger.domain.instants import EARLIEST_NS, SECOND_NS
from ledger.fills.batch import FillBatch
from ledger.server.fills.read_columns import fill_reader, read_columns
from ledger.server.fills.read_messages import read_batch
from ledger.server.fills.request_bytes import ListedOrigin, origin_of
from ledger.v1.fill_pb2 import Fill
from ledger.v1.fill_service_pb2 import FillColumns, RecordFillsRequest
from tests.conftest import NOON_NS, Ledger, at
from tests.samples import fill, history, symbol
from tests.server.columns import columns_of, integers
from tests.server.test_batch import PASSED, chance_passed

LATEST_NS: Final = NOON_NS + 60 * SECOND_NS
SCALE: Final = 8

ids = st.sampled_from(["a", "A-1", "x.y:z_0", "7", "i" * 64])
odd_ids = ids | st.sampled_from(["a b", "a\n", "a\0b", "~"])
amounts = st.builds(
    lambda mantissa, decimals: f"{mantissa // 10**decimals}.{mantissa % 10**decimals:0{decimals}}",
    st.integers(0, 10**10),
    st.integers(1, SCALE),
)
times = st.integers(EARLIEST_NS - 2, EARLIEST_NS + 2) | st.integers(LATEST_NS - 2, LATEST_NS + 2) | st.just(NOON_NS)

fills = st.builds(
    Fill,
    account_id=odd_ids,
    exec_id=odd_ids | st.just(""),
    symbol=odd_ids,
    side=st.integers(0, 3),
    liquidity=st.integers(0, 3),
    channel=st.integers(0, 4),
    product=st.integers(0, 3),
    last_px=amounts,
    last_qty=amounts,
    transact_time=st.builds(at, times),
    order_time=st.none() | st.builds(at, times),
    **dict.fromkeys(("owner_id", "counterparty_owner_id"), odd_ids | st.just("")),
    **dict.fromkeys(PASSED, chance_passed.map(lambda text: text.rstrip("\0"))),  # which fill a column up
)


def read(reader: Any, batch: Any) -> tuple[FillBatch | None, list[Any]]:
    asked = RecordFillsRequest(venue="bitmart", source="engine", first_sequence=7, actor="me")
    size = len(batch.side) if isinstance(batch, FillColumns) else len(batch)
    origin = ListedOrigin.of([asked], [size]) if reader is read_batch else origin_of(asked, size)
    found: tuple[FillBatch | None, list[Any]] = reader(batch, origin, LATEST_NS)
    return found


def rows_of(batch: FillBatch | None) -> list[Any]:
    return [] if batch is None else [row_at(batch, place) for place in range(len(batch))]


def row_at(batch: FillBatch, place: int) -> tuple[Any, ...]:
    numbers = (int(batch.index[place]), int(batch.sequence[place]))
    account_id = batch.accounts[batch.account[place]]
    return (account_id, batch.name(place), *numbers, *batch.content(place, int(batch.product[place])))


@settings(max_examples=300, deadline=None)
@given(st.lists(fills, min_size=1, max_size=6))
@example([fill(exec_id="E1"), fill(exec_id="")])
@example([fill(exec_id="E1", trade_id="7"), fill(exec_id="E22", trade_id="")])
def test_columns_read_like_rows(rows: list[Fill]) -> None:
    columns = columns_of(rows, scale=SCALE)
    batch, refused = read(read_columns, columns)
    of_rows, refused_rows = read(read_batch, rows)
    assert rows_of(batch) == rows_of(of_rows)
    assert [(index, refusal.reason, refusal.field) for index, refusal in refused] == [
        (index, refusal.reason, refusal.field) for index, refusal in refused_rows
    ]


def test_a_fill_of_columns_is_the_message_it_would_have_been() -> None:
    one = fill(exec_id="E1", last_px="0.5", last_qty="12", trade_id="T", owner_id="o", order_time=at(NOON_NS - 1))
    assert fill_reader(columns_of([fill(), one]))(1) == one


def test_ids_that_are_numbers_are_read_as_the_texts_they_are_printed_as() -> None:
    rows = [fill(exec_id=f"E{number}") for number in range(3)]
    numbers = [1, 0, 2**64 - 1]
    columns = columns_of(rows)
    columns.trade_number = integers(numbers)
    batch, _ = read(read_columns, columns)
    assert batch is not None
    assert [batch.carried("trade_id", place) for place in range(3)] == ["1", "", str(2**64 - 1)]
    columns.trade_number = integers([3, 2, 1])
    batch, _ = read(read_columns, columns)
    assert batch is not None
    assert [batch.carried("trade_id", place) for place in range(3)] == ["3", "2", "1"]
    assert batch.trade_id.dtype.kind == "i"


def test_amounts_beyond_int64_are_read_exactly() -> None:
    columns = columns_of([fill(), fill()])
    columns.last_px = integers([2**64 - 1, 1])
    batch, _ = read(read_columns, columns)
    assert batch is not None
    assert [int(price) for price in batch.price] == [2**64 - 1, 1]


def test_columns_record_what_rows_record(ledger: Ledger) -> None:
    ledger.commands.RegisterSymbol(symbol())
    rows = [fill(exec_id=f"E{number}", last_px=f"0.{number + 1}") for number in range(4)]
    as_columns = ledger.fills.RecordFills(batch_of(columns_of(rows), include_fees=True))
    assert (as_columns.recorded, as_columns.replayed) == (4, 0)
    again = ledger.fills.RecordFills(RecordFillsRequest(fills=rows, include_fees=True))
    assert (again.recorded, again.replayed, list(again.fees)) == (0, 4, list(as_columns.fees))
    assert [line.fill_ref.exec_id for line in history(ledger)] == [row.exec_id for row in rows]


def test_a_malformed_fill_within_columns_of_a_source_is_refused_alone_and_recorded(ledger: Ledger) -> None:
    ledger.commands.RegisterSymbol(symbol())
    rows = [fill(exec_id="E1"), fill(exec_id="E 2"), fill(exec_id="E3")]
    answer = ledger.fills.RecordFills(batch_of(columns_of(rows), source="engine", first_sequence=1))
    assert (answer.recorded, answer.source_sequence) == (2, 3)
    assert [(refusal.index, refusal.field) for refusal in answer.refusals] == [(1, "exec_id")]
    advanced = ledger.log.at(answer.position).event
    assert [(entry.sequence, entry.fill_sha256) for entry in advanced.refused] == [
        (2, hashlib.sha256(fill_reader(columns_of(rows))(1).SerializeToString(deterministic=True)).digest())
    ]


def batch_of(columns: FillColumns, **values: Any) -> RecordFillsRequest:
    return RecordFillsRequest(columns=columns, **values)
