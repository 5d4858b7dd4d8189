"""Answers as JSON: protobuf's mapping with the contract's field names; 64-bit integers are text, times RFC 3339."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError, Message

from ledger.v1 import events_pb2
from ledger.v1.query_service_pb2 import StoredEvent

_INTEGERS: Final = frozenset(
    [
        "traits",
        "time_offsets_ns",
        "symbol_indexes",
        "basis_indexes",
        "source_indexes",
        "sequence_offsets",
        "trade_numbers",
        "order_numbers",
        "order_times_ns",
    ]
)


def document(message: Message) -> str:
    """One answer, over several lines."""
    return json.dumps(_values(message), indent=2)


def line(message: Message) -> str:
    """One entry of a list, on one line."""
    values = _values(message)
    if isinstance(message, StoredEvent) and (state := _state(message)):
        values["state"] = state
        del values["erasable"]  # the state has it
    return json.dumps(values)


def _values(message: Message) -> dict[str, Any]:
    return MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)


def _state(event: StoredEvent) -> dict[str, Any] | None:
    """Return what the stored bytes say, less empty columns; None if this release does not know the topic."""
    if event.topic not in events_pb2.DESCRIPTOR.message_types_by_name:
        return None
    state: Message = getattr(events_pb2, event.topic)()
    try:
        state.ParseFromString(event.state + event.erasable)
    except DecodeError:
        return None
    values = _values(state)
    if isinstance(state, events_pb2.VolumeRecorded):
        values = {name: value for name, value in values.items() if value not in ([], "")} | _columns(state)
    return values


def _columns(run: events_pb2.VolumeRecorded) -> dict[str, list[Any]]:
    """Packed columns as lists: `ledger.arrays.columns` packs them. A client has no numpy to read them with."""
    said = {field.name: value for field, value in run.ListFields() if field.type == field.TYPE_BYTES}
    amounts = {"prices", "quantities", "fees"}
    return {
        name: integers(data, len(run.traits), signed=name == "fees")
        if name in _INTEGERS or (name in amounts and not run.wide_amounts)
        else texts(data, len(run.traits))
        for name, data in said.items()
    }


def integers(data: bytes, count: int, *, signed: bool = False) -> list[int]:
    """Return the integers of a packed column: 01 00 02 01 of two is [1, 258]."""
    return [int.from_bytes(each, "little", signed=signed) for each in _cut(data, count)]


def texts(data: bytes, count: int) -> list[str]:
    """Return the texts of a packed column."""
    return [each.rstrip(b"\0").decode() for each in _cut(data, count)]


def _cut(data: bytes, count: int) -> Iterator[bytes]:
    width = len(data) // count or 1
    return (data[at : at + width] for at in range(0, len(data), width))
