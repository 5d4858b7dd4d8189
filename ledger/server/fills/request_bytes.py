"""Requests of fills as they arrive: the message and its bytes. Those of many requests can be read at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from ledger.arrays.columns import INT64_ROOM, Ints, wide
from ledger.v1 import fill_pb2
from ledger.v1 import fill_service_pb2 as pb

_NAME: Final = "ledger.server.fills.request_bytes"


class ReceivedRequest(NamedTuple):
    """A RecordFillsRequest, and the bytes it came as: its own, or those of the StreamFillsRequest around it.

    The bytes count against `request_bytes_max` for as long as somebody keeps the request.
    """

    request: pb.RecordFillsRequest
    data: bytes
    streamed: bool

    @staticmethod
    def unary(data: bytes) -> ReceivedRequest:
        """Read the bytes of a RecordFillsRequest. Raises DecodeError."""
        return ReceivedRequest(pb.RecordFillsRequest.FromString(data), data, streamed=False)

    @staticmethod
    def on_stream(data: bytes) -> ReceivedRequest:
        """Read the bytes of a StreamFillsRequest. Raises DecodeError."""
        return ReceivedRequest(pb.StreamFillsRequest.FromString(data).batch, data, streamed=True)

    @property
    def size(self) -> int:
        """The number of its fills, as messages or as columns."""
        return len(self.request.fills) or len(self.request.columns.side)

    @property
    def fees_wanted(self) -> int:
        """The number of fills whose fees are asked for: all or none."""
        return self.size if self.request.include_fees else 0

    def fills_as_bytes(self) -> Sequence[bytes]:
        """Return the bytes of each of its fills, which came as messages."""
        if self.streamed:
            return _STREAM_FILLS.FromString(self.data).batch.fills  # type: ignore[no-any-return]
        return _RECORD_FILLS.FromString(self.data).fills  # type: ignore[no-any-return]


def _messages() -> tuple[Any, Any]:
    """Make the requests of the contract once more, with each fill as bytes: on the wire that is the same."""
    contracts = (pb.RecordFillsRequest.DESCRIPTOR, pb.StreamFillsRequest.DESCRIPTOR)
    files = [contracts[0].file.name, fill_pb2.DESCRIPTOR.name]
    file = descriptor_pb2.FileDescriptorProto(name=f"{_NAME}.proto", package=_NAME, syntax="proto3", dependency=files)
    for contract in contracts:
        message = file.message_type.add()
        contract.CopyToProto(message)
        for field in message.field:
            if field.name == "fills":
                field.type = descriptor_pb2.FieldDescriptorProto.TYPE_BYTES
                field.ClearField("type_name")
            elif field.name == "batch":
                field.type_name = f".{_NAME}.{contracts[0].name}"
    pool = descriptor_pool.Default()
    pool.Add(file)
    names = [f"{_NAME}.{contract.name}" for contract in contracts]
    first, second = (message_factory.GetMessageClass(pool.FindMessageTypeByName(name)) for name in names)
    return first, second


_RECORD_FILLS, _STREAM_FILLS = _messages()


@dataclass(frozen=True, slots=True)
class Origin:
    """The columns of a `FillBatch` that no fill says itself: they come from its request, and its place in it."""

    venue: str
    actor: str
    sources: Sequence[str]
    index: Ints
    source: Ints
    sequence: Ints

    def rows(self, keep: Sequence[int]) -> Origin:
        """Return the origin of those fills whose indexes are in `keep`."""
        index, source, sequence = self.index[keep], self.source[keep], self.sequence[keep]
        return Origin(self.venue, self.actor, self.sources, index, source, sequence)


@dataclass(frozen=True, slots=True)
class ListedOrigin:
    """The origin of few fills, as lists by the name of the column."""

    venue: str
    actor: str
    sources: Sequence[str]
    lists: Mapping[str, list[int]]

    @classmethod
    def of(cls, requests: Sequence[pb.RecordFillsRequest], sizes: Sequence[int]) -> ListedOrigin:
        """Return the origin of the fills of requests of one venue and actor; `sizes` are how many fills each has."""
        places: dict[str, int] = {}
        index, source, sequence = list[int](), list[int](), list[int]()
        for request, size in zip(requests, sizes, strict=True):
            index += range(size)
            source += [places.setdefault(request.source, len(places))] * size
            first = request.first_sequence
            sequence += range(first, first + size) if request.source else [0] * size
        lists = {"index": index, "source": source, "sequence": sequence}
        return cls(requests[0].venue, requests[0].actor, list(places), lists)

    def rows(self, keep: Sequence[int]) -> ListedOrigin:
        """Return the origin of those fills whose indexes are in `keep`."""
        lists = {name: [values[index] for index in keep] for name, values in self.lists.items()}
        return ListedOrigin(self.venue, self.actor, self.sources, lists)


def origin_of(request: pb.RecordFillsRequest, size: int) -> Origin:
    """Return the origin of the `size` fills of one request; an engine may say any number that fits the contract."""
    index, first = np.arange(size), request.first_sequence
    nothing = np.zeros_like(index)
    sequence = (index if first < INT64_ROOM else wide(index)) + first if request.source else nothing
    return Origin(request.venue, request.actor, (request.source,), index, nothing, sequence)


def common_origin(requests: Sequence[pb.RecordFillsRequest], sizes: Sequence[int]) -> Origin:
    """Return the origin of the fills of requests of one venue and actor; `sizes` are how many fills each has.

    The numbers of a source are below INT64_ROOM; 0: there is no source.
    """
    if len(requests) == 1:
        return origin_of(requests[0], sizes[0])
    places: dict[str, int] = {}
    sources = [places.setdefault(request.source, len(places)) for request in requests]
    each = np.array([sources, [request.first_sequence for request in requests], sizes])
    each[2, 1:] = each[2, :-1].cumsum()  # where each begins
    each[2, 0] = 0
    source, first, start = each.repeat(sizes, axis=1)
    index = np.arange(len(start)) - start
    sequence = index + first if requests[0].source else np.zeros_like(index)
    return Origin(requests[0].venue, requests[0].actor, list(places), index, source, sequence)
