"""Screens about the log and the ledger itself."""

from __future__ import annotations

from collections.abc import Iterable

from ledger.cli.screens.layout import NONE, count, instant, pairs, table
from ledger.v1 import fill_service_pb2 as fills_pb
from ledger.v1 import query_service_pb2 as pb


def events(found: Iterable[pb.StoredEvent]) -> list[str]:
    """A page of events."""
    rows = [
        (
            str(event.position), instant(event.recorded_time), event.stream, event.topic, event.actor or NONE,
        )
        for event in found
    ]  # fmt: skip
    return table((">position", "recorded (UTC)", "stream", "event", "actor"), rows)


def info(found: pb.GetLedgerInfoResponse) -> list[str]:
    """What ledger this is."""
    tables = found.projections
    lag = f"{count(tables.lag_positions, 'position')} behind, for {tables.lag_ms:,} ms"
    behind = lag if tables.lag_positions else "up to date"
    rows = [
        (one.programme_id, one.version, " ".join(one.venues), " ".join(one.tiers), " ".join(one.pair_classes))
        for one in found.programmes
    ]
    return [
        f"ledger {found.ledger_id} at position {found.position} ({instant(found.recorded_time)} UTC)",
        *pairs([
            ("writer", f"term {found.writer_term}, version {found.software_version}"),
            ("tables", f"at position {tables.position}, {behind}"),
        ]),
        "",
        *table(("programme", "version", "venues", "tiers", "pair classes"), rows),
    ]  # fmt: skip


def source(found: fills_pb.GetSourcePositionResponse, source: str) -> list[str]:
    """How far the fills of a source are."""
    last = f"its last fill is {found.last_sequence}" if found.last_sequence else "no fill has come from it yet"
    return [
        f"{source}: {last}, in {found.ledger_id} at position {found.position}",
        f"go on with {found.last_sequence + 1}",
    ]
