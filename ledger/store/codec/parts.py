"""Maps the parts of stored events, such as the terms of a symbol, to messages and back: once for each.

A part is a NamedTuple whose fields have the names of the message's. On the wire a nested message is a field of bytes,
so the same stored bytes can be read as a message whose parts are bytes still: these are looked up, and only those that
were never seen are read.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final, TypeVar

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from ledger.domain.events import Basis, CellKey, CellTotals, FeeSum, SymbolTerms
from ledger.v1 import events_pb2

_AS_BYTES: Final = ("symbols", "bases", "totals")
_NAME: Final = "ledger.store.codec.parts"

T = TypeVar("T")


def _reader(part: type[T]) -> Callable[[Any], T]:
    """Return the function that reads a part out of a message."""
    values = attrgetter(*part._fields)  # type: ignore[attr-defined]
    make: Callable[[Any], T] = part._make  # type: ignore[attr-defined]
    return lambda message: make(values(message))


symbol_of: Final = _reader(SymbolTerms)
basis_of: Final = _reader(Basis)
cell_key_of: Final = _reader(CellKey)
_fee_of: Final = _reader(FeeSum)


def fields_of(part: Any) -> Any:
    """Return the fields of a part by name: a message is made of them, by itself or within another one."""
    return part._asdict()


def totals_message(totals: CellTotals) -> events_pb2.CellTotals:
    """Return the message of a cell's running totals."""
    fees = list(map(fields_of, totals.fees))
    return events_pb2.CellTotals(**fields_of(totals.key), notional=totals.notional, lines=totals.lines, fees=fees)


def totals_of(message: events_pb2.CellTotals) -> CellTotals:
    """Return the running totals of a cell that a message holds."""
    return CellTotals(cell_key_of(message), message.notional, message.lines, tuple(map(_fee_of, message.fees)))


def totals_of_bytes(data: bytes) -> CellTotals:
    """Return the running totals of a cell; these hardly ever come twice."""
    return totals_of(events_pb2.CellTotals.FromString(data))


@lru_cache(maxsize=65_536)
def symbol_of_bytes(data: bytes) -> SymbolTerms:
    """Return the terms of a symbol."""
    return symbol_of(events_pb2.SymbolTerms.FromString(data))


@lru_cache(maxsize=65_536)
def basis_of_bytes(data: bytes) -> Basis:
    """Return the basis of a fee."""
    return basis_of(events_pb2.Basis.FromString(data))


@lru_cache(maxsize=65_536)
def symbol_bytes(terms: SymbolTerms) -> bytes:
    """Return the terms of a symbol as a field of a VolumeRecorded."""
    return events_pb2.VolumeRecorded(symbols=[fields_of(terms)]).SerializeToString(deterministic=True)


@lru_cache(maxsize=65_536)
def basis_bytes(basis: Basis) -> bytes:
    """Return the basis of a fee as a field of a VolumeRecorded."""
    return events_pb2.VolumeRecorded(bases=[fields_of(basis)]).SerializeToString(deterministic=True)


def _volume_parts() -> Any:
    """Return the class of VolumeRecorded as the contract has it, but with its parts as bytes."""
    contract = events_pb2.VolumeRecorded.DESCRIPTOR
    file = descriptor_pb2.FileDescriptorProto(
        name=f"{_NAME}.proto", package=_NAME, syntax="proto3", dependency=[contract.file.name]
    )
    message = file.message_type.add()
    contract.CopyToProto(message)
    for field in message.field:
        if field.name in _AS_BYTES:
            field.type = descriptor_pb2.FieldDescriptorProto.TYPE_BYTES
            field.ClearField("type_name")
    pool = descriptor_pool.Default()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_NAME}.{contract.name}"))


VolumeParts: Final = _volume_parts()
