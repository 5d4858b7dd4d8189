"""The leaf of an event: a small record of fixed size that vouches for all that the event says, part by part.

What an event says lies in three parts, so that each reader is shown his own alone, and can still work out the leaf.
docs/leaf.md describes all of it for other implementations.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from enum import IntEnum
from functools import cache
from itertools import chain
from typing import Final, NamedTuple

from ledger.arrays.protobuf_wire import Heads, wire_fields
from ledger.v1 import events_pb2, part_pb2

FORMAT: Final = 1  # of a leaf
LEAF_BYTES: Final = 41
NONCE_BYTES: Final = 16
SECRET_BYTES: Final = 32
_TAG: Final = b"fee-ledger/part/1"
_ROOT_TAG: Final = b"fee-ledger/root/1"
_ENVELOPE: Final = events_pb2.Envelope.DESCRIPTOR
_ENVELOPE_NUMBER: Final = 1  # in every event
_ERASABLE_SHA256: Final = events_pb2.Envelope.ERASABLE_SHA256_FIELD_NUMBER
_SHA256_BYTES: Final = 32
_envelope_field: Final = Heads(_ENVELOPE_NUMBER)


class Part(IntEnum):
    """A part of an event, by who may see it."""

    SHOWN = 1  # the account that the event is about
    HIDDEN = 2  # the operator: who asked and approved, who was on the other side, which engine sent it
    ERASABLE = 3  # as SHOWN, until it is erased: what customers chose, such as ids of their orders


_BEGINS: Final = {part: _TAG + bytes([part]) for part in Part}


class Parts(NamedTuple):
    """The content of each part of an event: the same in whatever order its fields are stored."""

    shown: bytes  # after the name of the event: its stream, topic and version
    hidden: bytes
    erasable: bytes
    erasable_sha256: bytes = b""  # as the event says, where its erasable part lies outside it


class Opening(NamedTuple):
    """A part, as it is opened to whoever may see it. What may be erased lies so in a table of its own."""

    nonce: bytes
    content: bytes

    def sha256(self, part: Part) -> bytes:
        """Return the hash of the part; empty, as none is, where the nonce is of another size."""
        return part_sha256(part, *self) if len(self.nonce) == NONCE_BYTES else b""


Hashes = tuple[bytes, bytes, bytes]  # of the parts, in their order

NOTHING: Final = Opening(bytes(NONCE_BYTES), b"")  # the erasable part of an event that has nothing to erase


def parts_of(stream: str, version: int, topic: str, state: bytes) -> Parts:
    """Divide an event by its fields, which are not decoded. A field that this release does not know is HIDDEN.

    Each content has its fields in the order of their numbers, as they are stored. Raises KeyError for a topic that this
    release does not know, ValueError where the bytes are no event.
    """
    found = _divided(topic, state)
    parts = Parts(
        _name(stream, version, topic) + found[Part.SHOWN],
        found[Part.HIDDEN],
        found[Part.ERASABLE],
        _erasable_sha256(found[Part.SHOWN]),
    )
    if parts.erasable_sha256 and (parts.erasable or len(parts.erasable_sha256) != _SHA256_BYTES):
        raise ValueError("the event has its erasable part inside and outside, or what it says of it is no SHA-256")
    return parts


def opened(position: int, part: Part, content: bytes, secret: bytes) -> Opening:
    """Return a part of the event at a position with its nonce, which follows from a secret of the ledger."""
    if part is Part.ERASABLE and not content:
        return NOTHING
    assert len(secret) == SECRET_BYTES, len(secret)
    return Opening(hmac.digest(secret, position.to_bytes(8) + bytes([part]), "sha256")[:NONCE_BYTES], content)


def part_sha256(part: Part, nonce: bytes, content: bytes) -> bytes:
    """Return SHA-256(tag || number of the part || nonce of 16 bytes || length in 8 bytes || content).

    Without the nonce, which only its readers know, nobody can guess short content by trying.
    """
    assert len(nonce) == NONCE_BYTES, len(nonce)
    return hashlib.sha256(_BEGINS[part] + nonce + len(content).to_bytes(8) + content).digest()


def hashes_of(position: int, parts: Parts, secret: bytes) -> Hashes:
    """Return the hashes of the parts of the event at a position, in their order."""
    shown, hidden, erasable = (
        part_sha256(part, *opened(position, part, content, secret))
        for part, content in zip(Part, parts[:3], strict=True)
    )
    return shown, hidden, parts.erasable_sha256 or erasable


def leaf_of(position: int, hashes: Hashes) -> bytes:
    """Return the leaf: format (1 byte) || position (8 bytes) || SHA-256(tag || hashes of the parts in their order)."""
    root = hashlib.sha256(b"".join([_ROOT_TAG, *hashes])).digest()
    return bytes([FORMAT]) + position.to_bytes(8) + root


def leaf(position: int, stream: str, version: int, topic: str, state: bytes, secret: bytes) -> bytes:
    """Return the leaf of a stored event, given as `decode` takes it. It needs nothing of other events."""
    return leaf_of(position, hashes_of(position, parts_of(stream, version, topic, state), secret))


def _name(stream: str, version: int, topic: str) -> bytes:
    """Return what names an event in its log: texts after their length in 4 bytes, and the version in 8."""
    texts = (text.encode() for text in (stream, topic))
    return b"".join(chain.from_iterable((len(text).to_bytes(4), text) for text in texts)) + version.to_bytes(8)


def _divided(message: str, data: bytes) -> Mapping[Part, bytes]:
    """Return the fields of each part, those of the envelope within its field."""
    places = _places(message)
    found: dict[Part, list[tuple[int, bytes]]] = {part: [] for part in Part}
    for number, whole, content in wire_fields(data):
        part = places.get(number, Part.HIDDEN)
        if part is not None:
            found[part].append((number, whole))
            continue
        for of_envelope, within in _divided(_ENVELOPE.name, content).items():
            if within or of_envelope is Part.SHOWN:
                found[of_envelope].append((number, _envelope_field(within)))
    return {part: b"".join(whole for _, whole in sorted(each, key=_number)) for part, each in found.items()}


def _erasable_sha256(shown: bytes) -> bytes:
    """Return what the envelope, the first field, says of an erasable part that lies outside the event."""
    envelope = next(wire_fields(shown), None)
    if envelope is None or envelope.number != _ENVELOPE_NUMBER:
        return b""
    said = (field.content for field in wire_fields(envelope.content) if field.number == _ERASABLE_SHA256)
    return next(said, b"")


def _number(field: tuple[int, bytes]) -> int:
    return field[0]


@cache
def _places(message: str) -> Mapping[int, Part | None]:
    """Return the part of each field of a message, as the contract says; None: it is the envelope, which is divided."""
    fields = events_pb2.DESCRIPTOR.message_types_by_name[message].fields
    return {
        field.number: None
        if field.message_type is _ENVELOPE
        else Part(field.GetOptions().Extensions[part_pb2.part] or Part.HIDDEN)
        for field in fields
    }
