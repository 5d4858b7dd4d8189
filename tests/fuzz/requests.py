"""A strategy of calls, by the descriptors of the contract: requests that are nearly right, and bytes that are none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from hypothesis import strategies as st

from ledger.v1.fill_service_pb2 import RecordFillsRequest, StreamFillsRequest
from projections.page_token import PageToken, encode_token
from tests.fuzz.known import Known
from tests.fuzz.values import TIMES, file, values_of
from tests.server.columns import columns_of
from tests.server.good_requests import METHODS, RPCS, full_fill, good
from tests.server.test_garbage import NO_MESSAGE

EVERY_RPC: Final[Sequence[MethodDescriptor]] = [
    *RPCS,
    *(
        method
        for module in (health_pb2, reflection_pb2)
        for service in module.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    ),
]
_PLACE_MAX: Final = 299  # of a value that is known
_NAMES: Final = frozenset(
    {"account_id", "owner_id", "grant_id", "match_id", "application_id", "report_id", "promotion_id", "manager_id"}
    | {"symbol", "currency", "asset", "source"}
)
_ENTRIES_MAX: Final = 10_001  # more than a list may have
_KEYS: Final = (
    b"",
    b"\0",
    b"a",
    b"\xff",
    b"\xff" * 8,
    b"\x80" * 12,
    b"alice",
    b"a\0b",
    b"/",
    bytes(24),
    b"\xff" * 24,
    b"1" * 5_000,
)
_INT64: Final = (0, 1, -1, 1_728_043_200_000_000_000, 2**63 - 1, -(2**63))
_UINT64: Final = (0, 1, 5, 2**31, 2**63 - 1, 2**63, 2**64 - 1)
_versions = count(1)

_METHOD: Final = st.sampled_from(EVERY_RPC)
_SIZE: Final = st.sampled_from([1] * 30 + [0, 2])
_SIZE_OF_STREAM: Final = st.integers(0, 5)
_MAYBE: Final = st.booleans()
_MOSTLY: Final = st.sampled_from([True] * 5 + [False])
_IS_LEFT: Final = st.sampled_from([False] * 29 + [True])
_IS_CLEARED: Final = st.sampled_from([False] * 7 + [True])
_PLACE: Final = st.integers(0, 2**16)
_NEW: Final = st.integers(0, 300)  # names that nobody told
_CHANGES: Final = st.sampled_from([0, 0, 0, 1, 1, 2, 3, 4])  # fields of a request
_BYTES: Final = st.sampled_from(["whole"] * 12 + ["cut", "flipped", "more", "none"])
_BYTE: Final = st.binary(min_size=1, max_size=1)
_SOME_BYTES: Final = st.binary(max_size=60)
_NO_MESSAGE: Final = st.sampled_from(list(NO_MESSAGE.values())) | _SOME_BYTES
_LIST: Final = st.sampled_from(["entry"] * 8 + ["one more"] * 4 + ["one twice", "all twice", "many"])
_TIME: Final = st.sampled_from(TIMES)
_FORGED: Final = st.builds(
    PageToken,
    as_of_ns=st.sampled_from(_INT64) | st.integers(-(2**63), 2**63 - 1),
    known_position=st.sampled_from(_UINT64) | st.integers(0, 300),
    key=st.sampled_from(_KEYS) | _SOME_BYTES,
)


@dataclass(frozen=True, slots=True)
class Call:
    """Messages for one RPC, as they go over the wire."""

    method: MethodDescriptor
    sent: Sequence[bytes]
    is_left: bool = False  # its client hangs up without having read an answer

    def __repr__(self) -> str:
        sent = ", ".join(
            data.hex() if len(data) < 500 else f"{data[:100].hex()}... of {len(data)} bytes" for data in self.sent
        )
        return f"{self.method.name} [{sent}]{' and hangs up' if self.is_left else ''}"


@st.composite
def calls(draw: st.DrawFn, known: Known) -> Call:
    """Calls of any RPC: on a stream up to five messages, otherwise mostly one."""
    method = draw(_METHOD)
    size = draw(_SIZE_OF_STREAM) if method.client_streaming else draw(_SIZE)
    return Call(method, [_bytes(draw, method, known) for _ in range(size)], is_left=draw(_IS_LEFT))


def _bytes(draw: st.DrawFn, method: MethodDescriptor, known: Known) -> bytes:
    """The bytes of a request, mostly as they should be."""
    sent = _request(draw, method, known).SerializeToString()
    kind = draw(_BYTES)
    if kind == "cut":
        return sent[: draw(_PLACE) % (len(sent) + 1)]
    if kind == "flipped" and sent:
        place = draw(_PLACE) % len(sent)
        return sent[:place] + draw(_BYTE) + sent[place + 1 :]
    if kind == "more":
        return sent + draw(_SOME_BYTES)
    return draw(_NO_MESSAGE) if kind == "none" else sent


def _request(draw: st.DrawFn, method: MethodDescriptor, known: Known) -> Message:
    """A good request, or an empty one, of which some fields are changed."""
    is_good = method.name in METHODS and draw(_MOSTLY)  # those of health are not of the contract
    request: Any = good(method.name) if is_good else GetMessageClass(method.input_type)()
    if isinstance(request, RecordFillsRequest | StreamFillsRequest) and draw(_MAYBE):
        _as_columns(request)
    _rename(draw, request, known)
    for _ in range(draw(_CHANGES)):
        _change(draw, request, known)
    if "page_token" in request.DESCRIPTOR.fields_by_name and draw(_MAYBE):
        request.page_token = _token(draw, request, known)
    return request


def _rename(draw: st.DrawFn, message: Any, known: Known) -> None:
    """Have a good request be about others, as it comes: so that lives of many accounts begin, and go on."""
    for field, value in message.ListFields():
        if field.name in _NAMES and value and draw(_MAYBE):
            setattr(message, field.name, _name(draw, field.name, known))
        elif field.name == "fills":
            for fill in value:
                _rename(draw, fill, known)


def _name(draw: st.DrawFn, field: str, known: Known) -> str:
    told = known.pick(field, draw(_PLACE)) if draw(_MAYBE) else None
    return told if isinstance(told, str) else f"n{draw(_NEW)}"


def _as_columns(request: RecordFillsRequest | StreamFillsRequest) -> None:
    batch = request.batch if isinstance(request, StreamFillsRequest) else request
    del batch.fills[:]
    batch.columns.CopyFrom(columns_of([full_fill(token_payment=None, charged_fee=None) for _ in range(3)]))


def _change(draw: st.DrawFn, message: Any, known: Known) -> None:
    """Give one field of a message, or of one in it, another value, or none."""
    if not message.DESCRIPTOR.fields:
        return
    field = draw(_fields(message.DESCRIPTOR))
    if draw(_IS_CLEARED):
        message.ClearField(field.name)
    elif field.is_repeated:
        _change_list(draw, getattr(message, field.name), field, known)
    elif field.message_type is None:
        _set(message, field, draw(_values(field, known)))
    elif field.message_type.full_name == Timestamp.DESCRIPTOR.full_name:
        getattr(message, field.name).CopyFrom(draw(_TIME))
    else:
        within = getattr(message, field.name)
        within.SetInParent()
        _change(draw, within, known)


@cache
def _fields(message: Descriptor) -> st.SearchStrategy[FieldDescriptor]:
    return st.sampled_from(list(message.fields))


def _set(message: Any, field: FieldDescriptor, value: Any) -> None:
    """Set a field; a known value of the same name may be of another type, and then says nothing here."""
    try:
        setattr(message, field.name, value)
    except (TypeError, ValueError):
        message.ClearField(field.name)


def _change_list(draw: st.DrawFn, entries: Any, field: FieldDescriptor, known: Known) -> None:
    kind, place = draw(_LIST), draw(_PLACE)
    if field.message_type is not None:
        if kind == "one more" or not entries:
            entries.add()
        _change(draw, entries[place % len(entries)], known)
    else:
        value = draw(_values(field, known))
        try:
            entries.append(value)
        except (TypeError, ValueError):
            return
    if kind == "one twice":
        entries.append(entries[place % len(entries)])
    elif kind == "all twice":
        entries.extend(list(entries))
    elif kind == "many" and len(entries) < 10 and (field.message_type is None or entries[0].ByteSize() < 100):
        entries.extend([entries[0]] * _ENTRIES_MAX)


@cache
def _values(field: FieldDescriptor, known: Known) -> st.SearchStrategy[Any]:
    """Values of one field: hostile ones, those that are known by its name, and new names."""
    if field.name == "content":
        return st.integers(0, 2**16).map(_file)
    hostile = st.sampled_from(list(values_of(field)))
    if field.type == FieldDescriptor.TYPE_BYTES:
        return hostile | st.binary(max_size=40)
    if field.type not in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_INT64, FieldDescriptor.TYPE_UINT64):
        return hostile
    told = (
        st.integers(0, _PLACE_MAX).map(lambda place: known.pick(field.name, place)).map(lambda told: _or(told, field))
    )
    if field.type == FieldDescriptor.TYPE_STRING:
        return st.one_of(told, told, hostile, st.integers(0, 200).map(lambda number: f"n{number}"), st.text(max_size=5))
    return st.one_of(told, told, hostile, st.integers(0, 2_000))


def _or(told: Any, field: FieldDescriptor) -> Any:
    return field.default_value if told is None else told


def _file(place: int) -> str:
    return file(place, f"fuzz-{next(_versions)}")


def _token(draw: st.DrawFn, request: Message, known: Known) -> str:
    """A token for a query with a right checksum, whatever is in it; or that of another page."""
    if draw(_MOSTLY):
        return encode_token(draw(_FORGED), known.ledger_id, request)
    return known.pick("page_token", draw(_PLACE)) or ""
