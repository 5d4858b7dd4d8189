"""Maps events to the bytes of the log and back. The topic is the message's name in proto/ledger/v1/events.proto.

Rare events go field by field, by name. Fee streams have codecs of their own: `fills` for runs of fills, which are many
and wide, `adjustments` for events that correct them, and `credits`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, fields
from functools import cache
from operator import attrgetter
from typing import Any, Final, get_args

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from ledger.domain.events import (
    CellVolume,
    CloseMissing,
    CloseUsed,
    CreditEvent,
    CurrencyNet,
    Envelope,
    Event,
    FeeAdjusted,
    FeeEvent,
    MatchClaim,
    MigrationFile,
    Recorded,
    RefusedSequence,
    SequenceConflict,
    VolumeRecorded,
)
from ledger.store.codec.adjustments import decode_adjustment, encode_adjustment
from ledger.store.codec.credits import decode_credit, decode_withdrawal, encode_credit
from ledger.store.codec.erasable import joined
from ledger.store.codec.fills import decode_volume, encode_volume
from ledger.store.rows import Row
from ledger.v1 import events_pb2

_TYPES: Final[dict[str, type]] = {event.__name__: event for event in get_args(Event)}
_MESSAGES: Final[dict[str, Callable[..., Message]]] = {topic: getattr(events_pb2, topic) for topic in _TYPES}
_PARTS: Final[dict[str, type]] = {  # nested in events
    part.__name__: part
    for part in (
        RefusedSequence,
        SequenceConflict,
        MatchClaim,
        CellVolume,
        CloseUsed,
        CloseMissing,
        MigrationFile,
        CurrencyNet,
    )
}
_NAMES: Final = {kind: tuple(field.name for field in fields(kind)) for kind in (*_TYPES.values(), *_PARTS.values())}
# Numbers whose default is not zero, such as the run of an evaluation: the default is written as unset, so that events
# have the bytes that they had before there was the field.
_UNSET: Final = {
    kind: {field.name: field.default for field in fields(kind) if field.default is not MISSING and field.default}
    for kind in _NAMES
}
_ENVELOPE_FIELDS: Final = tuple(field.name for field in fields(Envelope))
_envelope_values: Final = attrgetter(*_ENVELOPE_FIELDS)

_FEE_EVENTS: Final[dict[str, Callable[[bytes], tuple[events_pb2.Envelope, FeeEvent]]]] = {
    "VolumeRecorded": decode_volume,
    "FeeAdjusted": decode_adjustment,
    "FeeCredited": decode_credit,
    "CreditWithdrawn": decode_withdrawal,
}


def encode(envelope: Envelope, event: Event) -> tuple[str, bytes]:
    """Return (topic, bytes) as they are stored; the ledger vouches for these bytes."""
    if isinstance(event, FeeAdjusted):
        return "FeeAdjusted", encode_adjustment(envelope_message(envelope), event)
    if isinstance(event, VolumeRecorded):
        return "VolumeRecorded", encode_volume(envelope_message(envelope), event)
    if isinstance(event, CreditEvent):
        return type(event).__name__, encode_credit(envelope_message(envelope), event)
    topic = type(event).__name__
    message = _MESSAGES[topic](envelope=envelope_message(envelope), **_values(event))
    return topic, message.SerializeToString(deterministic=True)


def decode(position: int, stream: str, version: int, topic: str, state: bytes) -> Recorded:
    """Return the event of a row of the log. Raises KeyError for a topic this release does not know."""
    if topic in _FEE_EVENTS:
        envelope_message, event = _FEE_EVENTS[topic](state)
        return Recorded(position, stream, version, _envelope(envelope_message), event)
    message = _MESSAGES[topic]()
    message.ParseFromString(state)
    return Recorded(position, stream, version, _envelope(message.envelope), _reader(_TYPES[topic])(message))  # type: ignore[attr-defined]


def decode_row(row: Row) -> Recorded:
    """Return the event of a row that is not in the log yet, with what may be erased of it."""
    recorded = decode(row.position, row.stream, row.version, row.topic, row.state)
    return recorded if row.part is None else joined(recorded, row.part.content)


def is_canonical(topic: str, state: bytes) -> bool:
    """Return True if bytes hold only fields that this release reads, each once and as short as it writes them."""
    message = _MESSAGES[topic]()
    message.ParseFromString(state)
    message.DiscardUnknownFields()
    return message.ByteSize() == len(state)


def envelope_message(envelope: Envelope) -> events_pb2.Envelope:
    """Return the message of an envelope, as every event carries it."""
    return events_pb2.Envelope(**{name: getattr(envelope, name) for name in _ENVELOPE_FIELDS})


def _envelope(message: events_pb2.Envelope) -> Envelope:
    return Envelope(*_envelope_values(message))


def _values(event: Any) -> dict[str, Any]:
    """Return field values for a message's constructor; None is left out, nested values become messages."""
    values = {name: getattr(event, name) for name in _NAMES[type(event)]}
    for name, unset in _UNSET[type(event)].items():
        values[name] = values[name] if values[name] != unset else None
    return {name: _nested(value) for name, value in values.items() if value is not None}


def _nested(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_nested(item) for item in value]
    if type(value).__name__ in _PARTS:
        return getattr(events_pb2, type(value).__name__)(**_values(value))
    return value


@cache
def _reader(kind: type) -> Callable[[Message], Any]:
    """Return what makes an event, or a part of one, of its message: fields that are as they come are read at once."""
    names = _NAMES[kind]
    descriptors = [getattr(events_pb2, kind.__name__).DESCRIPTOR.fields_by_name[name] for name in names]
    converted = [(place, found) for place, each in enumerate(descriptors) if (found := _conversion(each)) is not None]
    converted += [(names.index(name), _or_default(default)) for name, default in _UNSET[kind].items()]
    values = attrgetter(*names) if len(names) > 1 else lambda message: (getattr(message, names[0]),)

    def read(message: Message) -> Any:
        row = list(values(message))
        for place, convert in converted:
            row[place] = convert(message, row[place])
        return kind(*row)

    return read


def _or_default(default: Any) -> Callable[[Message, Any], Any]:
    return lambda _, value: value or default


def _conversion(descriptor: FieldDescriptor) -> Callable[[Message, Any], Any] | None:
    """Return what makes a field's value of what protobuf gives: parts and tuples, None for what is not there."""
    name = descriptor.name
    part = _reader(_PARTS[descriptor.message_type.name]) if descriptor.message_type else None
    if descriptor.is_repeated:
        return lambda _, values: tuple(map(part, values) if part else values)
    if descriptor.has_presence:
        return lambda message, value: (part(value) if part else value) if message.HasField(name) else None
    return None
