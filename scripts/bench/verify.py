"""Check that what was meant was measured: every fill that was sent is in the log, once, and adds up."""

from __future__ import annotations

from collections.abc import Sequence

import grpc
import psycopg

from ledger.domain.money import mantissa
from ledger.store.codec.compression import plain
from ledger.v1 import events_pb2, fill_service_pb2, fill_service_pb2_grpc
from scripts.bench.load import NOTIONAL_SCALE, Load, Volume
from scripts.bench.service import CALL_SECONDS_MAX
from scripts.bench.store import Store, check

Answers = Sequence[fill_service_pb2.RecordFillsResponse]


def verify_answers(channel: grpc.Channel, load: Load, answers: Sequence[Answers]) -> None:
    """Every fill was recorded by the message that brought it, and the ledger knows where each source goes on."""
    stub = fill_service_pb2_grpc.FillServiceStub(channel)
    for lane, of_lane in zip(load.lanes, answers, strict=True):
        check(len(lane.sizes) == len(of_lane), f"{len(of_lane)} of {len(lane.sizes)} messages were answered")
        for size, found in zip(lane.sizes, of_lane, strict=True):
            verify_recorded(size, found)
        request = fill_service_pb2.GetSourcePositionRequest(source=lane.source)
        position = stub.GetSourcePosition(request, timeout=CALL_SECONDS_MAX).last_sequence
        check(position == lane.last_sequence, f"{lane.source} is at {position}, not {lane.last_sequence}")


def verify_recorded(size: int, found: fill_service_pb2.RecordFillsResponse) -> None:
    """So many fills were recorded, and now."""
    recorded = (found.recorded, found.replayed, len(found.refusals))
    check(recorded == (size, 0, 0), f"of {size} fills {recorded} were recorded, replayed, refused")


def verify_log(store: Store, schema: str, load: Load) -> None:
    """The log has no gap, its commits cover it, and its lines and running totals are what was sent."""
    events = store.rows(f"SELECT count(*), min(notification_id), max(notification_id) FROM {schema}.events")
    count = events[0][0]
    check(events == [(count, 1, count)], f"positions are not contiguous: (count, first, last) = {events[0]}")
    commits = store.rows(f"SELECT sum(last_position - first_position + 1), max(last_position) FROM {schema}.commits")
    check(commits == [(count, count)], f"commits hold {commits[0][0]} events up to {commits[0][1]}, the log {count}")
    tracked: dict[str, int] = dict(store.rows(f"SELECT application_name, notification_id FROM {schema}.tracking"))
    check(tracked == load.tracked, f"tracking of the sources is {tracked}, sent was {load.tracked}")
    (lines, volume), sent = _recorded_volume(store, schema), sum(load.volume.lines.values())
    check(lines == sent, f"the log has {lines} lines, sent were {sent}")
    check(volume.lines == load.volume.lines, f"totals count {dict(volume.lines)}, sent was {dict(load.volume.lines)}")
    check(volume.notional == load.volume.notional, "running totals of the notional are not what was sent")


def _recorded_volume(store: Store, schema: str) -> tuple[int, Volume]:
    """Lines in the events, and the last running totals of every account-day added up."""
    lines, volume = 0, Volume()
    query = (
        f"SELECT originator_id, state FROM {schema}.events WHERE topic = 'VolumeRecorded'"
        " ORDER BY originator_id, originator_version"
    )
    with psycopg.connect(store.dsn) as connection, connection.cursor("log", binary=True) as cursor:
        cursor.itersize = 5_000
        stream, last = "", events_pb2.VolumeRecorded()
        for name, state in cursor.execute(query.encode()):
            if name != stream:
                _add_totals(volume, last)
                stream = name
            last = events_pb2.VolumeRecorded.FromString(plain(state))
            lines += len(last.traits)  # a byte per line
        _add_totals(volume, last)
    return lines, volume


def _add_totals(volume: Volume, event: events_pb2.VolumeRecorded) -> None:
    for cell in event.totals:
        notional = mantissa(cell.notional, NOTIONAL_SCALE)
        check(notional is not None, f"a running total of {cell.notional} is finer than anything sent")
        assert notional is not None
        volume.add(cell.quote_currency, cell.lines, notional)
