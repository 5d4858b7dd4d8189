"""Results of an evaluation that are alike but for their amounts: all else of them is encoded once, as events are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from ledger.arrays.protobuf_wire import Heads, wire_fields
from ledger.domain.events import CellKey, Envelope, VolumeEvaluated
from ledger.store.codec.events import encode
from ledger.v1 import events_pb2

_CELLS_NUMBER: Final = events_pb2.VolumeEvaluated.CELLS_FIELD_NUMBER
_VOLUME_NUMBER: Final = events_pb2.VolumeEvaluated.VOLUME_FIELD_NUMBER
_CELLS, _VOLUME = Heads(_CELLS_NUMBER), Heads(_VOLUME_NUMBER)
_OF_ONE: Final = ("envelope", "cells", "closes", "volume")  # fields that are of one event
_NOTIONAL: Final = Heads(events_pb2.CellVolume.NOTIONAL_FIELD_NUMBER)


class EvaluatedAlike:
    """The bytes of events that say the same as one, but for the volume: they have it in some cells, and no closes."""

    def __init__(self, envelope: Envelope, event: VolumeEvaluated, cells: Sequence[CellKey]) -> None:
        """The envelope is that of all, but for the hash of what may be erased, if it has one."""
        _, state = encode(envelope, event)
        first, *others = wire_fields(state)
        self._hash_at = len(first.whole) - len(envelope.erasable_sha256)  # which is the last field of the envelope
        self._before = b"".join([first.whole, *(each.whole for each in others if each.number < _CELLS_NUMBER)])
        self._after = b"".join(each.whole for each in others if each.number > _VOLUME_NUMBER)
        self._cells = [_CellHeads(key) for key in cells]

    def states(
        self, notionals: Sequence[tuple[str, ...]], volumes: Sequence[str], erasable_sha256s: Sequence[bytes]
    ) -> Iterator[bytes]:
        """Yield the bytes of each event, in the order of its amounts: those in the cells, and the volume that counts.

        There is a hash of what may be erased for each, or none.
        """
        fronts = self._fronts(erasable_sha256s) if erasable_sha256s else [self._before] * len(volumes)
        for front, amounts, volume in zip(fronts, notionals, volumes, strict=True):
            parts = [front]
            for heads, notional in zip(self._cells, amounts, strict=True):
                parts += (heads[len(notional)], notional.encode())
            parts += (_VOLUME[len(volume)], volume.encode(), self._after)
            yield b"".join(parts)

    def _fronts(self, erasable_sha256s: Sequence[bytes]) -> Iterator[bytes]:
        for sha256 in erasable_sha256s:
            yield b"".join((self._before[: self._hash_at], sha256, self._before[self._hash_at + len(sha256) :]))


def without_amounts(state: bytes) -> bytes:
    """Return an event without envelope and amounts: the same bytes for all that are alike but for these."""
    message = events_pb2.VolumeEvaluated.FromString(state)
    for name in _OF_ONE:
        message.ClearField(name)
    return message.SerializeToString(deterministic=True)


class _CellHeads(dict[int, bytes]):
    """All of the field of a cell before its notional, by the size of that."""

    def __init__(self, key: CellKey) -> None:
        super().__init__()
        quote, product, channel, self_trade, banned, _ = key
        message = events_pb2.CellVolume(
            quote_currency=quote, product=product, channel=channel, self_trade=self_trade, banned=banned
        )
        self._key = message.SerializeToString(deterministic=True)

    def __missing__(self, size: int) -> bytes:
        content = self._key + _NOTIONAL[size]
        head = self[size] = _CELLS[len(content) + size] + content
        return head
