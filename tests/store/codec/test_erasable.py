"""What may be erased of an event lies apart from its bytes, and the two together are the whole message."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import get_args

import pytest

from ledger.arrays.columns import packed_texts, texts
from ledger.domain.events import Columns, Envelope, Event, LedgerCreated, Recorded, TierRevoked, VolumeRecorded
from ledger.store.codec.erasable import apart, contents_of_runs, joined
from ledger.store.codec.events import decode, encode, is_canonical
from ledger.store.leaf import Opening, Part
from ledger.v1 import events_pb2

IDS = packed_texts(texts(["C-1", "C-22"])).data
RUN = VolumeRecorded(
    venue="bitmart", sources=(), time_min_ns=1, time_max_ns=2, time_max_so_far_ns=2, symbols=(), bases=(), totals=(),
    columns=Columns(*(b"\1\1" for _ in range(8)), cl_ord_id=IDS),
)  # fmt: skip


def recorded(event: Event, **envelope: object) -> Recorded:
    return Recorded(7, "account/alice", 3, Envelope(1, 2, 3, **envelope), event)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "whole",
    [
        recorded(LedgerCreated("l"), ticket="T-19"),
        recorded(RUN),
        recorded(RUN, ticket="T-19"),
    ],
)
def test_bytes_and_content_one_after_the_other_are_the_whole_event(whole: Recorded) -> None:
    kept, content = apart(whole)
    topic, state = encode(kept.envelope, kept.event)
    assert is_canonical(topic, content)
    assert all(planted not in state for planted in (b"T-19", b"C-1", b"C-22"))
    assert joined(decode(7, whole.stream, 3, topic, state), content) == whole
    assert decode(7, whole.stream, 3, topic, state + content) == whole
    assert joined(kept, b"") == kept


def test_an_event_that_nobody_chose_anything_of_has_no_such_part() -> None:
    for event in (LedgerCreated("l"), replace(RUN, columns=RUN.columns._replace(cl_ord_id=b""))):
        assert apart(recorded(event)) == (recorded(event), b"")
    empty = replace(RUN, columns=RUN.columns._replace(cl_ord_id=bytes(len(IDS))))
    assert apart(recorded(empty))[1] == b""


def test_nothing_else_is_taken_from_a_content() -> None:
    forged = events_pb2.VolumeRecorded(cl_ord_ids=IDS, fees=b"\0\0", venue="elsewhere")
    forged.envelope.actor = "mallory"
    kept, _ = apart(recorded(RUN, actor="ops-7"))
    assert joined(kept, forged.SerializeToString()) == recorded(RUN, actor="ops-7")


def test_runs_of_one_column_have_the_contents_that_each_has_alone() -> None:
    column = packed_texts(texts(["C-1", "C-22", "", "", "C-3"]))
    found = contents_of_runs(column, [0, 2, 4, 5])
    assert found == [
        events_pb2.VolumeRecorded(cl_ord_ids=b"C-1\0C-22").SerializeToString(),
        b"",
        events_pb2.VolumeRecorded(cl_ord_ids=b"C-3\0").SerializeToString(),
    ]


def test_every_event_has_its_envelope_where_a_ticket_is_looked_for() -> None:
    for event in get_args(Event):
        assert getattr(events_pb2, event.__name__).DESCRIPTOR.fields_by_name["envelope"].number == 1
    assert TierRevoked in get_args(Event)


def test_an_event_and_its_part_are_these_bytes_for_ever() -> None:
    kept, content = apart(recorded(LedgerCreated("l"), ticket="T-19"))
    nonce = bytes(range(16))
    sha256 = hashlib.sha256(b"fee-ledger/part/1\x03" + nonce + bytes([0, 0, 0, 0, 0, 0, 0, 8]) + content).digest()
    assert content.hex() == "0a063a04542d3139"
    assert Opening(nonce, content).sha256(Part.ERASABLE) == sha256
    _, state = encode(replace(kept.envelope, erasable_sha256=sha256), kept.event)
    assert state == bytes.fromhex("0a280801100218036a20") + sha256 + bytes.fromhex("12016c")
