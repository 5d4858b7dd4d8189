"""How many entries the lists of a message have, counted on its bytes: before an object is made of any.

A message of 15 MB may be seven million empty entries, and as objects they take a hundred times its bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from ledger.arrays.columns import Ints
from ledger.arrays.protobuf_wire import DELIMITED, VARINT
from ledger.domain.refusal import Reason
from ledger.v1.fill_pb2 import Fill
from ledger.wire.status import refuse

_FIXED: Final = {1: 8, 5: 4}  # bytes of a number of fixed width, by wire type
_MORE: Final = 0x80  # of a byte of a varint: another follows
_VARINT_BYTES_MAX: Final = 10
_NEAR: Final = 4  # times `entries_max`: so many entries may be built without counting them exactly
_SMALL_BYTES: Final = 1024 * 1024  # of a message whose texts and numbers are not counted: as objects, 16 MB at most
_OTHER_FIELDS_MAX: Final = 1_000  # of a message, beside its lists
_NO_VARINT: Final = -1


@dataclass(frozen=True, slots=True)
class _List:
    """A repeated field: `path` from the top of the request, for example `columns.account_ids`."""

    path: str
    reason: Reason
    packable: bool
    of_messages: bool
    first_byte: int  # the lower seven bits of it, with which every way to write its tag begins

    def entries_at_most(self, lower_bits: Ints) -> int:
        """Return a bound from above: how many bytes might begin an entry. Takes the lower seven bits of each."""
        if self.packable:
            return len(lower_bits)
        return int(np.count_nonzero(lower_bits == self.first_byte))


_Lists = dict[int, "_List | _Lists"]  # by number of the field: a list, or a message that has some


class ListBounds:
    """Bounds the lists of requests of one type, wherever they lie: each to `entries_max` entries."""

    def __init__(self, request: Descriptor, entries_max: int, *, small_bytes: int = _SMALL_BYTES) -> None:
        """In messages of up to `small_bytes`, only lists of messages are counted: texts and numbers stay small."""
        self._entries_max = entries_max
        self._small_bytes = small_bytes
        self._lists = _lists_of(request, "")
        self._flat = list(_flat(self._lists))
        self._of_messages = [each for each in self._flat if each.of_messages]
        self._fields_max = len(self._flat) * entries_max + _OTHER_FIELDS_MAX

    def check(self, data: bytes) -> None:
        """Refuse bytes of which a list would have too many entries: BATCH_TOO_LARGE of fills, else LIST_TOO_LONG.

        Bytes of which no list can have more than some times as many as it may are not looked at closely: what is
        built of them is small, and whoever reads the request counts them.
        """
        near = _NEAR * self._entries_max
        if len(data) <= near:
            return
        looked_at = self._flat if len(data) > self._small_bytes else self._of_messages
        lower_bits = np.frombuffer(data, np.uint8) & 0x7F
        if any(each.entries_at_most(lower_bits) > near for each in looked_at):
            _Count(data, self._entries_max, self._fields_max).of(self._lists, 0, len(data))


class _Count:
    """Goes through the bytes of one message, tag by tag, and ends where a list is too long.

    It ends early, without a word, where the bytes are no message: the decoder will not go further either.
    """

    def __init__(self, data: bytes, entries_max: int, fields_max: int) -> None:
        self._data = data
        self._entries_max = entries_max
        self._fields_left = fields_max
        self._entries: dict[str, int] = {}

    def of(self, lists: _Lists, place: int, end: int) -> bool:
        """Count the fields from a place up to an end. Returns whether they could be read."""
        while place < end:
            self._fields_left -= 1
            if self._fields_left < 0:
                refuse(Reason.LIST_TOO_LONG, "", "the message has more fields than any of its kind")
            tag, place = self._varint(place, end)
            if tag == _NO_VARINT:
                return False
            found, kind = lists.get(tag >> 3), tag & 7
            value = 0
            if kind in (VARINT, DELIMITED):
                value, place = self._varint(place, end)
            if kind == DELIMITED and (value < 0 or place + value > end):
                return False
            if isinstance(found, _List):
                self._add(found, self._packed(place, value) if found.packable and kind == DELIMITED else 1)
            elif found is not None and kind == DELIMITED and not self.of(found, place, place + value):
                return False
            place += value if kind == DELIMITED else _FIXED.get(kind, 0)
        return True

    def _add(self, found: _List, count: int) -> None:
        entries = self._entries[found.path] = self._entries.get(found.path, 0) + count
        if entries > self._entries_max:
            refuse(found.reason, found.path, f"more than {self._entries_max} entries")

    def _packed(self, place: int, size: int) -> int:
        """How many varints end in a stretch."""
        return len(self._data[place : place + size].translate(None, _CONTINUED))

    def _varint(self, place: int, end: int) -> tuple[int, int]:
        """(the number at a place, the place after it), or _NO_VARINT where none ends within the bytes it may have."""
        value = shift = 0
        for at in range(place, min(place + _VARINT_BYTES_MAX, end)):
            byte = self._data[at]
            value |= (byte & 0x7F) << shift
            if byte < _MORE:
                return value, at + 1
            shift += 7
        return _NO_VARINT, end


_CONTINUED: Final = bytes(range(_MORE, 256))


def _lists_of(message: Descriptor, path: str, within: frozenset[str] = frozenset()) -> _Lists:
    """The repeated fields of a message and of those in it. Those of entries of a list count with the list."""
    found: _Lists = {}
    for field in message.fields:
        name = f"{path}{field.name}"
        if field.is_repeated:
            found[field.number] = _list(field, name)
        elif field.message_type is not None and message.full_name not in within:
            below = _lists_of(field.message_type, f"{name}.", within | {message.full_name})
            if below:
                found[field.number] = below
    return found


def _list(field: FieldDescriptor, path: str) -> _List:
    of_fills = field.message_type is not None and field.message_type.full_name == Fill.DESCRIPTOR.full_name
    texts = (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES, FieldDescriptor.TYPE_MESSAGE)
    return _List(
        path=path,
        reason=Reason.BATCH_TOO_LARGE if of_fills else Reason.LIST_TOO_LONG,
        packable=field.type not in texts,
        of_messages=field.type == FieldDescriptor.TYPE_MESSAGE,
        first_byte=field.number << 3 & 0x7F | DELIMITED,
    )


def _flat(lists: _Lists) -> list[_List]:
    return [each for found in lists.values() for each in ([found] if isinstance(found, _List) else _flat(found))]
