"""The parts of a stored VolumeRecorded that many runs share, read once: symbols and bases are few, and always the same.

On the wire a nested message is a field of bytes, so the same stored bytes can be read as a message whose parts are
bytes still: these are looked up, and only what was never seen is read.
"""

from __future__ import annotations

from functools import lru_cache
from operator import attrgetter
from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from ledger.domain.events import Basis, CellKey, CellTotals, FeeSum, SymbolTerms
from ledger.v1 import events_pb2

_PARTS: Final = ("symbols", "bases", "totals")
_NAME: Final = "ledger.store.codec.fill_parts"

_symbol: Final = attrgetter(*SymbolTerms._fields)
_basis: Final = attrgetter(*Basis._fields)
_cell: Final = attrgetter(*CellKey._fields)
_rest_of_cell: Final = attrgetter("notional", "lines", "fees")
_fee: Final = attrgetter(*FeeSum._fields)


def _message() -> Any:
    """VolumeRecorded as the contract has it, its parts as bytes."""
    contract = events_pb2.VolumeRecorded.DESCRIPTOR
    file = descriptor_pb2.FileDescriptorProto(
        name=f"{_NAME}.proto", package=_NAME, syntax="proto3", dependency=[contract.file.name]
    )
    message = file.message_type.add()
    contract.CopyToProto(message)
    for field in message.field:
        if field.name in _PARTS:
            field.type = descriptor_pb2.FieldDescriptorProto.TYPE_BYTES
            field.ClearField("type_name")
    pool = descriptor_pool.Default()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_NAME}.{contract.name}"))


VolumeParts: Final = _message()


@lru_cache(maxsize=65_536)
def symbol_of_bytes(data: bytes) -> SymbolTerms:
    """Terms of a symbol."""
    return SymbolTerms._make(_symbol(events_pb2.SymbolTerms.FromString(data)))


@lru_cache(maxsize=65_536)
def basis_of_bytes(data: bytes) -> Basis:
    """What a fee rests on."""
    return Basis._make(_basis(events_pb2.Basis.FromString(data)))


def totals_of_bytes(data: bytes) -> CellTotals:
    """Running totals of a cell; these hardly ever come twice."""
    message = events_pb2.CellTotals.FromString(data)
    notional, lines, fees = _rest_of_cell(message)
    return CellTotals(CellKey._make(_cell(message)), notional, lines, tuple([FeeSum._make(_fee(fee)) for fee in fees]))
