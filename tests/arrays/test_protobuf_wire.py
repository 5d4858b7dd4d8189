"""Fields of a message out of its bytes, without a schema."""

import pytest

from ledger.arrays.protobuf_wire import WireField, wire_fields
from ledger.v1 import events_pb2


def test_fields_are_told_apart_and_together_are_the_message() -> None:
    message = events_pb2.SymbolTerms(symbol="A", quote_currency="B" * 200, product=300)
    data = message.SerializeToString()
    found = list(wire_fields(data))
    assert found[0] == WireField(1, b"\x0a\x01A", b"A")
    assert [(field.number, field.content) for field in found] == [(1, b"A"), (2, b"B" * 200), (3, b"")]
    assert b"".join(field.whole for field in found) == data


def test_numbers_of_four_and_eight_bytes_are_passed_over() -> None:
    data = b"\x0d\x01\x02\x03\x04" + b"\x11\x01\x02\x03\x04\x05\x06\x07\x08" + b"\x18\x05"
    assert [field.number for field in wire_fields(data)] == [1, 2, 3]


@pytest.mark.parametrize(
    "data", [b"\x0a\x02A", b"\x0a", b"\x08", b"\x08\x80", b"\x0d\x01", b"\x0b", b"\x80"], ids=bytes.hex
)
def test_bytes_that_end_too_soon_or_are_no_field_are_no_message(data: bytes) -> None:
    with pytest.raises(ValueError, match="no message"):
        list(wire_fields(data))
