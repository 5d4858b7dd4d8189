"""Page tokens: where a page sequence stands, bound to one ledger, one query, one as_of and one known_at (AIP-158).

The checksum protects against accidents: a token grants nothing that the query it belongs to would not answer anyway.
Whoever knows how it is made may put anything into one, so what it says is checked as any other field is.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NoReturn, TypeVar

from google.protobuf.message import Message

from ledger.domain.events import POSITION_MAX
from ledger.domain.instants import LATEST_NS
from ledger.domain.refusal import Reason
from ledger.wire.status import refuse

_HEADER: Final = struct.Struct(">16s16sqQ")
_CHECKSUM_BYTES: Final = 8

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PageToken:
    """The read that a page sequence is frozen at, and the key of its last entry, in the query's own terms."""

    as_of_ns: int
    known_position: int
    key: bytes

    def last(self, read: Callable[[bytes], T]) -> T:
        """Return the last entry of the page before, as `read` finds it in the key. Refuses any other key."""
        try:
            return read(self.key)
        except (ValueError, struct.error):
            _refuse_damaged()


def encode_token(token: PageToken, ledger_id: str, query: Message) -> str:
    """Return a token as opaque text for the caller."""
    header = _HEADER.pack(_short(ledger_id.encode()), _query_hash(query), token.as_of_ns, token.known_position)
    body = header + token.key
    return _text(body + hashlib.sha256(body).digest()[:_CHECKSUM_BYTES])


def decode_token(text: str, ledger_id: str, query: Message) -> PageToken:
    """Return the token that the text holds. Refuses one that is damaged, of another ledger, or of another query."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if _text(raw) != text:
        raw = b""  # bits that base64 leaves unused, or padding: not as we wrote it
    body, checksum = raw[:-_CHECKSUM_BYTES], raw[-_CHECKSUM_BYTES:]
    if len(body) < _HEADER.size or hashlib.sha256(body).digest()[:_CHECKSUM_BYTES] != checksum:
        _refuse_damaged()
    ledger, asked, as_of_ns, known_position = _HEADER.unpack_from(body)
    if ledger != _short(ledger_id.encode()):
        refuse(Reason.PAGE_TOKEN_INVALID, "page_token", "it belongs to another ledger")
    if asked != _query_hash(query):
        refuse(Reason.PAGE_TOKEN_INVALID, "page_token", "it belongs to another query: keep every field but page_size")
    if not 0 <= as_of_ns < LATEST_NS or known_position > POSITION_MAX:
        _refuse_damaged()
    return PageToken(as_of_ns, known_position, body[_HEADER.size :])


def text(key: bytes) -> str:
    """Return a key that is a text. Raises ValueError for bytes that are none which PostgreSQL takes."""
    if b"\0" in key:
        raise ValueError("it has a NUL")
    return key.decode()


def number(key: bytes) -> int:
    """Return a key that is a number: a position, or how many entries came before. Raises ValueError."""
    found = int.from_bytes(key)
    if found > POSITION_MAX:
        raise ValueError("it is no position")
    return found


def _refuse_damaged() -> NoReturn:
    refuse(Reason.PAGE_TOKEN_INVALID, "page_token", "it is damaged: start again without one")


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _query_hash(query: Message) -> bytes:
    """Return a hash of the kind of query and of every field but the page's own."""
    same = type(query)()
    same.CopyFrom(query)
    for field in ("page_size", "page_token"):
        same.ClearField(field)
    return _short(query.DESCRIPTOR.full_name.encode() + b"\0" + same.SerializeToString(deterministic=True))


def _short(value: bytes) -> bytes:
    return hashlib.sha256(value).digest()[:16]
