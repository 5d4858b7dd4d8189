"""Acknowledgements: a stream of fills tells the engine which batch is durable, and what became of its fills."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from ledger.client.fill_window import Batch
from ledger.domain.instants import SECOND_NS
from ledger.domain.refusal import Reason
from ledger.v1 import fill_service_pb2 as pb

_REASONS: Final = frozenset(map(int, Reason))


class RefusedFill(NamedTuple):
    """A fill that the ledger has taken, and not recorded."""

    sequence: int  # its number
    reason: Reason | None  # None: a reason this release does not know
    field: str  # at fault, for example last_px
    message: str  # a sentence for a person


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """A batch is durable, as is everything before it; recorded + replayed + len(refused) is its size."""

    first_sequence: int
    last_sequence: int
    position: int  # of the ledger: a read with this min_position sees the batch
    recorded_time_ns: int
    recorded: int
    replayed: int  # recorded before, with the same content
    refused: Sequence[RefusedFill]
    fees: Sequence[pb.FillFee]  # with_fees: one per fill, empty for a refused one

    @property
    def size(self) -> int:
        """The number of fills in the batch; 0: it said how far the source is."""
        return self.last_sequence - self.first_sequence + 1


def acknowledgement(batch: Batch, response: pb.RecordFillsResponse) -> Acknowledgement:
    """Return what an answer of the ledger says of a batch."""
    time_ = response.recorded_time
    return Acknowledgement(
        first_sequence=batch.first_sequence,
        last_sequence=batch.last_sequence,
        position=response.position,
        recorded_time_ns=time_.seconds * SECOND_NS + time_.nanos,
        recorded=response.recorded,
        replayed=response.replayed,
        refused=[
            RefusedFill(
                batch.first_sequence + entry.index,
                Reason(entry.reason) if entry.reason in _REASONS else None,
                entry.field,
                entry.message,
            )
            for entry in response.refusals
        ],
        fees=list(response.fees),
    )
