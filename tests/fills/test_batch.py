"""Parts of batches, and making one of them."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ledger.fills.batch import BatchPart, FillBatch, as_part, merged
from tests.domain.worked import fills


def batch_of(name: str, count: int, **changes: Any) -> FillBatch:
    rows = [{"exec_id": f"{name}{number}", "account_id": f"{name}{number % 2}"} for number in range(count)]
    return fills(*({**row, **changes} for row in rows))


def said(batch: FillBatch) -> list[Any]:
    return [
        (batch.accounts[batch.account[place]], batch.name(place), batch.content(place, 1), int(batch.index[place]))
        for place in range(len(batch))
    ]


def test_parts_that_are_all_of_a_batch_are_that_batch() -> None:
    whole = batch_of("E", 5)
    assert merged([as_part(whole)]) is whole
    assert merged([BatchPart(whole, 0, 2), BatchPart(whole, 2, 2), BatchPart(whole, 2, 5)]) is whole


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=6))
def test_merged_parts_are_their_fills_in_their_order(cuts: list[tuple[int, int, int]]) -> None:
    wholes = [batch_of("E", 6), batch_of("Number", 6, trade_id="7"), batch_of("X", 6, trade_id="T", owner_id="o")]
    parts = [BatchPart(wholes[which], min(cut), max(cut)) for which, *cut in cuts]
    assert said(merged(parts)) == [fill for part in parts for fill in said(part.as_batch())]


def test_a_part_knows_its_own_fills_only() -> None:
    whole = batch_of("E", 6)
    part = BatchPart(whole, 1, 2)
    assert (len(part), part.index.tolist(), part.account_of(0)) == (1, [1], "E1")
    assert [part.has_fills_of(name) for name in ("E1", "E0", "nobody")] == [True, False, False]
    assert said(BatchPart(whole, 1, 5).after(3).as_batch()) == said(whole)[4:5]
