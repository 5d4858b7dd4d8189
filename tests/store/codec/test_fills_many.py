"""Runs encoded all at once are, byte for byte, what each run by itself is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.arrays.protobuf_wire import Heads, varint, varints
from ledger.domain.events import Envelope, Recorded
from ledger.domain.instants import DAY_NS
from ledger.domain.state.account import AccountState
from ledger.fills.account_day import AccountDay
from ledger.fills.batch import FillBatch, as_part, by_account_day, merged
from ledger.fills.days import DayTable
from ledger.fills.decide import decide_fills
from ledger.fills.fill_runs import FillRuns
from ledger.store.codec import fills_many
from ledger.store.codec.erasable import apart, joined
from ledger.store.codec.events import decode_row, encode
from ledger.store.leaf import Part
from ledger.store.writer import rows_of
from ledger.v1 import events_pb2
from tests.domain.worked import NOON_NS, fills, rulebook

SHARED = Envelope(0, NOON_NS + 7, 3, "ops-7")

rows = st.lists(
    st.fixed_dictionaries(
        {
            "account_id": st.sampled_from(["alice", "bob", "c" * 64]),
            "transact_time_ns": st.integers(0, 3).map(lambda days: NOON_NS + days * DAY_NS // 3),
            "liquidity": st.sampled_from([1, 2]),
            "price": st.sampled_from(["0.5", "3", "99999999999999.5"]),
            "quantity": st.sampled_from(["0.00000001", "700", "12345678901234567.8"]),
            "counterparty_owner_id": st.sampled_from(["", "alice", "bob"]),
            "token": st.sampled_from(["", "BMX"]),
            "trade_id": st.sampled_from(["", "17", "007"]),
            "cl_ord_id": st.sampled_from(["", "", "C-1", "C-22"]),
        }
    ),
    min_size=1,
    max_size=20,
)


@pytest.fixture(autouse=True, scope="module")
def _many() -> Iterator[None]:
    """However few there are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fills_many, "FEW", 0)
        yield


def decided(*batches: FillBatch, last_positions: Sequence[int] = ()) -> FillRuns:
    """The runs of some batches, of account-days that end at some positions already; others have no event."""
    batch = merged(list(map(as_part, batches)))
    groups = by_account_day(batch)
    days = DayTable.holding({key: AccountDay() for key in groups.keys})
    for key, position in zip(groups.keys, last_positions, strict=False):
        days.append(days.places([key]), position)
    accounts = {name: AccountState(name) for name in batch.accounts}
    outcome = decide_fills(batch, groups, accounts, days.places(groups.keys), days, rulebook(), with_fees=False)
    assert isinstance(outcome.runs, FillRuns)
    return outcome.runs


def assert_same_bytes(runs: FillRuns) -> None:
    found = rows_of(runs, 41, SHARED)
    assert len(found) == len(runs) > 0
    for row, (_, event) in zip(found, runs, strict=True):
        envelope = replace(SHARED, effective_time_ns=event.time_min_ns)
        kept, content = apart(Recorded(row.position, row.stream, row.position, envelope, event))
        assert (row.part.content if row.part else b"") == content
        envelope = replace(kept.envelope, erasable_sha256=row.part.sha256(Part.ERASABLE) if row.part else b"")
        assert row.state == encode(envelope, kept.event)[1]
        assert decode_row(row) == joined(replace(kept, envelope=envelope), content)
        assert (row.time_min_ns, row.time_max_ns) == (event.time_min_ns, event.time_max_ns)


@given(rows, st.sampled_from(["", "engine"]), st.lists(st.one_of(st.integers(0, 300), st.integers(0, 2**62))))
def test_all_at_once_is_as_one_by_one(each: list[dict[str, Any]], source: str, last_positions: list[int]) -> None:
    runs = decided(fills(*each, source=source), last_positions=last_positions)
    named = [event.previous_position for _, event in runs]
    assert named == [*last_positions, *[0] * len(runs)][: len(runs)]
    assert_same_bytes(runs)


def test_runs_of_several_sources_some_without_numbers_are_too() -> None:
    def named(first: int, source: str) -> FillBatch:
        batch = fills({"exec_id": f"A{first}"}, {"exec_id": f"B{first}", "account_id": "bob"}, source=source)
        return batch if not source else batch.rows(slice(0, 2))

    assert_same_bytes(decided(named(1, "engine"), named(2, ""), named(3, "other")))
    assert_same_bytes(decided(fills({"exec_id": "X"}, source=""), fills({"account_id": "bob"}, source="engine")))


def test_streams_and_positions_are_those_of_the_account_days() -> None:
    found = rows_of(decided(fills({}, {"account_id": "bob"}, {"account_id": "bob", "exec_id": "E9"})), 7, SHARED)
    assert [(row.stream, row.version, row.position) for row in found] == [
        ("fees/alice/2024-10-04", 7, 7),
        ("fees/bob/2024-10-04", 8, 8),
    ]


@given(st.lists(st.integers(0, 2**64 - 1)))
def test_varints_are_those_of_protobuf(values: list[int]) -> None:
    expected = [events_pb2.WriterStarted(term=value).SerializeToString()[1:] for value in values if 0 < value < 2**32]
    assert [varint(value) for value in values if 0 < value < 2**32] == expected
    assert varints(values) == list(map(varint, values))


def test_a_head_names_field_and_size() -> None:
    assert Heads(3)(b"abc") == events_pb2.VolumeRecorded(source=["abc"]).SerializeToString()
    long = "x" * 300
    assert Heads(41).each([b"", long.encode()])[1][-300:] == long.encode()
    assert Heads(52)(long.encode()) == events_pb2.VolumeRecorded(owner_ids=long.encode()).SerializeToString()


def test_a_run_is_made_when_it_is_asked_for_and_none_beyond_the_last() -> None:
    runs = decided(fills({}, {"account_id": "bob"}))
    assert [key for key, _ in runs] == list(runs.keys)
    assert runs[-1] == runs[1] == runs[0:2][1]
    assert np.array_equal(runs.starts, [0, 1, 2])
