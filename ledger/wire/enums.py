"""The closed words of answers: each is a text, with a field of an enum type beside it that says the same."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from google.protobuf.descriptor import Descriptor, EnumDescriptor
from google.protobuf.message import Message


def set_words(message: Message, **words: str) -> None:
    """Set texts of an answer and the enums beside them: fee_type="ZERO" sets fee_type_enum to FEE_TYPE_ZERO, too.

    A word that this release does not know, out of the log of a later one, is UNSPECIFIED there, as an empty one is.
    """
    for field, word in words.items():
        setattr(message, field, word)
        setattr(message, f"{field}_enum", _values_beside(message.DESCRIPTOR, field).get(word, 0))


def values_by_word(enum: EnumDescriptor) -> Mapping[str, int]:
    """Return the numbers of an enum by the names of its values without their prefix: {"CHARGE": 1, "REBATE": 2}."""
    prefix = enum.values_by_number[0].name.removesuffix("UNSPECIFIED")
    return {value.name.removeprefix(prefix): value.number for value in enum.values if value.number}


@cache
def _values_beside(message: Descriptor, field: str) -> Mapping[str, int]:
    enum = message.fields_by_name[f"{field}_enum"].enum_type
    assert enum is not None, field
    return values_by_word(enum)
