"""Checks which request caused which event: the envelopes of events, and the table that finds them again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from ledger.domain.events import Recorded
from ledger.replay.compare import Deviation, Difference
from ledger.store.log import Log
from ledger.store.reads import Row
from ledger.v1.events_pb2 import Envelope
from projections.audit.queries import Queries

REQUEST = "request "

# Rows of requests up to a position at whose event their name is not. The tag and the length of a name lie before it, in
# the bytes of each event that its request caused.
_TAG: Final = bytes([Envelope.DESCRIPTOR.fields_by_name["request_id"].number << 3 | 2])
UNNAMED: Final = """
position <= %(known)s AND coalesce(position(
    %(tag)s || set_byte('\\x00', 0, least(octet_length(request_id), 255)) || convert_to(request_id, 'UTF8') IN state
), 0) = 0
"""
_UNNAMED_AT: Final = f"""
SELECT request_id, position FROM {{schema}}.requests LEFT JOIN {{events}} ON notification_id = position
WHERE (position = ANY(%(positions)s::bigint[]) OR request_id = ANY(%(names)s::text[])) AND {UNNAMED}
ORDER BY position, request_id
"""


class _First(NamedTuple):
    """The place where a request is named first."""

    position: int
    stream: str


class Requests(Queries):
    """Takes the events of a stretch in their order, and looks their requests up at its end.

    The row of a request has the position of its first event. That the event there names it, the frame has seen.
    """

    def __init__(self, log: Log, known: int | None = None) -> None:
        """`known`: no frame has seen it, so it is asked of the rows of these requests up to a position."""
        super().__init__(log)
        self._known = known
        self._positions: list[int] = []
        self._named: dict[tuple[str, bytes], _First] = {}
        self.rows = 0  # of the table, that were found at the first event of their request

    def pass_by(self, positions: Sequence[int]) -> None:
        """Take in events that no request caused."""
        self._positions += positions

    def take(self, recorded: Recorded) -> None:
        """Take in one more event, whether a request caused it or not."""
        envelope = recorded.envelope
        self._positions.append(recorded.position)
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
        if self._known is not None:
            asked = {"positions": self._positions, "names": sorted(names), **unnamed_parameters(self._known)}
            yield from map(unnamed, self._query(_UNNAMED_AT, **asked))
        self._named.clear()
        self._positions.clear()


def unnamed_parameters(known: int) -> dict[str, Any]:
    """Return the parameters of UNNAMED."""
    return {"known": known, "tag": _TAG}


def unnamed(row: Row) -> Deviation:
    """Say that the event at the position of a request does not name it."""
    request_id, position = row
    return Deviation(position, "requests", (Difference(named(request_id), f"position {position}"),))


def named(request_id: str) -> str:
    """Return the field of a finding about a request."""
    return REQUEST + request_id
