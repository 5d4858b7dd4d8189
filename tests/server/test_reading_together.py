"""Requests that are read together are read as each of them by itself: the same fills, the same refusals."""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Final

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ledger.arrays.columns import INT64_ROOM
from ledger.arrays.protobuf_wire import DELIMITED, VARINT, varint
from ledger.caller import Caller
from ledger.server.fills.read_requests import FillRequests
from ledger.server.fills.request_bytes import ReceivedRequest
from ledger.v1.fill_pb2 import Fill
from ledger.v1.fill_service_pb2 import FillColumns, RecordFillsRequest, StreamFillsRequest
from ledger.writing.messages import RecordFills, Refused, UnreadFills
from tests.server.columns import columns_of
from tests.server.test_batch import ENUMS, GOOD, LATEST_FILL_NS, batches, changed, good_fills, rows_of
from tests.server.test_columns import fills as fills_for_columns

FILLS_MAX: Final = 8
FULL: Final = changed(
    trade_id="T1",
    order_id="7",
    cl_ord_id="c",
    order_time=GOOD.transact_time,
    owner_id="o",
    counterparty_owner_id="p",
    channel=1,
    product=2,
)


class OneByOne(FillRequests):
    """Reads every request by itself, from the messages."""

    def _form(self, arrived: ReceivedRequest) -> Hashable | None:
        return None


ALONE: Final = OneByOne(FILLS_MAX, lambda: LATEST_FILL_NS)
FROM_BYTES: Final = FillRequests(FILLS_MAX, lambda: LATEST_FILL_NS, few=0)
FROM_MESSAGES: Final = FillRequests(FILLS_MAX, lambda: LATEST_FILL_NS, few=1_000)


def read(requests: FillRequests, arrived: Sequence[ReceivedRequest]) -> list[Any]:
    """Return what each request asks, as plain values."""
    return list(map(told, requests.read([UnreadFills(one.size, "", one, requests.read, Caller()) for one in arrived])))


def told(found: RecordFills | Refused) -> Any:
    if isinstance(found, Refused):
        return found.refusal, found.others
    assert isinstance(found, RecordFills), found
    rows = rows_of(found.batch.as_batch()) if found.batch is not None else []
    asked = (found.venue, found.source, found.first_sequence, found.size, found.with_fees)
    return rows, list(found.malformed), asked, [found.fill_sha256(index) for index in range(min(found.size, FILLS_MAX))]


def assert_alike(arrived: Sequence[ReceivedRequest]) -> None:
    expected = read(ALONE, arrived)
    assert read(FROM_BYTES, arrived) == expected
    assert read(FROM_MESSAGES, arrived) == expected


good_rows = st.lists(good_fills, min_size=1, max_size=4)
forms = st.one_of(
    st.builds(lambda fills: {"fills": fills}, good_rows | batches() | st.lists(good_fills, max_size=FILLS_MAX + 1)),
    st.builds(lambda fills: {"columns": columns_of(fills)}, st.lists(fills_for_columns, min_size=1, max_size=4)),
)
numbers = st.sampled_from([1, 7, INT64_ROOM - 1, INT64_ROOM, 2**64 - 1])


@st.composite
def requests(draw: st.DrawFn) -> ReceivedRequest:
    """Mostly of one venue, actor and source; sometimes with faults of their own."""
    request = RecordFillsRequest(
        venue=draw(st.sampled_from(["", "", "bitmart", "a b"])),
        actor=draw(st.sampled_from(["me", "me", "", "\n"])),
        include_fees=draw(st.booleans()),
        **draw(forms),
    )
    if draw(st.booleans()):
        request.source = draw(st.sampled_from(["engine", "engine-2", "engine 3"]))
    if bool(request.source) != draw(st.sampled_from([False] * 9 + [True])):
        request.first_sequence = draw(numbers)
    if draw(st.booleans()):
        return ReceivedRequest.on_stream(StreamFillsRequest(batch=request).SerializeToString())
    return ReceivedRequest.unary(request.SerializeToString())


@settings(max_examples=250, deadline=None)
@given(st.lists(requests(), min_size=1, max_size=8))
def test_requests_are_read_together_as_by_themselves(arrived: list[ReceivedRequest]) -> None:
    assert_alike(arrived)


# -- fills as no serialiser writes them -------------------------------------------------------------------------------


def of_bytes(fills: Sequence[bytes], *, source: str = "engine") -> bytes:
    """A request with fills of any bytes."""
    head = RecordFillsRequest(source=source, first_sequence=1 if source else 0).SerializeToString()
    return head + b"".join(b"\x22" + varint(len(fill)) + fill for fill in fills)


def fields_of(fill: Fill) -> list[bytes]:
    """The bytes of each field that is set."""
    found = []
    for field, value in fill.ListFields():
        one = Fill()
        if field.message_type is None:
            setattr(one, field.name, value)
        else:
            getattr(one, field.name).CopyFrom(value)
        found.append(one.SerializeToString())
    return found


def in_any_order(fields: list[bytes], chance: random.Random) -> list[bytes]:
    return chance.sample(fields, len(fields))


def without_one(fields: list[bytes], chance: random.Random) -> list[bytes]:
    return in_order(fields, chance.sample(range(len(fields)), len(fields) - 1))


def one_twice(fields: list[bytes], chance: random.Random) -> list[bytes]:
    return in_order(fields, [*range(len(fields)), chance.randrange(len(fields))])


def one_said_before(fields: list[bytes], chance: random.Random) -> list[bytes]:
    """The last of two fields counts; of two messages both do."""
    other = changed(account_id="before", exec_id="before", symbol="BEFORE", side=2, last_px="7", trade_id="T")
    return [chance.choice(fields_of(other)), *fields]


def one_more(fields: list[bytes], chance: random.Random) -> list[bytes]:
    more = chance.choice(
        [
            b"\x98\x06\x01",  # a field nobody knows, of each wire type
            b"\x9a\x06\x01a",
            b"\x99\x06" + bytes(8),
            b"\x9d\x06" + bytes(4),
            b"\x9b\x06\x9c\x06",
            b"\x4a\x00",  # fields that are said to be empty
            b"\x0a\x00",
            b"\x20\x00",
            b"\x62\x00",
            b"\x42\x00",
            b"\x8a\x01\x00",
            b"\x78\x81\x00",  # a varint longer than it need be
            b"\x80\x01\x82\x80\x00",
            b"\xf8\x00\x01",  # a tag longer than it need be
            b"\x78\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",  # a negative number
            b"\x48\x01",  # the number of a text, as a varint
            b"\x4a\x01\x00",
            b"\x4a\x03a\x00b",
            b"\x4a\x03ab\x00",
            b"\x32\x04\x31\x2e\x35\x00",
            b"\x42\x02\x10\x01",  # part of a time
            b"\x42\x06\x08\x80\x80\x80\x80\x01",
            b"\x62\x0b\x08\xc0\xc4\x07\x10\x01\x18\x01\x18\x01",
        ]
    )
    place = chance.randint(0, len(fields))
    return [*fields[:place], more, *fields[place:]]


def in_order(fields: list[bytes], places: list[int]) -> list[bytes]:
    return [fields[place] for place in sorted(places)]


def any_byte(fields: list[bytes], chance: random.Random) -> list[bytes]:
    place = chance.randrange(len(fields))
    data = bytearray(fields[place])
    data[chance.randrange(len(data))] = chance.randrange(256)
    return [*fields[:place], bytes(data), *fields[place + 1 :]]


CHANGES: Final[Sequence[Callable[[list[bytes], random.Random], list[bytes]]]] = (
    in_any_order,
    without_one,
    one_twice,
    one_said_before,
    one_more,
    any_byte,
)


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.lists(good_fills, min_size=1, max_size=3), min_size=1, max_size=4),
    st.lists(st.sampled_from(CHANGES), min_size=1, max_size=3),
    st.integers(0, 2**32),
    st.sampled_from(["engine", ""]),
)
@example([[GOOD], [GOOD]], [one_more], 1, "engine")
def test_fills_of_unusual_bytes_are_what_protobuf_says_they_are(
    sent: list[list[Fill]], changes: list[Any], seed: int, source: str
) -> None:
    chance = random.Random(seed)
    arrived = []
    for fills in sent:
        each = [fields_of(fill) for fill in fills]
        for change in changes:
            place = chance.randrange(len(each))
            each[place] = change(each[place], chance)
        try:
            arrived.append(ReceivedRequest.unary(of_bytes([b"".join(fields) for fields in each], source=source)))
        except DecodeError:
            continue
    assert_alike(arrived)


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_of_a_good_fill_is_read_as_protobuf_reads_it(change: Any) -> None:
    decodable = 0
    for seed in range(300):
        fill = b"".join(change(fields_of(FULL), random.Random(seed)))
        try:
            arrived = ReceivedRequest.unary(of_bytes([GOOD.SerializeToString(), fill]))
        except DecodeError:
            continue
        assert_alike([arrived, ReceivedRequest.unary(of_bytes([FULL.SerializeToString()]))])
        decodable += 1
    assert decodable


ODD_IDS: Final = (b"", b"a b", b"a\x00b", b"ab\x00", b"\x00", b"0", b"007", b"9" * 19, b"i" * 64, b"i" * 65, b"i" * 200)
ODD_AMOUNTS: Final = (
    *(
        b"",
        b"0",
        b"0.0",
        b"-1",
        b"1.2.3",
        b"1..2",
        b".5",
        b"5.",
        b".",
        b"1\x00",
        b"\x001",
        b"1e5",
        b"00.10",
        b"/",
        b":",
    ),
    *(b"9" * 18, b"9" * 19, b"9" * 20, b"9" * 21, b"0.%018d" % 1, b"0.%019d" % 1, b"9" * 20 + b"." + b"9" * 18),
)
ODD_NUMBERS: Final = (b"\x00", b"\x02", b"\x03", b"\x04", b"\x7f", b"\x81\x00", b"\x80\x01", b"\xff" * 9 + b"\x01")
SECONDS: Final = b"\x08\xc0\xc4\x8a\xb7\x06"  # in 2024
ODD_TIMES: Final = (
    *(
        b"",
        SECONDS,
        SECONDS + b"\x10\x00",
        SECONDS + b"\x10\xff\x93\xeb\xdc\x03",
        SECONDS + b"\x10\x80\x94\xeb\xdc\x03",
    ),
    *(SECONDS + b"\x10\x81\x00", SECONDS + b"\x10" + b"\xff" * 9 + b"\x01", SECONDS + b"\x18\x01", SECONDS * 2),
    *(b"\x10\x01" + SECONDS, b"\x10\x01", b"\x08\x01", b"\x08\x80\x80\x80\x80\x80\x01", b"\x08\xff\xff\xff\xff\x7f"),
    *(b"\x08" + varint(second) for second in (9_223_372_036, 20_174_787_273, 2**35 - 1)),  # beyond int64 in nanoseconds
    *(SECONDS + b"\x10\xff\xff\xff\xff\x07", SECONDS + b"\x10\x80\x80\x80\x80\x00", SECONDS + b"\x08\x01"),
)
ODD: Final = [
    (field.name, value)
    for field in Fill.DESCRIPTOR.fields
    for value in {
        FieldDescriptor.TYPE_STRING: ODD_AMOUNTS if field.name in {"last_px", "last_qty"} else ODD_IDS,
        FieldDescriptor.TYPE_ENUM: ODD_NUMBERS,
        FieldDescriptor.TYPE_MESSAGE: ODD_TIMES if field.name.endswith("_time") else (b"",),
    }[field.type]
]


@pytest.mark.parametrize(("name", "value"), ODD)
def test_an_odd_value_in_its_place_is_read_as_protobuf_reads_it(name: str, value: bytes) -> None:
    number = Fill.DESCRIPTOR.fields_by_name[name].number
    head = varint(number << 3 | VARINT) if name in ENUMS else varint(number << 3 | DELIMITED) + varint(len(value))
    fields = {field.number: data for (field, _), data in zip(FULL.ListFields(), fields_of(FULL), strict=True)}
    fill = b"".join(data for _, data in sorted({**fields, number: head + value}.items()))
    other = changed(exec_id="E2").SerializeToString()
    for fills in ([fill], [other, fill], [fill, other]):
        assert_alike(
            [ReceivedRequest.unary(of_bytes(fills)), ReceivedRequest.unary(of_bytes([other], source="engine-2"))]
        )


def test_an_ordinary_fill_is_read_from_its_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the tests above compare two ways, not one with itself."""
    monkeypatch.setattr("ledger.server.fills.read_requests.read_batch", None)
    found = read(FROM_BYTES, [ReceivedRequest.unary(of_bytes([fill.SerializeToString()])) for fill in (GOOD, FULL)])
    assert [row["exec_id"] for rows, *_ in found for row in rows] == ["E1", "E1"]


def test_ordinary_requests_of_one_form_share_a_batch_and_no_others_do() -> None:
    rows = [ReceivedRequest.unary(of_bytes([GOOD.SerializeToString()] * count)) for count in (1, 3, 2)]
    columns = [
        ReceivedRequest.on_stream(StreamFillsRequest(batch=request).SerializeToString())
        for request in (of_columns(GOOD), of_columns(GOOD, GOOD), of_columns(changed(trade_id="T")))
    ]
    bad = ReceivedRequest.unary(of_bytes([changed(exec_id="a b").SerializeToString()]))
    arrived = [rows[0], columns[0], bad, rows[1], columns[1], rows[2], columns[2]]
    for requests in (FROM_BYTES, FROM_MESSAGES):
        found: list[Any] = requests.read([UnreadFills(one.size, "", one, requests.read, Caller()) for one in arrived])
        parts = [one.batch for one in found]
        assert [(part.start, part.end) for part in (parts[0], parts[3], parts[5])] == [(0, 1), (1, 4), (4, 6)]
        assert parts[0].whole is parts[3].whole is parts[5].whole
        assert [(part.start, part.end) for part in (parts[1], parts[4], parts[6])] == [(0, 1), (1, 3), (0, 1)]
        assert parts[1].whole is parts[4].whole is not parts[6].whole
        assert parts[2] is None


def of_columns(*fills: Fill) -> RecordFillsRequest:
    columns: FillColumns = columns_of(fills)
    return RecordFillsRequest(source="engine", first_sequence=1, columns=columns)


def test_what_cannot_be_read_together_is_read_by_itself(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("ledger.server.fills.read_requests.common_origin", broken)
    arrived = [ReceivedRequest.unary(of_bytes([GOOD.SerializeToString()])) for _ in range(2)]
    assert read(FROM_BYTES, arrived) == read(ALONE, arrived)
    assert "could not be read together" in caplog.text
