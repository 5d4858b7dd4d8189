"""Screens about the log and the ledger itself."""

from __future__ import annotations

from collections.abc import Iterable

from ledger.cli.screens.layout import NONE, instant, many, pairs, table
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
    """Return which ledger this is, and how it is."""
    tables = found.projections
    lag = f"{many(tables.lag_positions, 'position')} behind, for {tables.lag_ms:,} ms"
    behind = lag if tables.lag_positions else "up to date"
    rows = [
        (one.programme_id, one.version, " ".join(one.venues), " ".join(one.tiers), " ".join(one.pair_classes))
        for one in found.programmes
    ]
    return [
        f"ledger {found.ledger_id} at position {found.position} ({instant(found.recorded_time)} UTC)",
        *pairs([
            ("writer", f"term {found.writer_term}, version {found.software_version}"),
            ("tables", f"at position {tables.position}, {behind}{_other_version(tables)}"),
        ]),
        "",
        *table(("programme", "version", "venues", "tiers", "pair classes"), rows),
    ]  # fmt: skip


def _other_version(tables: pb.ProjectionInfo) -> str:
    """Return what is said of tables that this release did not make."""
    if tables.version in (0, tables.version_wanted):
        return ", a rebuild is under way" if tables.rebuilding else ""
    if tables.version > tables.version_wanted:
        return f"; of version {tables.version}, made by a newer release, and left alone"
    made = "are being made" if tables.rebuilding else "wait for a service, or `python -m projections`, to make them"
    return f"; of version {tables.version}, new ones of version {tables.version_wanted} {made}"


def source(found: fills_pb.GetSourcePositionResponse, source: str) -> list[str]:
    """How far the fills of a source are."""
    last = f"its last fill is {found.last_sequence}" if found.last_sequence else "no fill has come from it yet"
    return [
        f"{source}: {last}, in {found.ledger_id} at position {found.position}",
        f"go on with {found.last_sequence + 1}",
        *([f"complete up to {instant(found.complete_until)} UTC"] if found.HasField("complete_until") else []),
    ]
