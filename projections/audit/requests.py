"""Checks which request caused which event: the envelopes of events, and the table that finds them again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ledger.domain.events import Recorded
from ledger.replay.compare import Deviation, Difference
from ledger.store.log import Log

REQUEST = "request "


class _First(NamedTuple):
    """The place where a request is named first."""

    position: int
    stream: str


class Requests:
    """Takes the events of a stretch in their order, and looks their requests up at its end.

    The row of a request has the position of its first event. That the event there names it, the frame has seen.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._named: dict[tuple[str, bytes], _First] = {}
        self.rows = 0  # of the table, that were found at the first event of their request

    def take(self, recorded: Recorded) -> None:
        """Take in one more event, whether a request caused it or not."""
        envelope = recorded.envelope
        if envelope.request_id:
            request = (envelope.request_id, envelope.request_sha256)
            self._named.setdefault(request, _First(recorded.position, recorded.stream))

    def end(self) -> Iterator[Deviation]:
        """Yield where the table and the events since the last end differ; `rows` then counts more of it."""
        # PostgreSQL stores no NUL: an event that names a request so was forged, and the table has no such row.
        names = {request_id for request_id, _ in self._named if "\0" not in request_id}
        known = self._log.requests(names) if names else {}
        for (request_id, sha256), (position, stream) in self._named.items():
            row = known.get(request_id)
            differs = []
            self.rows += row is not None and row.position == position
            if row is None or row.position > position:
                recorded = f"position {row.position}" if row else ""
                differs.append(Difference(named(request_id), recorded, f"position {position}"))
            if row and row.sha256 != sha256:
                differs.append(Difference(named(request_id), f"sha256 {row.sha256.hex()}", f"sha256 {sha256.hex()}"))
            if differs:
                yield Deviation(position, stream, tuple(differs))
        self._named.clear()


def named(request_id: str) -> str:
    """Return the field of a finding about a request."""
    return REQUEST + request_id
