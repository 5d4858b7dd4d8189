"""The closed words of answers: each is a text, with a field of an enum type beside it that says the same."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from ledger.contract import values_by_word


def set_words(message: Message, **words: str) -> None:
    """Set texts of an answer and the enums beside them: fee_type="ZERO" sets fee_type_enum to FEE_TYPE_ZERO, too.

    A word that this release does not know, out of the log of a later one, is UNSPECIFIED there, as an empty one is.
    """
    for field, word in words.items():
        beside, values = _enum_beside(message.DESCRIPTOR, field)
        setattr(message, field, word)
        setattr(message, beside, values.get(word, 0))


@cache
def _enum_beside(message: Descriptor, field: str) -> tuple[str, Mapping[str, int]]:
    """Return the name of the enum field beside a text, and the numbers of its words."""
    beside = f"{field}_enum"
    enum = message.fields_by_name[beside].enum_type
    assert enum is not None, field
    return beside, values_by_word(enum)
