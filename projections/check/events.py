"""Events as the tables beside them know them: their order, times and commits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple, get_args

from google.protobuf.message import DecodeError

from ledger.domain.events import Event, FeeEvent
from ledger.domain.instants import DAY_NS
from ledger.domain.streams import account_of, fee_stream, is_fee_stream, kind_and_subject, subject_of
from ledger.store.postgres.migrate import EVENTS
from ledger.v1 import events_pb2
from projections.check.findings import DIFFERS, MISSING, Finding, StoredRows, compared, finding
from projections.tables.rows import Row
from projections.tables.stored import StoredTable

_MESSAGES: Final = {event.__name__: getattr(events_pb2, event.__name__) for event in get_args(Event)}
_FEE_TOPICS: Final = {event.__name__ for event in get_args(FeeEvent)}
_TIMES: Final = ("time_min_ns", "time_max_ns", "time_max_so_far_ns")


class Facts(NamedTuple):
    """The values of an event that other tables have too; `times_ns` are those of the columns beside it."""

    position: int
    recorded_time_ns: int
    request_id: str
    request_sha256: bytes
    reason_sha256: bytes
    erasable_sha256: bytes
    times_ns: tuple[int | None, int | None, int | None]
    source: str = ""
    last_sequence: int = 0


def facts_of(row: Row) -> Facts | None:
    """Return the facts of a stored event; None if its bytes are no event of this release."""
    position, stream, _, topic, state = row[:5]
    if topic not in _MESSAGES:
        return None
    try:
        message = _MESSAGES[topic].FromString(state)
    except DecodeError:
        return None
    envelope = message.envelope
    advanced = topic == "SourceAdvanced" and message.first_sequence <= message.last_sequence
    return Facts(
        position,
        envelope.recorded_time_ns,
        envelope.request_id,
        envelope.request_sha256,
        envelope.reason_sha256,
        envelope.erasable_sha256,
        _times(topic, message),
        subject_of(stream) if advanced else "",
        message.last_sequence if advanced else 0,
    )


def _times(topic: str, message: Any) -> tuple[int | None, int | None, int | None]:
    if topic not in _FEE_TOPICS:
        return (None, None, None)
    begin_ns = message.envelope.effective_time_ns
    end_ns = getattr(message, "time_max_ns", begin_ns)  # a credit has none
    return (begin_ns, end_ns, message.time_max_so_far_ns)


class EventRows:
    """Checks the events table on the way along it: positions without a gap, times as the bytes have them."""

    def __init__(self) -> None:
        self._position = 0

    def take(self, row: Row, facts: Facts | None) -> Iterator[Finding]:
        """Yield findings of the next event."""
        position, stream, version = row[:3]
        if position != self._position + 1:
            gap = f"{self._position + 1} to {position - 1}"
            yield finding(EVENTS, MISSING, expected=f"events at {gap}", notification_id=self._position + 1)
        self._position = position
        if is_fee_stream(stream) and version != position:
            yield differs(row, "originator_version", version, position)
        if facts is None:
            return
        if (expected := _stream(stream, facts)) != stream:
            yield differs(row, "originator_id", stream, expected)
        for name, stored, said in zip(_TIMES, row[5:8], facts.times_ns, strict=True):
            if stored != said:
                yield differs(row, name, stored, said)


def differs(row: Row, column: str, stored: object, expected: object) -> Finding:
    """Return a finding about a column of an event that is not as it must be; a row begins with position and stream."""
    key = {"notification_id": row[0], "originator_id": row[1]}
    return finding(EVENTS, DIFFERS, column=column, stored=stored, expected=expected, **key)


def _stream(stream: str, facts: Facts) -> str:
    """Return the stream of an event, as far as it tells: fees lie in a stream of their day, and nothing else there."""
    kind, subject = kind_and_subject(stream)
    time_min_ns = facts.times_ns[0]
    if time_min_ns is None:
        return "not in fees/" if kind == "fees" else stream
    account_id = account_of(stream) if kind == "fees" and subject else "..."
    return fee_stream(account_id, time_min_ns // DAY_NS)


class CommitRows:
    """Checks the commits that the events make: neighbours with one recorded time are one."""

    def __init__(self, table: StoredTable, stored: StoredRows) -> None:
        self._table = table
        self._stored = stored
        self._open: tuple[int, int, int] | None = None  # a row of `commits`: last and first position, time

    def take(self, facts: Sequence[Facts]) -> Iterator[Finding]:
        """Yield findings of the commits that end before the last of these events."""
        ended: list[Row] = []
        for one in facts:
            if self._open is not None and self._open[2] == one.recorded_time_ns:
                self._open = (one.position, *self._open[1:])
                continue
            if self._open is not None:
                ended.append(self._open)
            self._open = (one.position, one.position, one.recorded_time_ns)
        if ended:
            yield from compared(self._table, self._stored.through(ended[-1][0]), ended)

    def end(self) -> Iterator[Finding]:
        """Yield findings of the last commit, and of rows after it."""
        yield from compared(self._table, self._stored.rest(), [self._open] if self._open else [])
