"""Maps what may be erased of an event to bytes beside its own, and back: the same message with those fields alone.

So the two, one after the other, are one message. It is the ticket of an event, and of fills their clients' order ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, Final

from ledger.arrays.columns import Packed
from ledger.arrays.protobuf_wire import Heads
from ledger.domain.events import Recorded, VolumeRecorded
from ledger.v1 import events_pb2

_CL_ORD_IDS: Final = Heads(events_pb2.VolumeRecorded.CL_ORD_IDS_FIELD_NUMBER)


def apart(recorded: Recorded) -> tuple[Recorded, bytes]:
    """Return (an event without what may be erased, the content of that part); empty content: it has no such part."""
    envelope, event = recorded.envelope, recorded.event
    if not envelope.ticket and not isinstance(event, VolumeRecorded):
        return recorded, b""
    message = _message(event)
    if envelope.ticket:
        message.envelope.ticket = envelope.ticket
        envelope = replace(envelope, ticket="")
    if isinstance(event, VolumeRecorded) and event.columns.cl_ord_id:
        if event.columns.cl_ord_id.strip(b"\0"):
            message.cl_ord_ids = event.columns.cl_ord_id
        event = replace(event, columns=event.columns._replace(cl_ord_id=b""))
    kept = replace(recorded, envelope=envelope, event=event)
    return kept, message.SerializeToString(deterministic=True)


def joined(recorded: Recorded, content: bytes) -> Recorded:
    """Return an event with what the content of its erasable part says; nothing else of the content is looked at."""
    if not content:
        return recorded
    event, message = recorded.event, _message(recorded.event)
    message.ParseFromString(content)
    if isinstance(event, VolumeRecorded) and message.cl_ord_ids:
        event = replace(event, columns=event.columns._replace(cl_ord_id=message.cl_ord_ids))
    return replace(recorded, envelope=replace(recorded.envelope, ticket=message.envelope.ticket), event=event)


def contents_of_runs(cl_ord_ids: Packed, starts: Sequence[int]) -> list[bytes]:
    """Return the content of the erasable part of each run of fills, of a column of all; empty: no line says anything.

    The lines of run n are at starts[n] up to starts[n + 1].
    """
    data, width = cl_ord_ids
    ids = [data[start * width : end * width] for start, end in pairwise(starts)]
    return [_CL_ORD_IDS[len(each)] + each if each.strip(b"\0") else b"" for each in ids]


def _message(event: Any) -> Any:
    return getattr(events_pb2, type(event).__name__)()
