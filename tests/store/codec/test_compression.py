"""How fill runs are stored: compressed, so that nothing damages them unseen, and read as the bytes that they had."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.store.codec import compression
from ledger.store.codec.compression import (
    AS_IT_IS,
    SHA256S,
    CompressionError,
    all_plain,
    compressed,
    front_of,
    fronts_of,
    plain,
    plain_rows,
)
from ledger.store.codec.events import decode
from ledger.store.codec.fills import decode_totals, exec_id_digests
from ledger.store.codec.run_front import FRONT_BYTES, totals_in
from ledger.store.codec.run_layout import end_of_totals
from ledger.store.leaf import leaf
from ledger.v1.events_pb2 import VolumeRecorded
from scripts.dictionary.runs import synthetic_runs
from tests.store.codec.test_events import GOLDEN, SAMPLES, golden
from tests.store.leaf_vectors import SECRET

STORED = GOLDEN.parent / "stored_runs"  # as this release wrote them; another zstd may write others, and must read these
RUNS = [run for run in synthetic_runs(9) if len(run) < 1_000 or len(run) > 3_000]
SHORT = min(RUNS, key=len)
MIDDLE = next(run for run in RUNS if FRONT_BYTES < len(run) < 6_000)
LONG = MIDDLE + VolumeRecorded(owner_ids=bytes(range(256)) * 8).SerializeToString()  # one message, as the two are
RUNS.append(LONG)
SEED = 20_261_201


def once(run: bytes, *, charged: bool = False) -> bytes:
    """A run as it is stored."""
    (stored,) = compressed([run], charged=charged)
    return stored


def test_runs_of_any_length_are_among_those_that_are_tried() -> None:
    assert len(SHORT) < 500
    assert len(LONG) > 6_000
    assert {once(run)[:1] for run in RUNS} == {b"\1"}
    assert [once(run)[1] > 1 for run in (SHORT, MIDDLE, LONG)] == [False, False, True], "a front is plain"


@pytest.mark.parametrize("path", sorted(STORED.glob("*.hex")), ids=lambda path: path.stem)
def test_bytes_that_were_stored_once_are_read_for_ever(path: Path) -> None:
    stored, name = bytes.fromhex(path.read_text()), path.stem.removesuffix("_charged")
    assert stored[:1] != AS_IT_IS
    folder = STORED / "plain" if name.endswith("_long") else GOLDEN
    assert plain(stored).hex() == (folder / f"{name}.hex").read_text().strip()
    assert stored[1] & 1 == path.stem.endswith("_charged")


def test_no_dictionary_is_changed_or_taken_away() -> None:
    assert SHA256S == {1: "273733c056b71b10b41c8130d46d23882fc1357929454361a00dc62a1787a2c4"}
    for version, sha256 in SHA256S.items():
        assert hashlib.sha256(compression.dictionary(version)).hexdigest() == sha256


def test_an_installation_with_a_damaged_dictionary_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SHA256S, 1, "00" * 32)
    with pytest.raises(
        CompressionError, match="dictionary 1 of this installation is missing or damaged: install fee-ledger"
    ):
        compression.dictionary(1)
    monkeypatch.setitem(SHA256S, 2, "00" * 32)
    with pytest.raises(CompressionError, match="dictionary 2"):
        compression.dictionary(2)


def test_the_runs_that_a_dictionary_is_trained_on_are_always_the_same() -> None:
    assert list(synthetic_runs(2)) == list(synthetic_runs(2))
    assert len(set(RUNS)) == len(RUNS)


@pytest.mark.parametrize("name", [name for name in SAMPLES if name.startswith("VolumeRecorded")])
def test_each_sample_is_read_as_what_it_was(name: str) -> None:
    run = bytes.fromhex(golden(name).read_text())
    assert plain(once(run)) == run
    assert decode(1, "s", 1, "VolumeRecorded", once(run)) == decode(1, "s", 1, "VolumeRecorded", run)


def test_the_leaf_of_a_run_is_of_the_bytes_that_it_had() -> None:
    for run in RUNS:
        row = (7, "fees/a/2024-10-04", 7, "VolumeRecorded", once(run), 1, 2, 3)
        (found,) = plain_rows([row])
        assert found == (*row[:4], run, 1, 2, 3)
        assert leaf(*found[:5], SECRET) == leaf(*row[:4], run, SECRET)


@given(st.lists(st.one_of(st.sampled_from(RUNS), st.binary().map(AS_IT_IS.__add__)), max_size=12), st.booleans())
def test_any_runs_are_read_as_what_they_were_and_at_once_as_one_by_one(runs: list[bytes], charged: bool) -> None:
    stored = compressed(runs, charged=charged)
    assert stored == [once(run, charged=charged) for run in runs]
    assert all_plain(stored) == list(map(plain, stored)) == runs
    assert all(len(each) <= len(run) for each, run in zip(stored, runs, strict=True))
    assert {each[1] & 1 for each in stored if each[:1] != AS_IT_IS} <= {int(charged)}


def test_of_very_many_runs_those_of_a_fill_or_two_stay_as_they_are() -> None:
    many = [SHORT, LONG] * 2_000
    assert compressed(many, charged=False) == [SHORT, once(LONG)] * 2_000
    assert all_plain(compressed(many, charged=False)) == many


def test_ids_are_found_in_stored_runs_as_in_plain_ones() -> None:
    for found, expected in zip(exec_id_digests(compressed(RUNS, charged=False)), exec_id_digests(RUNS), strict=True):
        assert (found == expected).all()


def test_a_slice_of_a_stored_run_has_its_totals() -> None:
    fronts = [each[:FRONT_BYTES] for each in compressed(RUNS, charged=False)]
    assert [totals_in(front) for front in fronts] == [decode_totals(run) for run in RUNS]
    assert once(LONG)[2:].find(LONG[: end_of_totals(LONG)]) >= 0, "its front is plain"


def test_of_a_run_that_hardly_gets_shorter_the_rest_is_needed() -> None:
    noise = VolumeRecorded(exec_ids=Random(SEED).randbytes(4_100) + bytes(1_000)).SerializeToString()
    stored = once(SHORT + noise)
    assert FRONT_BYTES < len(stored) < len(SHORT + noise)
    assert totals_in(stored[:FRONT_BYTES]) is None
    assert fronts_of([stored[:FRONT_BYTES], once(SHORT)], FRONT_BYTES) == ([b"", SHORT], [False, True])


def test_a_front_of_any_length_is_told_or_said_to_be_cut() -> None:
    for run in (SHORT, MIDDLE, LONG):
        stored = once(run)
        sizes = [*range(min(len(stored), 400)), len(stored)]
        told = [front_of(stored[:size], size + 1) for size in sizes]
        assert told == [tuple(each) for each in zip(*fronts_of([stored[:size] for size in sizes], 9**9), strict=True)]
        for front, has_all in told:
            assert front in ((run[: end_of_totals(run)], run) if has_all else (b"",))
        assert told[-1][1]


@pytest.mark.parametrize("run", [SHORT, MIDDLE, LONG], ids=["short", "whole", "with a front"])
def test_no_byte_of_a_stored_run_is_damaged_unseen(run: bytes) -> None:
    """Those of a front are as they were, and are looked at as those of any other event."""
    stored, random, unseen = once(run), Random(SEED), 0
    front = end_of_totals(run) if run is LONG else 0
    begin = stored.find(run[:front]) if front else len(stored)
    for place in {*range(12), *range(begin + front, begin + front + 12), *random.choices(range(len(stored)), k=500)}:
        if begin <= place < begin + front or place >= len(stored):
            continue
        for mask in (1, 0x80, 0xFF, random.randrange(2, 255)):
            damaged = bytearray(stored)
            damaged[place] ^= mask
            if damaged[:1] == AS_IT_IS:
                continue  # it is read as a message, and is none
            with suppress(CompressionError):
                assert plain(bytes(damaged)) == run
                unseen += 1
    assert unseen <= 4, "a frame has few bits that mean nothing for what it holds"
    for size in (0, 1, 2, len(stored) // 2, len(stored) - 1):
        with pytest.raises(CompressionError):
            plain(stored[:size])


def test_a_run_that_claims_to_be_larger_than_any_is_not_made() -> None:
    """A frame of 65 kB may hold 2 GB of zeros; here one only says that it does."""
    of_3_gib = bytes([0b10100000]) + (3 << 30).to_bytes(4, "little") + bytes([1, 0, 0])
    for several in (1, 9):
        with pytest.raises(CompressionError, match="larger than any run"):
            all_plain([bytes([compression.VERSION, 0]) + of_3_gib] * several)


def test_of_many_runs_the_damaged_one_is_told_and_the_others_can_be_read() -> None:
    stored = compressed(RUNS[:9], charged=False)
    stored[4] = stored[4][:-1] + bytes([stored[4][-1] ^ 1])
    with pytest.raises(CompressionError, match="damaged"):
        all_plain(stored)
    rows = [(place, "fees/a/2024-10-04", place, "VolumeRecorded", state) for place, state in enumerate(stored)]
    with pytest.raises(CompressionError):
        plain_rows(rows)
    found = [row[4] for row in plain_rows(rows, if_whole=True)]
    assert found == [*RUNS[:4], stored[4], *RUNS[5:9]]


def test_events_of_other_kinds_stay_as_they_are() -> None:
    rows = [(1, "registers", 1, "CommandRefused", b"\1 is how none begins"), (2, "registers", 2, "CommandRefused", b"")]
    assert plain_rows(rows) == rows


@pytest.fixture
def foreign() -> Iterator[int]:
    """A dictionary of another release, in none of this one's files."""
    yield 9
    compression._learned.clear()
    compression._digested.cache_clear()
    compression._contexts.__init__()  # type: ignore[misc]


def test_a_run_with_the_dictionary_of_another_release_needs_that_of_its_log(foreign: int) -> None:
    stored = bytes([foreign]) + once(SHORT)[1:]
    with pytest.raises(CompressionError, match="dictionary 9, which is not at hand"):
        plain(stored)
    compression.learn(foreign, compression.dictionary(1))
    assert plain(stored) == SHORT
    assert all_plain([stored, *compressed(RUNS[:5], charged=False)]) == [SHORT, *RUNS[:5]]
