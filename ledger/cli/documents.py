"""Answers as JSON: protobuf's mapping with the contract's field names; 64-bit integers are text, times RFC 3339."""

from __future__ import annotations

import json
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError, Message

from ledger.v1 import events_pb2
from ledger.v1.query_service_pb2 import StoredEvent


def document(message: Message) -> str:
    """One answer, over several lines."""
    return json.dumps(_values(message), indent=2)


def line(message: Message) -> str:
    """One entry of a list, on one line."""
    values = _values(message)
    if isinstance(message, StoredEvent):
        values["state"] = _state(message) or values["state"]
    return json.dumps(values)


def _values(message: Message) -> dict[str, Any]:
    return MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)


def _state(event: StoredEvent) -> dict[str, Any] | None:
    """What the stored bytes say, less columns that are not used; None: this release does not know the topic."""
    if event.topic not in events_pb2.DESCRIPTOR.message_types_by_name:
        return None
    state: Message = getattr(events_pb2, event.topic)()
    try:
        state.ParseFromString(event.state)
    except DecodeError:
        return None
    return {name: value for name, value in _values(state).items() if value != []}
