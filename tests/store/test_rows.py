"""What COPY takes in are the rows, whichever way they were made."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from ledger.store.leaf import Opening, Part, part_sha256
from ledger.store.rows import COLUMNS, ColumnRows, LogRows, Row, RunRows, erasable_copied

PART = Opening(b"nonce of 16 byte", b"content")
RUNS = RunRows(
    ["fees/a/2024-10-04", "fees/" + "b" * 64 + "/2024-10-05"],
    7,
    "VolumeRecorded",
    [b"\0one\n", b"two" * 99],
    [np.array([1, 2]), np.array([3, 4]), np.array([5, 2**62])],
    [None, PART],
)
DECISIONS = ColumnRows(["account/a", "account/c"], [4, 1], "VolumeEvaluated", [b"four", b""], 30, parts=[PART, None])
OTHER = Row("ledger", 1, "WriterStarted", b"", 9)


def fields(copied: bytes) -> list[bytes | None]:
    (count,), place, found = struct.unpack_from("!h", copied), 2, list[bytes | None]()
    for _ in range(count):
        (size,) = struct.unpack_from("!i", copied, place)
        place += 4
        found.append(None if size < 0 else copied[place : place + size])
        place += max(size, 0)
    assert place == len(copied)
    return found


def test_rows_of_runs_are_copied_as_each_is_by_itself() -> None:
    rows = LogRows([OTHER])
    rows.extend(RUNS)
    rows.append(OTHER)
    assert list(rows.copied()) == [row.copied() for row in rows]
    assert list(rows) == [OTHER, *RUNS, OTHER]
    assert (len(rows), rows[0], rows[-1], rows[1:3]) == (4, OTHER, OTHER, list(RUNS))
    with pytest.raises(IndexError):
        rows[4]


def test_rows_of_decisions_are_copied_as_each_is_by_itself_and_have_no_times() -> None:
    rows = LogRows([OTHER])
    rows.extend(DECISIONS)
    assert list(rows) == [
        OTHER,
        Row("account/a", 4, "VolumeEvaluated", b"four", 30, part=PART),
        Row("account/c", 1, "VolumeEvaluated", b"", 31),
    ]
    assert list(rows.copied()) == [row.copied() for row in rows]
    assert rows.erasable() == [(30, *PART)]
    assert rows.of_account("c", {"account/c"}) == [rows[2]]


def test_rows_of_an_account_are_found_whichever_way_they_were_made() -> None:
    rows = LogRows([OTHER])
    rows.extend(RUNS)
    of_a = Row("fees/a/2024-10-04", 11, "FeeAdjusted", b"", 11)
    for row in (of_a, Row("account/a", 1, "TierChanged", b"", 12)):
        rows.append(row)
    assert list(rows.of_account("a", {"fees/a/2024-10-04"})) == [RUNS[0], of_a]
    assert [row.position for row in rows.of_account("a", {"account/a", "fees/a/2024-10-05"})] == [12]
    assert not rows.of_account("b", {"fees/a/2024-10-04"})


def test_a_row_is_a_field_for_each_column_and_null_where_it_has_no_time() -> None:
    found = fields(OTHER.copied())
    assert len(found) == len(COLUMNS)
    assert found == [b"ledger", struct.pack("!q", 1), b"WriterStarted", b"", struct.pack("!q", 9), None, None, None]
    assert fields(RUNS[1].copied())[-1] == struct.pack("!q", 2**62)
    assert RUNS[0] == Row("fees/a/2024-10-04", 7, "VolumeRecorded", b"\0one\n", 7, 1, 3, 5)


def test_what_may_be_erased_lies_beside_the_rows_whichever_way_they_were_made() -> None:
    rows = LogRows([OTHER._replace(part=PART)])
    rows.extend(RUNS)
    assert [row.part for row in rows] == [PART, None, PART]
    assert rows.erasable() == [(9, *PART), (8, *PART)]
    assert rows[0].copied() == OTHER.copied()
    assert fields(erasable_copied(rows.erasable()[0])) == [struct.pack("!q", 9), *PART]
    assert not LogRows([OTHER]).erasable()


def test_a_part_is_named_by_a_hash_unless_its_nonce_is_none() -> None:
    assert PART.sha256(Part.ERASABLE) == part_sha256(Part.ERASABLE, PART.nonce, PART.content)
    assert PART._replace(nonce=b"short").sha256(Part.ERASABLE) == b""
