"""Which values are bad for a field, as its type, its behaviour and its comment in the contract tell."""

from __future__ import annotations

from collections.abc import Mapping

from google.api.field_behavior_pb2 import REQUIRED, field_behavior
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor

from ledger.contract import is_command
from ledger.v1.comments import COMMENTS
from tests.server.bad_values import (
    DIGEST,
    LEFT_TO_ROWS,
    OPTIONAL_DIGEST,
    OPTIONAL_ID,
    PAGE_SIZE,
    PAGE_TOKEN,
    PAST_TIME,
    REQUIRED_ID,
    REQUIRED_PAST_TIME,
    REQUIRED_TIME,
    TIME,
    TIME_ASKED,
    Bad,
    enum_up_to,
    required_enum_up_to,
    text_of,
)

AUTHORITY: Mapping[str, Bad] = {
    "authority.actor": OPTIONAL_ID,
    "authority.approver": OPTIONAL_ID,
    "authority.ticket": text_of(200),
    "authority.reason": text_of(2_000),
}
READ_AT: Mapping[str, Bad] = {
    "at.as_of": TIME_ASKED,
    "at.known_at_position": LEFT_TO_ROWS,
    "at.known_at_time": TIME_ASKED,
    "at.min_position": LEFT_TO_ROWS,
}
_ALIKE: Mapping[str, Mapping[str, Bad]] = {
    "request_id": {"request_id": REQUIRED_ID},
    "authority": AUTHORITY,
    "at": READ_AT,
    "page_size": {"page_size": PAGE_SIZE},
    "page_token": {"page_token": PAGE_TOKEN},
}


def kinds_of(method: MethodDescriptor) -> dict[str, Bad]:
    """The bad values of the fields of a request by path: none of bools and numbers; those of messages are by hand."""
    found: dict[str, Bad] = {}
    for field in method.input_type.fields:
        if field.name in _ALIKE:
            found |= _ALIKE[field.name]
        elif not field.message_type or field.message_type.name == "Timestamp":
            found[field.name] = _kind(method, field)
    return found


def _kind(method: MethodDescriptor, field: FieldDescriptor) -> Bad:
    comment = COMMENTS[f"{method.input_type.name}.{field.name}"]
    optional = REQUIRED not in field.GetOptions().Extensions[field_behavior]
    if field.is_repeated:
        return LEFT_TO_ROWS
    if field.enum_type:
        highest = len(field.enum_type.values) - 1
        return enum_up_to(highest) if optional else required_enum_up_to(highest)
    if field.message_type:
        return _time(is_command(method), is_past="not in the future" in comment, optional=optional)
    if field.type == field.TYPE_BYTES:
        return OPTIONAL_DIGEST if optional else DIGEST
    if field.type == field.TYPE_STRING:
        return OPTIONAL_ID if optional else REQUIRED_ID
    return LEFT_TO_ROWS


def _time(commands: bool, *, is_past: bool, optional: bool) -> Bad:
    if not commands:
        return TIME_ASKED
    if is_past:
        return PAST_TIME if optional else REQUIRED_PAST_TIME
    return TIME if optional else REQUIRED_TIME
