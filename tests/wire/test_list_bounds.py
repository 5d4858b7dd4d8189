"""Lists are counted on the bytes of a message, in whichever way these are written."""

from __future__ import annotations

from typing import Any, Final

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.arrays.protobuf_wire import varint
from ledger.v1.command_service_pb2 import BanAccountRequest
from ledger.v1.evaluation_service_pb2 import RunEvaluationRequest
from ledger.v1.fill_pb2 import Fill
from ledger.v1.fill_service_pb2 import FillColumns, RecordFillsRequest, StreamFillsRequest, SymbolScale
from ledger.v1.member_service_pb2 import RequestMatchRequest
from ledger.wire.list_bounds import ListBounds
from ledger.wire.status import RefusedError
from tests.samples import fill

MOST: Final = 10
MANY: Final = 8 * MOST
TEXT: Final = "x" * MANY  # so that a message is long enough to be looked at

# (what, a request with a list that is too long, reason, path of the list)
TOO_LONG: Final[list[tuple[str, Any, str, str]]] = [
    ("fills", RecordFillsRequest(fills=[fill()] * MANY), "BATCH_TOO_LARGE", "fills"),
    ("empty fills", RecordFillsRequest(fills=[Fill()] * MANY), "BATCH_TOO_LARGE", "fills"),
    (
        "fills of a stream",
        StreamFillsRequest(batch=RecordFillsRequest(fills=[Fill()] * MANY)),
        "BATCH_TOO_LARGE",
        "batch.fills",
    ),
    (
        "accounts",
        RecordFillsRequest(columns=FillColumns(account_ids=[""] * MANY)),
        "LIST_TOO_LONG",
        "columns.account_ids",
    ),
    (
        "symbols of a stream",
        StreamFillsRequest(batch=RecordFillsRequest(columns=FillColumns(symbols=[SymbolScale()] * MANY))),
        "LIST_TOO_LONG",
        "batch.columns.symbols",
    ),
    (
        "packed numbers",
        BanAccountRequest(reason_code=TEXT, evidence_positions=[1, 300] * MANY),
        "LIST_TOO_LONG",
        "evidence_positions",
    ),
    ("packed numbers alone", BanAccountRequest(evidence_positions=range(MANY)), "LIST_TOO_LONG", "evidence_positions"),
    ("texts", RunEvaluationRequest(complete_sources=[""] * MANY), "LIST_TOO_LONG", "complete_sources"),
    ("venues", RequestMatchRequest(venues=[""] * MANY), "LIST_TOO_LONG", "venues"),
]
FILLS: Final = 4  # number of RecordFillsRequest.fills
COLUMNS: Final = 7
ACCOUNT_IDS: Final = 1


def refusal(request: Any, data: bytes) -> tuple[str, str] | None:
    """(reason, field) of bytes in place of a request of a type."""
    try:
        ListBounds(request.DESCRIPTOR, MOST, small_bytes=0).check(data)
    except RefusedError as error:
        return error.refusal.reason.name, error.refusal.field
    return None


def field(number: int, content: bytes = b"", *, tag_bytes: int = 1) -> bytes:
    """A field with a length; its tag may be written in more bytes than it needs."""
    tag = number << 3 | 2
    long_tag = bytes([tag | 0x80, *[0x80] * (tag_bytes - 2), 0]) if tag_bytes > 1 else bytes([tag])
    return long_tag + varint(len(content)) + content


@pytest.mark.parametrize(("what", "message", "reason", "path"), TOO_LONG)
def test_a_list_that_is_too_long_is_refused_by_its_bytes(what: str, message: Any, reason: str, path: str) -> None:
    assert refusal(message, message.SerializeToString()) == (reason, path), what


@pytest.mark.parametrize("tag_bytes", [2, 3, 5])
def test_a_tag_may_be_written_in_more_bytes_than_it_needs(tag_bytes: int) -> None:
    data = field(FILLS, tag_bytes=tag_bytes) * MANY
    assert len(RecordFillsRequest.FromString(data).fills) == MANY, "the decoder takes it"
    assert refusal(RecordFillsRequest, data) == ("BATCH_TOO_LARGE", "fills")


def test_entries_count_together_wherever_they_lie() -> None:
    data = field(COLUMNS, field(ACCOUNT_IDS)) * MANY
    assert len(RecordFillsRequest.FromString(data).columns.account_ids) == MANY, "the decoder joins them"
    assert refusal(RecordFillsRequest, data) == ("LIST_TOO_LONG", "columns.account_ids")


def test_what_is_no_entry_does_not_count() -> None:
    tags = bytes([FILLS << 3 | 2, 0]) * MANY  # within a text
    request = RecordFillsRequest(actor=tags.decode(), fills=[Fill()])
    assert refusal(request, request.SerializeToString()) is None


def test_fields_that_nobody_knows_are_bounded_too() -> None:
    unknown = b"\x78\x00" * 10_000 + b"\x22" * MANY
    assert refusal(RecordFillsRequest, unknown) == ("LIST_TOO_LONG", "")


def test_bytes_that_are_no_message_are_left_to_the_decoder() -> None:
    for data in (b"\x22" * MANY * 2, b"\x22\x00" * MOST + b"\x22" + b"\xff" * 1_000, b"\x3a" * 99 + b"\x0a" * 999):
        with pytest.raises(DecodeError):
            RecordFillsRequest.FromString(data)
        assert refusal(RecordFillsRequest, data) is None


_fields = st.recursive(
    st.binary(max_size=4),
    lambda inner: (
        st.builds(field, st.integers(1, 15), inner, tag_bytes=st.integers(1, 3))
        | st.lists(inner, max_size=40).map(b"".join)
        | st.builds(lambda many, times: many * times, inner, st.integers(1, 60))
    ),
    max_leaves=12,
)


@settings(max_examples=500, deadline=None)
@given(_fields)
def test_whatever_the_bytes_are_no_list_that_passes_is_built_of_more_than_some_times_as_many(data: bytes) -> None:
    for kind in (RecordFillsRequest, StreamFillsRequest):
        if refusal(kind, data) is not None:
            continue
        try:
            message = kind.FromString(data)
        except DecodeError:
            continue
        batch = message if isinstance(message, RecordFillsRequest) else message.batch
        for entries in (batch.fills, batch.columns.account_ids, batch.columns.symbols):
            assert len(entries) <= 4 * MOST


def test_few_bytes_of_texts_are_left_to_whoever_reads_them() -> None:
    texts = RunEvaluationRequest(complete_sources=[""] * MANY)
    ListBounds(texts.DESCRIPTOR, MOST).check(texts.SerializeToString())


def test_few_bytes_of_messages_are_counted_all_the_same() -> None:
    fills = RecordFillsRequest(fills=[Fill()] * MANY)
    with pytest.raises(RefusedError):
        ListBounds(fills.DESCRIPTOR, MOST).check(fills.SerializeToString())
