"""The two clocks of a read: which instant, and which prefix of the log."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from ledger.domain.refusal import Reason
from ledger.store.log import Head, Log
from ledger.v1 import read_pb2
from ledger.wire import Shape, read_ns, refuse, timestamp

_POLL_S = 0.005


@dataclass(frozen=True, slots=True)
class Instant:
    """Effective at `as_of_ns`, as known after `known` (a position and when it was recorded)."""

    as_of_ns: int
    known: Head
    known_at_open: bool

    def basis(self, ledger_id: str) -> read_pb2.ReadBasis:
        """As every answer says it."""
        basis = read_pb2.ReadBasis(
            ledger_id=ledger_id,
            as_of=timestamp(self.as_of_ns),
            known_at_position=self.known.position,
            known_at_open=self.known_at_open,
        )
        if self.known.position:
            basis.known_at_time.CopyFrom(timestamp(self.known.recorded_time_ns))
        return basis


def check_times(at: read_pb2.ReadAt) -> None:
    """Refuse instants that are none."""
    with Shape() as shape:
        for field in ("as_of", "known_at_time"):
            if at.HasField(field):
                shape(read_ns, getattr(at, field), f"at.{field}")


def resolve(at: read_pb2.ReadAt, log: Log, *, clock_ns: Callable[[], int], wait_ms_max: int) -> Instant:
    """The instant a read asks for. Waits for min_position; refuses with POSITION_NOT_REACHED or POSITION_AHEAD."""
    last = _wait_for(at.min_position, log, wait_ms_max)
    # Now is never before the last commit, though this clock may be behind the writer's: you read your own writes.
    as_of_ns = read_ns(at.as_of, "at.as_of") if at.HasField("as_of") else max(clock_ns(), last.recorded_time_ns)
    kind = at.WhichOneof("known_at")
    if kind == "known_at_position":
        if at.known_at_position > last.position:
            detail = f"the ledger is at position {last.position}"
            refuse(Reason.POSITION_AHEAD, "at.known_at_position", detail, position=str(last.position))
        return Instant(as_of_ns, log.head_at_position(at.known_at_position), known_at_open=False)
    if kind == "known_at_time":
        known_ns = read_ns(at.known_at_time, "at.known_at_time")
        if known_ns <= last.recorded_time_ns:
            return Instant(as_of_ns, log.head_at_time(known_ns), known_at_open=False)
    return Instant(as_of_ns, last, known_at_open=True)


def _wait_for(position: int, log: Log, wait_ms_max: int) -> Head:
    """The last commit, once it has reached a position."""
    until_s = time.monotonic() + wait_ms_max / 1000
    while (last := log.head()).position < position:
        if time.monotonic() >= until_s:
            detail = f"the ledger is at position {last.position}"
            refuse(Reason.POSITION_NOT_REACHED, "at.min_position", detail, position=str(last.position))
        time.sleep(_POLL_S)
    return last
